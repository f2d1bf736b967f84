// Enqueues deliveries of events to the endpoints of their org. The relay does this before it adds jobs, because a commit
// does not know the endpoints. The outbox entry holds all that is needed, so another relay can repeat the step.
// Also redelivers, on request or in a replay, and enqueues test messages.

import type { OutboxEntry } from '../../state/outbox.ts';
import { type Endpoint, wants } from '../../state/webhooks/endpoint.ts';
import { type Change, commit, type Guard, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { defineScript } from '../redis/scripts.ts';
import { loadHistory } from '../tasks/tasks.ts';
import { type Delivery, packDelivery } from './delivery-record.ts';
import {
  type DeliveryTarget,
  deadMember,
  deliveriesIndex,
  fieldOf,
  listedMember,
  pendingMember,
} from './delivery-target.ts';
import { allEndpoints } from './endpoints.ts';

// Enqueues once: if the field exists, the delivery was enqueued before and may be settled.
// ARGV: member, now, field, member of lists.
const ENQUEUE = `
if redis.call('HSETNX', KEYS[2], ARGV[3], '') == 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
return 1
`;

const runEnqueue = defineScript<number>(ENQUEUE);

type TaskEntry = Extract<OutboxEntry, { kind: 'task' }>;

/**
 * Enqueues the events of outbox entries to the endpoints that want them.
 * @returns all these deliveries, also those enqueued before.
 */
export async function enqueueEndpointDeliveries(
  db: Db,
  entries: readonly OutboxEntry[],
): Promise<DeliveryTarget[]> {
  const taskEntries = entries.filter(
    (one): one is TaskEntry => one.kind === 'task' && one.events?.length > 0,
  );
  const orgs = [...new Set(taskEntries.map((one) => one.org_id))];
  const loaded = await Promise.all(orgs.map((orgId) => allEndpoints(db, orgId)));
  const endpoints = new Map(orgs.map((orgId, index) => [orgId, loaded[index] ?? []]));
  const all = await enqueueEarlier(db, taskEntries, endpoints);
  const writing: Promise<unknown>[] = [];
  for (const entry of taskEntries)
    for (const endpoint of endpoints.get(entry.org_id) ?? [])
      for (const [index, type] of entry.events.entries()) {
        if (!wants(endpoint, `task.${type}`, entry.pool)) continue;
        const { org_id, task_id } = entry;
        const { endpoint_id } = endpoint;
        const target: DeliveryTarget = { org_id, task_id, sequence: entry.first + index, endpoint_id };
        all.push(target);
        writing.push(enqueueDelivery(db, endpoint, target, entry.at));
      }
  await Promise.all(writing);
  return all;
}

/**
 * For endpoints with ordered delivery, also enqueues the earlier events of the task. Outbox entries of one task may be
 * relayed in any order, and a delivery only waits for earlier ones that are enqueued. Events before the last change of
 * the endpoint are left out.
 */
async function enqueueEarlier(
  db: Db,
  taskEntries: readonly TaskEntry[],
  endpoints: ReadonlyMap<string, readonly Endpoint[]>,
): Promise<DeliveryTarget[]> {
  const found: DeliveryTarget[] = [];
  for (const { org_id, task_id, first: firstSequence, pool } of taskEntries)
    for (const endpoint of endpoints.get(org_id) ?? []) {
      if (endpoint.ordering !== 'per_task' || firstSequence === 1) continue;
      const { endpoint_id } = endpoint;
      const earlier = Array.from({ length: firstSequence - 1 }, (_, index) => index + 1);
      const fields = earlier.map((sequence) => fieldOf({ sequence, endpoint_id }));
      const known = await db.redis.hmget(orgKeysOf(db.prefix, org_id).deliveries(task_id), ...fields);
      const missing = earlier.filter((_, index) => known[index] === null);
      if (missing.length === 0) continue;
      const history = await loadHistory(db, org_id, task_id);
      for (const sequence of missing) {
        const event = history[sequence - 1];
        const at = Date.parse(event?.at ?? '');
        if (event === undefined || !(at >= endpoint.updated_at) || !wants(endpoint, event.type, pool))
          continue;
        const target: DeliveryTarget = { org_id, task_id, sequence, endpoint_id };
        await enqueueDelivery(db, endpoint, target, at);
        found.push(target);
      }
    }
  return found;
}

function enqueueDelivery(db: Db, endpoint: Endpoint, target: DeliveryTarget, at: number): Promise<number> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  return runEnqueue(
    db.redis,
    [
      keys.pendingDeliveries,
      keys.deliveries(target.task_id),
      keys.index(deliveriesIndex(endpoint.endpoint_id, 'pending')),
    ],
    [pendingMember(target), db.clock.now(), fieldOf(target), listedMember(target, at)],
  );
}

/**
 * Makes a delivery due now, whatever its status; the attempts already made are kept.
 * @param before as loaded; null when the event was never enqueued to this receiver.
 * @param eventAt time of the event, ms. @param jobSuffix distinguishes the id of the new job from earlier ones.
 * @param receiver the endpoint as loaded; null for the task's own callback.
 * @param admitted guards of the credential by which the request is made.
 * @returns `busy` during an attempt, `changed` when the delivery, the endpoint or a guarded record has changed since.
 */
export async function resend(
  db: Db,
  target: DeliveryTarget,
  before: Delivery | null,
  eventAt: number,
  jobSuffix: string,
  receiver: Endpoint | null,
  admitted: readonly Guard[] = [],
): Promise<'ok' | 'busy' | 'changed'> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const { endpoint_id: endpoint } = target;
  const [member, field, deliveries] = [
    pendingMember(target),
    fieldOf(target),
    keys.deliveries(target.task_id),
  ];
  const [score, stored] = await Promise.all([
    db.redis.zscore(keys.pendingDeliveries, member),
    db.redis.hgetBuffer(deliveries, field),
  ]);
  const now = db.clock.now();
  // A fractional due time is the lease of an attempt in progress; see delivery-lease.ts.
  if (score !== null && Number(score) % 1 !== 0 && Number(score) > now) return 'busy';
  const isNew = before === null || before.attempts.length + Number(before.status !== 'pending') === 0;
  const text = isNew ? Buffer.alloc(0) : packDelivery(before);
  if (!text.equals(stored ?? Buffer.alloc(0))) return 'changed';
  const entry: OutboxEntry = { kind: 'delivery', ...target, id_suffix: jobSuffix };
  const guards: Guard[] = [
    ...admitted,
    { kind: 'score', key: keys.pendingDeliveries, member, score: score === null ? null : Number(score) },
    { kind: 'field', key: deliveries, field, value: stored },
  ];
  if (receiver !== null)
    guards.push({ kind: 'version', key: keys.endpoint(receiver.endpoint_id), version: receiver.version });
  const writes: Write[] = [
    ['HSET', deliveries, field, isNew ? '' : packDelivery({ ...before, status: 'pending' })],
    ['ZADD', keys.pendingDeliveries, now, member],
    ['ZREM', keys.dead, deadMember(target, eventAt)],
    ['HDEL', keys.ordering(target.task_id), field],
  ];
  if (endpoint === undefined) writes.push(['HDEL', deliveries, 'gone']);
  else {
    const indexOf = (status: Delivery['status']) => keys.index(deliveriesIndex(endpoint, status));
    const listed = listedMember(target, eventAt);
    writes.push(
      ['ZREM', indexOf(before?.status ?? 'pending'), listed],
      ['ZADD', indexOf('pending'), 0, listed],
    );
  }
  writes.push(...outboxWrites(keys.outbox, entry));
  return (await commit(db.redis, { guards, writes })) ? 'ok' : 'changed';
}

/**
 * Guards and writes that make a settled or never enqueued delivery due now, as `resend` does, for use in a larger commit.
 * The guards fail when the delivery changed since it was loaded.
 * @param before as loaded and as stored; null when the event was never enqueued to the receiver.
 */
export function resendWrites(
  db: Db,
  target: DeliveryTarget,
  before: { delivery: Delivery; stored: Buffer } | null,
  eventAt: number,
  jobSuffix: string,
): Change {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const [key, field] = [keys.deliveries(target.task_id), fieldOf(target)];
  const entry: OutboxEntry = { kind: 'delivery', ...target, id_suffix: jobSuffix };
  const { endpoint_id } = target;
  const listed = listedMember(target, eventAt);
  const moved: Write[] = [];
  if (endpoint_id === undefined) moved.push(['HDEL', key, 'gone']);
  else {
    const indexOf = (status: Delivery['status']) => keys.index(deliveriesIndex(endpoint_id, status));
    if (before !== null) moved.push(['ZREM', indexOf(before.delivery.status), listed]);
    moved.push(['ZADD', indexOf('pending'), 0, listed]);
  }
  return {
    guards: [{ kind: 'field', key, field, value: before?.stored ?? null }],
    writes: [
      ['HSET', key, field, before === null ? '' : packDelivery({ ...before.delivery, status: 'pending' })],
      ['ZADD', keys.pendingDeliveries, db.clock.now(), pendingMember(target)],
      ['HDEL', keys.ordering(target.task_id), field],
      ['ZREM', keys.dead, deadMember(target, eventAt)],
      ...moved,
      ...outboxWrites(keys.outbox, entry),
    ],
  };
}

/** How long a message that belongs to no task is kept, ms. */
const MESSAGE_KEPT = 30 * 24 * 3600 * 1000;

/** Guards and writes that enqueue a message that belongs to no task to an endpoint, due at once. */
export function messageWrites(
  db: Db,
  orgId: string,
  endpointId: string,
  message: { id: string; at: number; body: string },
): Change {
  const keys = orgKeysOf(db.prefix, orgId);
  const target: DeliveryTarget = { org_id: orgId, task_id: message.id, sequence: 0, endpoint_id: endpointId };
  const entry: OutboxEntry = { kind: 'delivery', ...target, id_suffix: 'first' };
  return {
    guards: [{ kind: 'absent', key: keys.message(message.id) }],
    writes: [
      ['HSET', keys.message(message.id), 'm', JSON.stringify(message)],
      ['PEXPIRE', keys.message(message.id), MESSAGE_KEPT],
      ['HSET', keys.deliveries(message.id), fieldOf(target), ''],
      ['PEXPIRE', keys.deliveries(message.id), MESSAGE_KEPT],
      ['ZADD', keys.index('messages'), 0, message.id],
      ['ZREMRANGEBYLEX', keys.index('messages'), '-', `(${idFloor(message.at - 2 * MESSAGE_KEPT)}`],
      ['ZADD', keys.index(deliveriesIndex(endpointId, 'pending')), 0, listedMember(target, message.at)],
      ['ZADD', keys.pendingDeliveries, message.at, pendingMember(target)],
      ...outboxWrites(keys.outbox, entry),
    ],
  };
}
