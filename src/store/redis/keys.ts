// The name of every key. All keys of one org share one hash tag, its partition, so that one script can
// change them together, on a single Redis and on a Redis Cluster alike.

import { hash } from 'node:crypto';
import { orgOf } from '../../state/access/tenant.ts';

/** Number of partitions. Part of the data's layout: never change it on a living store. */
export const PARTITION_COUNT = 16;

export const PARTITIONS: readonly string[] = Array.from(
  { length: PARTITION_COUNT },
  (_, index) => `p${String(index).padStart(2, '0')}`,
);

/** The partition of an org; its sandbox has the same. */
export function partitionOf(orgId: string): string {
  const byte = hash('sha256', orgOf(orgId), 'buffer')[0] ?? 0;
  return PARTITIONS[byte % PARTITION_COUNT] ?? 'p00';
}

/** Keys that a whole partition shares. */
export function partitionKeys(prefix: string, partition: string) {
  const base = `${prefix}:{${partition}}`;
  return {
    /** Stream: what the relay has yet to turn into jobs. */
    outbox: `${base}:outbox`,
    /** Stream: outbox entries of a form that the process which read them does not know, until one comes that does. */
    newerEntries: `${base}:newer-entries`,
    /** Stream: what was set aside since it cannot be used; see `dead-entries.ts`. */
    deadEntries: `${base}:dead-entries`,
    /** Hash: name of a damaged thing → the dead entry that tells of it. */
    deadNames: `${base}:dead-names`,
    /** Set: ids of the orgs here, and of their sandboxes. */
    orgs: `${base}:orgs`,
    /** Hash: org or sandbox → the turn in which what it requested is matched. */
    matchTurns: `${base}:match-turns`,
    /** Sorted set: `<org> <task>` by when the clock must next look at it. */
    due: `${base}:due`,
    /** Sorted set by text: `<org> <time>:<task> <sequence>[ <endpoint>]` of deliveries that were given up. */
    dead: `${base}:dead`,
    /** Sorted set: `<org> <task> <sequence>[ <endpoint>]` of deliveries not settled, by when they are next to be tried. */
    pendingDeliveries: `${base}:pending-deliveries`,
    /** Sorted set: `<org> <replay>` of replays under way, by when their next step is due. */
    replays: `${base}:replays`,
    /** Set: `<org> <receiver>` of those for whom deliveries wait. */
    backlogged: `${base}:backlogged`,
    /** Sorted set: `<org> <endpoint>` of endpoints that are told in order no more, by since when, until nobody waits there for earlier events. */
    orderReleased: `${base}:order-released`,
    /** Sorted set: `<org> <worker> <task>` of what removed workers held and has not been taken from them yet, by when they left. */
    orphanedReservations: `${base}:orphaned-reservations`,
    /** Sorted set: `<org> <task>` of finished tasks by when they are to be purged; `<org> <task> log`: by when only their history is. */
    retain: `${base}:retain`,
    /** Sorted set: places of files that are nobody's evidence (yet, or any more), by when they came; 0: on their way out. */
    orphanedFiles: `${base}:orphaned-files`,
    /** String: who a credential is, by the SHA-256 of the credential. */
    credential: (hash: string) => `${base}:credential:${hash}`,
    /** Hash or string: what the authorization server keeps (grants, codes, sessions …), by the SHA-256 of its id. */
    oauth: (name: string) => `${base}:oauth:${name}`,
    /** String: how often sign-in was attempted of late from a network. Hash: the attempts at an account (`n`) and when the next may be made (`t`, ms). */
    attempts: (name: string) => `${base}:sign-in-attempts:${name}`,
  };
}

export type OrgKeys = ReturnType<typeof orgKeys>;

/** By org: a process hardly ever has more than one prefix. */
const cache = new Map<string, { prefix: string; keys: OrgKeys }>();
const CACHED = 10_000;

/** Keys of what an org has once, for its live tenant and its sandbox together: its record and its API keys. */
export function sharedKeysOf(prefix: string, orgId: string): Pick<OrgKeys, 'org' | 'apiKey' | 'index'> {
  return orgKeysOf(prefix, orgOf(orgId));
}

/** Keys of one org, or of one sandbox. */
export function orgKeysOf(prefix: string, orgId: string): OrgKeys {
  const known = cache.get(orgId);
  if (known?.prefix === prefix) return known.keys;
  const keys = orgKeys(prefix, orgId);
  if (cache.size >= CACHED) cache.clear();
  cache.set(orgId, { prefix, keys });
  return keys;
}

function orgKeys(prefix: string, orgId: string) {
  const partition = partitionOf(orgId);
  const base = `${prefix}:{${partition}}:${orgId}`;
  return {
    ...partitionKeys(prefix, partition),
    partition,
    org: `${base}:org`,
    /** Hash: `v` version, `s` state, `i` input, `h` last hash; or `z`, everything packed, and `e`, when it ended (ms), once it is final; `o` when its own receiver is told in order. */
    task: (id: string) => `${base}:task:${id}`,
    /** List: one entry an event, while the task is open. */
    history: (id: string) => `${base}:history:${id}`,
    /** Hash: `<sequence>[ <endpoint>]` → the delivery with all attempts; empty while none was made. */
    deliveries: (id: string) => `${base}:deliveries:${id}`,
    /**
     * Hash of a task whose events are told in order: field of a delivery → when it was first tried in vain (ms), and
     * `w` and its field of one that waits for those before it.
     */
    ordering: (id: string) => `${base}:ordering:${id}`,
    endpoint: (id: string) => `${base}:endpoint:${id}`,
    /** Hash: since when (`f`, ms) an endpoint has only failed, the last part of the limit (`l`) it did in, and how many (`n`). */
    endpointHealth: (id: string) => `${base}:endpoint-health:${id}`,
    /** Hash: a replay; `a`, what it sent and has not been tried yet. */
    replay: (id: string) => `${base}:replay:${id}`,
    /** Hash: endpoint id → the replay to it that is under way. */
    replaying: `${base}:replaying`,
    /** Hash: `m`, a message to an endpoint that is about no task. */
    message: (id: string) => `${base}:message:${id}`,
    /** Sorted set: members of `owed` that wait for a receiver to take them, by since when (ms). */
    backlog: (receiver: string) => `${base}:backlog:${receiver}`,
    /** Hash: `v` version, evidence id → what is known of the file. */
    evidence: (taskId: string) => `${base}:evidence:${taskId}`,
    worker: (id: string) => `${base}:worker:${id}`,
    /** Sorted set: `<offer> <task>` by when the offer ends or ended. */
    workerOffers: (id: string) => `${base}:offers:${id}`,
    /** Stream: what happened to the worker's offers and tasks lately. */
    workerLog: (id: string) => `${base}:worker-log:${id}`,
    /** Set: hashes of the worker's tokens. */
    workerTokens: (id: string) => `${base}:tokens:${id}`,
    pool: (id: string) => `${base}:pool:${id}`,
    apiKey: (id: string) => `${base}:key:${id}`,
    /** String: when the token bucket of a credential, or of the org, is full again. */
    rate: (who: string) => `${base}:rate:${who}`,
    oauthClient: (id: string) => `${base}:client:${id}`,
    member: (id: string) => `${base}:member:${id}`,
    /** String: id of the member with this address, by its SHA-256. */
    memberEmail: (hash: string) => `${base}:email:${hash}`,
    /** Hash: an outside issuer that the org trusts. */
    issuer: (id: string) => `${base}:issuer:${id}`,
    /** Hash: digest of an outside issuer and an audience → id of the registration for this pair. */
    issuerPairs: `${base}:issuers`,
    /** Hash: `evidence_bytes`, and `answers:<hour>`, bytes of answers that were kept for Idempotency-Keys in an hour since 1970. */
    usage: `${base}:usage`,
    idempotency: (hash: string) => `${base}:idempotency:${hash}`,
    /** Hash: `v` number of entries in the org's audit log, `h` hash and `t` time (ms) of the last. */
    auditHead: `${base}:audit-head`,
    /** Stream: the org's audit log, `<ms>-<sequence>` an entry. */
    audit: `${base}:audit`,
    /** Stream: the org's feed, one reference an event. */
    feed: `${base}:feed`,
    /** Sorted set by text: an index, such as all tasks or the tasks of one status. */
    index: (name: string) => `${base}:index:${name}`,
    /** Sorted set by text: an attribute asked for, lane id and the requirements that the lane's tasks share, as JSON. */
    matchingQueues: `${base}:queues`,
    /** Sorted set by text: places of the tasks that wait in a lane. */
    matchingQueue: (id: string) => `${base}:queue:${id}`,
    /** Sorted set: `task <id>` and `worker <id>` that are to be matched, in the order in which that was requested. */
    matchRequests: `${base}:requests`,
    /** Sorted set: ready workers with an attribute, by how long they have been idle. */
    ready: (attribute: string) => `${base}:ready:${attribute}`,
    /** Sorted set: all ready workers by their level of trust or rating. */
    readyBy: (level: string) => `${base}:level:${level}`,
    /** Channel on which every change of the org is told. */
    changes: `${base}:changes`,
  };
}
