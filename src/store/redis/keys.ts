// The names of all keys. All keys of one org share one hash tag, its partition, so that one script can change them
// together, on a single Redis and on a Redis Cluster alike.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { orgOf } from '../../state/access/tenant.ts';

/**
 * The partitions, sorted, by their number. Part of the data layout: never change them for existing data. The slot of each is in
 * another 256th of the slots of a cluster, so that masters with equal shares of the slots have equal numbers of partitions, also
 * of the first 16.
 */
// biome-ignore format: a table
export const PARTITIONS: readonly string[] = [
  'p08', 'p09', 'p18', 'p19', 'p20', 'p22', 'p34', 'p36', 'p48', 'p49', 'p58', 'p59', 'p81', 'p83', 'p95', 'p97',
  'q00', 'q01', 'q02', 'q03', 'q04', 'q05', 'q06', 'q07', 'q08', 'q09', 'q0a', 'q0b', 'q0c', 'q0d', 'q0e', 'q0f',
  'q0g', 'q0h', 'q0i', 'q0j', 'q0k', 'q0l', 'q0m', 'q0n', 'q0o', 'q0p', 'q0q', 'q0r', 'q0s', 'q0t', 'q0u', 'q0v',
  'q0w', 'q0z', 'q10', 'q11', 'q12', 'q13', 'q14', 'q15', 'q16', 'q17', 'q18', 'q19', 'q1a', 'q1b', 'q1c', 'q1d',
  'q1e', 'q1f', 'q1g', 'q1h', 'q1i', 'q1j', 'q1k', 'q1l', 'q1m', 'q1n', 'q1o', 'q1p', 'q1q', 'q1r', 'q1s', 'q1t',
  'q1u', 'q1v', 'q1w', 'q1z', 'q20', 'q21', 'q22', 'q23', 'q24', 'q25', 'q26', 'q27', 'q28', 'q29', 'q2a', 'q2b',
  'q2c', 'q2d', 'q2e', 'q2f', 'q2g', 'q2h', 'q2i', 'q2j', 'q2k', 'q2l', 'q2m', 'q2n', 'q2o', 'q2q', 'q2s', 'q2t',
  'q2u', 'q2v', 'q2w', 'q2x', 'q2y', 'q2z', 'q30', 'q31', 'q32', 'q33', 'q34', 'q35', 'q36', 'q37', 'q38', 'q39',
  'q3a', 'q3b', 'q3c', 'q3d', 'q3e', 'q3f', 'q3g', 'q3h', 'q3i', 'q3j', 'q3k', 'q3l', 'q3m', 'q3n', 'q3o', 'q3p',
  'q3q', 'q3r', 'q3s', 'q3u', 'q3w', 'q3x', 'q3y', 'q3z', 'q43', 'q4h', 'q4i', 'q4l', 'q4m', 'q4n', 'q4o', 'q4p',
  'q4q', 'q4r', 'q4s', 'q4t', 'q4u', 'q4v', 'q4w', 'q4z', 'q53', 'q5h', 'q5i', 'q5l', 'q5m', 'q5n', 'q5o', 'q5p',
  'q5q', 'q5r', 'q5s', 'q5t', 'q5u', 'q5v', 'q5w', 'q5z', 'q63', 'q6h', 'q6i', 'q6l', 'q6m', 'q6n', 'q6o', 'q6p',
  'q6q', 'q6r', 'q6s', 'q6u', 'q6w', 'q6x', 'q6y', 'q6z', 'q73', 'q7h', 'q7i', 'q7l', 'q7m', 'q7n', 'q7o', 'q7q',
  'q7s', 'q7t', 'q7u', 'q7v', 'q7w', 'q7x', 'q7y', 'q7z', 'q8z', 'q9z', 'qap', 'qat', 'qau', 'qav', 'qaw', 'qbt',
  'qbu', 'qbv', 'qbw', 'qct', 'qcu', 'qcv', 'qcw', 'qdp', 'qdt', 'qdu', 'qdv', 'qdw', 'qep', 'qet', 'qeu', 'qev',
  'qew', 'qfp', 'qft', 'qfu', 'qfv', 'qfw', 'qgp', 'qgt', 'qgu', 'qgv', 'qgw', 'qoq', 'qot', 'qou', 'qov', 'qow',
];

/** Number of partitions. */
export const PARTITION_COUNT = PARTITIONS.length;

/**
 * The partitions of what has no numbered id, by a hash: orgs of the releases that knew only these, sign-in attempts and sessions
 * of the authorization server.
 */
export const HASHED_PARTITIONS = 16;

/** An id with the number of its partition; see `newNumberedId`. */
const NUMBERED = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{9}([0-9a-f]{3})$/;

/** The partition of an org, which its sandbox has too, or of another text. */
export function partitionOf(orgId: string): string {
  const org = orgOf(orgId);
  return numberedPartition(org) ?? hashedPartition(org);
}

/** The partition whose number is in the id of an org; undefined when none is. */
export function numberedPartition(org: string): string | undefined {
  const [, number = ''] = NUMBERED.exec(org) ?? [];
  return PARTITIONS[Number.parseInt(number, 16)];
}

function hashedPartition(text: string): string {
  const byte = hash('sha256', text, 'buffer')[0] ?? 0;
  return PARTITIONS[byte % HASHED_PARTITIONS] ?? 'p08';
}

export type PartitionKeys = ReturnType<typeof makePartitionKeys>;

/** Keys of partitions by prefix and partition: a process hardly ever has more than one prefix. */
const partitions = new LRUCache<string, PartitionKeys>({ max: PARTITION_COUNT });

/** Keys that a whole partition shares. */
export function partitionKeys(prefix: string, partition: string): PartitionKeys {
  const name = `${prefix} ${partition}`;
  let keys = partitions.get(name);
  if (keys === undefined) {
    keys = makePartitionKeys(prefix, partition);
    partitions.set(name, keys);
  }
  return keys;
}

function makePartitionKeys(prefix: string, partition: string) {
  const base = `${prefix}:{${partition}}`;
  return {
    /** Stream: entries that the relay turns into jobs; and the channel on which a commit says that there are some. */
    outbox: `${base}:outbox`,
    /** Stream: outbox entries of a newer format version, kept for a process that can read them. */
    newerEntries: `${base}:newer-entries`,
    /** Stream: entries that cannot be used; see `dead-entries.ts`. */
    deadEntries: `${base}:dead-entries`,
    /** Hash: name of a damaged record → the dead entry that reports it. */
    deadNames: `${base}:dead-names`,
    /** Set: ids of the orgs here, and of their sandboxes. */
    orgs: `${base}:orgs`,
    /** Sorted set by text: ids of the orgs here, which sort by creation. */
    orgList: `${base}:org-list`,
    /** Hash: org or sandbox → the turn in which its match requests are handled. */
    matchTurns: `${base}:match-turns`,
    /** Sorted set: `<org> <task>` by when its next scheduled check is due. */
    due: `${base}:due`,
    /** Sorted set: members of `due` that a job works on, by when that claim ends (ms). */
    dueClaims: `${base}:due-claims`,
    /** Sorted set by text: `<org> <time>:<task> <sequence>[ <endpoint>]` of exhausted deliveries. */
    dead: `${base}:dead`,
    /** Sorted set: `<org> <task> <sequence>[ <endpoint>]` of pending deliveries, by when the next attempt is due. */
    pendingDeliveries: `${base}:pending-deliveries`,
    /** Sorted set: `<org> <worker> <notice>` of notices that are not settled, by when their next step is due. */
    pendingNotices: `${base}:pending-notices`,
    /** Sorted set: `<org> <replay>` of running replays, by when their next step is due. */
    replays: `${base}:replays`,
    /** Sorted set: `<org> <bulk action>` of those that run, by when their next step is due. */
    bulkActions: `${base}:bulk-actions`,
    /** Set: `<org> <receiver>` of receivers with a backlog. */
    backlogged: `${base}:backlogged`,
    /** Sorted set: `<org> <endpoint>` by when its ordered delivery was turned off, until its waiting deliveries are released. */
    orderReleased: `${base}:order-released`,
    /**
     * Sorted set: `<org> <worker> <task>` of reservations of removed workers that are to be released, by when the worker was
     * removed.
     */
    orphanedReservations: `${base}:orphaned-reservations`,
    /** Sorted set: `<org> <pool>` of removed pools that still have workers or tasks in hand, by when they were removed. */
    removedPools: `${base}:removed-pools`,
    /** Sorted set: finished tasks by when to purge them, or their history alone; see `store/tasks/retention-index.ts`. */
    purges: `${base}:purges`,
    /** Sorted set: likewise, in the form of earlier versions: `<org> <task>`, or `<org> <task> log` for the history alone. */
    retain: `${base}:retain`,
    /** Sorted set: `<org> <segment>` of segments of the archive, by when to bring their tasks back for the purge. */
    segments: `${base}:segments`,
    /** Sorted set: paths of files that belong to no evidence, by upload time; 0: marked for removal (tombstone). */
    orphanedFiles: `${base}:orphaned-files`,
    /** Never exists: what a check whether Redis takes writes would write. */
    writable: `${base}:writable`,
    /** Exists only within a script: a hash whose encoding is looked at. */
    encoding: `${base}:encoding`,
    /** List: samples of the numbers that are not yet added to the tallies; see `store/stats/sample-log.ts`. */
    statsLog: `${base}:stats-log`,
    /** Hash: `v`, how often samples were added to the tallies. */
    statsVersion: `${base}:stats-version`,
    /** String: the principal of a credential, by the SHA-256 of the credential. */
    credential: (hash: string) => `${base}:credential:${hash}`,
    /**
     * Hash or string: a record of the authorization server (grant, code, session …), by the SHA-256 of its id. `v` 1, or 2
     * once it was used; `d` the sealed record; `p` version of the member's password; `c` when it was used (s).
     */
    oauth: (name: string) => `${base}:oauth:${name}`,
    /**
     * String: number of recent sign-in attempts from a network. Hash: attempts at an account (`n`) and when the next is
     * allowed (`t`, ms).
     */
    attempts: (name: string) => `${base}:sign-in-attempts:${name}`,
  };
}

/** String: written before replicas are waited for that are to have another key, whose slot it shares. */
export function replicatedKey(prefix: string, key: string): string {
  const [, tag = key] = /\{([^}]+)\}/.exec(key) ?? [];
  return `${prefix}:{${tag}}:replicated`;
}

export type OrgKeys = ReturnType<typeof orgKeys>;

/** Orgs whose keys are kept: 3.4 KB each. */
const MAX_ORGS = 2000;
/** By org. */
const cache = new LRUCache<string, { prefix: string; keys: OrgKeys }>({ max: MAX_ORGS });

/** Keys of records that an org's live tenant and sandbox share: the org, its suspension and its API keys. */
export function sharedKeysOf(
  prefix: string,
  orgId: string,
): Pick<OrgKeys, 'org' | 'suspended' | 'apiKey' | 'index'> {
  return orgKeysOf(prefix, orgOf(orgId));
}

/** Keys of one org, or of one sandbox. */
export function orgKeysOf(prefix: string, orgId: string): OrgKeys {
  const known = cache.get(orgId);
  if (known?.prefix === prefix) return known.keys;
  const keys = orgKeys(prefix, orgId);
  cache.set(orgId, { prefix, keys });
  return keys;
}

function orgKeys(prefix: string, orgId: string) {
  const partition = partitionOf(orgId);
  const base = `${prefix}:{${partition}}:${orgId}`;
  return {
    partition,
    org: `${base}:org`,
    /** String: there while the org is suspended. */
    suspended: `${base}:suspended`,
    /**
     * Hash: `v` version, `s` state, `i` input, `h` last hash, `u` sequence of the last change of the metadata; or `z`,
     * everything packed, and `e`, when it ended (ms), once it is final; `o` when its callback wants ordered delivery.
     */
    task: (id: string) => `${base}:task:${id}`,
    /** Hash: which workers have which copies of a task; see `store/commands/copies.ts`. */
    claims: (id: string) => `${base}:claims:${id}`,
    /** List: one entry per event, while the task is open. */
    history: (id: string) => `${base}:history:${id}`,
    /** Hash: `<sequence>[ <endpoint>]` → the delivery with its attempts; empty before the first attempt. */
    deliveries: (id: string) => `${base}:deliveries:${id}`,
    /**
     * Hash of a task with ordered delivery: field of a delivery → when it first failed (ms); `w` and the field of a
     * delivery that waits for earlier events.
     */
    ordering: (id: string) => `${base}:ordering:${id}`,
    endpoint: (id: string) => `${base}:endpoint:${id}`,
    /**
     * Hash: since when (`f`, ms) all deliveries to an endpoint have failed, the last period (`l`) with a failure, and how
     * many periods (`n`).
     */
    endpointHealth: (id: string) => `${base}:endpoint-health:${id}`,
    /** Hash: a replay; `a`, the deliveries it enqueued that have not been attempted yet. */
    replay: (id: string) => `${base}:replay:${id}`,
    /** Hash: endpoint id → its running replay. */
    replaying: `${base}:replaying`,
    /** Hash: a bulk action; `o`, what it does and to which tasks; `x`, tasks that refused. */
    bulkAction: (id: string) => `${base}:bulk-action:${id}`,
    /** Set: ids of the org's bulk actions that run. */
    bulkRunning: `${base}:bulk-running`,
    /** Hash: `m`, a message to an endpoint that belongs to no task. */
    message: (id: string) => `${base}:message:${id}`,
    /** Sorted set: members of `pending-deliveries` that are parked for a receiver, by since when (ms). */
    backlog: (receiver: string) => `${base}:backlog:${receiver}`,
    /** Hash: `v` version, evidence id → the record of the file. */
    evidence: (taskId: string) => `${base}:evidence:${taskId}`,
    /** Hash: `v` version, `w` worker, `i` their incarnation, `t` when saved (ms), `d` the draft as JSON. */
    draft: (taskId: string) => `${base}:draft:${taskId}`,
    /** List: the messages of a task as JSON, oldest first. */
    messages: (taskId: string) => `${base}:messages:${taskId}`,
    /** Hash: a plain record, the newest version of a task type. */
    taskType: (name: string) => `${base}:task-type:${name}`,
    /** Hash: number → version of a task type as JSON. */
    taskTypeVersions: (name: string) => `${base}:task-type-versions:${name}`,
    worker: (id: string) => `${base}:worker:${id}`,
    /** Sorted set: `<offer> <task>` by when the offer ends or ended. */
    workerOffers: (id: string) => `${base}:offers:${id}`,
    /** Stream: recent changes of the worker's offers and tasks. */
    workerLog: (id: string) => `${base}:worker-log:${id}`,
    /** Set: ids of tasks that a removed worker of this id held and that have not been taken back yet. */
    removedWorkerTasks: (id: string) => `${base}:removed-worker-tasks:${id}`,
    /** Set: hashes of the worker's tokens. */
    workerTokens: (id: string) => `${base}:tokens:${id}`,
    /**
     * Sorted set: hashes of the sessions of a worker or member, by when they expire (ms); a session is valid only while it
     * is here.
     */
    sessions: (owner: string) => `${base}:sessions:${owner}`,
    /** Sorted set: hashes of unused sign-in links, likewise. */
    signInLinks: (owner: string) => `${base}:sign-in-links:${owner}`,
    /** Hash: a plain record, the notification channels of a worker. */
    notificationChannels: (workerId: string) => `${base}:notification-channels:${workerId}`,
    /** Set: ids of the workers who have notification channels. */
    notifiedWorkers: `${base}:notified-workers`,
    /** Hash: id → notice to a worker as JSON. */
    notices: (workerId: string) => `${base}:notices:${workerId}`,
    pool: (id: string) => `${base}:pool:${id}`,
    /** Hash: a plain record (see `records.ts`); `u`, when the key was last used (ms). */
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
    /** Hash: `evidence_bytes`, and `answers:<hour since 1970>`, bytes of idempotent responses recorded in that hour. */
    usage: `${base}:usage`,
    /** Hash: `k`, the sealed key of the org's archive; id of a segment of it → SHA-256 of its file. */
    archive: `${base}:archive`,
    idempotency: (hash: string) => `${base}:idempotency:${hash}`,
    /** Hash: `v` number of entries in the org's audit log, `h` hash and `t` time (ms) of the last. */
    auditHead: `${base}:audit-head`,
    /** Stream: the org's audit log; entry ids are `<ms>-<sequence>`. */
    audit: `${base}:audit`,
    /** Stream: the org's feed, one reference per event. */
    feed: `${base}:feed`,
    /** Hash: value of a dimension → tally of a day; by dimension and number of the day since 1970. */
    statsDay: (name: string) => `${base}:stats-day:${name}`,
    /** Hash: hour of the day (`00` to `23`) and value of a dimension → tally; named like `statsDay`. */
    statsHours: (name: string) => `${base}:stats-hours:${name}`,
    /** Hash: hour of a day and outcome (`7 exhausted`) → number of deliveries; by number of the day since 1970. */
    deliveryCounts: (day: string) => `${base}:delivery-counts:${day}`,
    /** Sorted set: values of a dimension that tasks of the org have, by when they were recorded last (ms). */
    statsValues: (dimension: string) => `${base}:stats-values:${dimension}`,
    /** Sorted set by text: an index, such as all tasks or the tasks of one status. */
    index: (name: string) => `${base}:index:${name}`,
    /** Sorted set by text: a required attribute, the id of a matching queue, and its requirements as JSON. */
    matchingQueues: `${base}:queues`,
    /** Sorted set by text: queue members (position and id) of the tasks that wait in a matching queue. */
    matchingQueue: (id: string) => `${base}:queue:${id}`,
    /** Sorted set: match requests (`task <id>` or `worker <id>`) in the order in which they were made. */
    matchRequests: `${base}:requests`,
    /** String: the span that made a match request last, as a `traceparent`, for a minute. @param member of `matchRequests` */
    matchTrace: (member: string) => `${base}:match-trace:${member}`,
    /** Sorted set: ready workers with an attribute, by idle time. */
    ready: (attribute: string) => `${base}:ready:${attribute}`,
    /** Sorted set: all ready workers by trust level or rating. */
    readyBy: (level: string) => `${base}:level:${level}`,
    /** Sharded channel of the org's change notifications. */
    changes: `${base}:changes`,
    // All orgs of a partition share them. At the end: properties after a spread are added one by one, which takes 0.3 ms.
    ...partitionKeys(prefix, partition),
  };
}
