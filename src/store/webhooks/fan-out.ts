// Enqueues deliveries of events to the endpoints of their org. The relay does this before it adds jobs, because a commit
// does not know the endpoints. The outbox entry holds all that is needed, so another relay can repeat the step.
// Also redelivers, on request or in a replay, and enqueues test messages.

import { ENTRY_FORM, type OutboxEntry } from '../../state/outbox.ts';
import { type Endpoint, wants } from '../../state/webhooks/endpoint.ts';
import type { Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrite } from '../redis/outbox.ts';
import { defineScripts } from '../redis/scripts.ts';
import { loadHistory } from '../tasks/tasks.ts';
import { deadMember, deliveriesIndex } from './deliveries.ts';
import { type Delivery, packDelivery } from './delivery-record.ts';
import { type DeliveryTarget, fieldOf, listedMember, pendingMember } from './delivery-target.ts';
import { allEndpoints } from './endpoints.ts';

// Enqueues once: if the field exists, the delivery was enqueued before and may be settled.
// ARGV: member, now, field, member of lists.
const ENQUEUE = `
if redis.call('HSETNX', KEYS[2], ARGV[3], '') == 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
return 1
`;

// Makes a delivery due now, if it and its endpoint are as they were loaded and no attempt is in progress.
// ARGV: member, now, field, packed delivery as loaded, packed delivery to store, member of lists or '', member of the
// exhausted list, outbox entry, version of the endpoint or '', form of the entry.
const RESEND = `
if ARGV[9] ~= '' and redis.call('HGET', KEYS[8], 'v') ~= ARGV[9] then return 'changed' end
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) % 1 ~= 0 and tonumber(score) > tonumber(ARGV[2]) then return 'busy' end
if (redis.call('HGET', KEYS[2], ARGV[3]) or '') ~= ARGV[4] then return 'changed' end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[7])
redis.call('HDEL', KEYS[7], ARGV[3])
if ARGV[6] == '' then redis.call('HDEL', KEYS[2], 'gone')
else
  redis.call('ZREM', KEYS[4], ARGV[6])
  redis.call('ZADD', KEYS[5], 0, ARGV[6])
end
redis.call('XADD', KEYS[6], '*', 'd', ARGV[8], 'f', ARGV[10])
return 'ok'
`;

const withScripts = defineScripts<{
  biolayerEnqueueDelivery(...args: (string | number)[]): Promise<number>;
  biolayerResend(...args: (string | number | Buffer)[]): Promise<'ok' | 'busy' | 'changed'>;
}>({
  biolayerEnqueueDelivery: { lua: ENQUEUE, numberOfKeys: 3 },
  biolayerResend: { lua: RESEND, numberOfKeys: 8 },
});

type TaskEntry = Extract<OutboxEntry, { kind: 'task' }>;

/** Enqueues the events of outbox entries to the endpoints that want them. @returns all these deliveries, also those enqueued before. */
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
  for (const { org_id, task_id, first, pool } of taskEntries)
    for (const endpoint of endpoints.get(org_id) ?? []) {
      if (endpoint.ordering !== 'per_task' || first === 1) continue;
      const { endpoint_id } = endpoint;
      const earlier = Array.from({ length: first - 1 }, (_, index) => index + 1);
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
  return withScripts(db.redis).biolayerEnqueueDelivery(
    keys.pendingDeliveries,
    keys.deliveries(target.task_id),
    keys.index(deliveriesIndex(endpoint.endpoint_id, 'pending')),
    pendingMember(target),
    db.clock.now(),
    fieldOf(target),
    listedMember(target, at),
  );
}

/**
 * Makes a delivery due now, whatever its status; the attempts already made are kept.
 * @param before as loaded; null when the event was never enqueued to this receiver.
 * @param eventAt time of the event, ms. @param again distinguishes the id of the new job from earlier ones.
 * @param receiver the endpoint as loaded; null for the task's own callback.
 * @returns `busy` during an attempt, `changed` when the delivery or endpoint changed since it was loaded.
 */
export function resend(
  db: Db,
  target: DeliveryTarget,
  before: Delivery | null,
  eventAt: number,
  again: string,
  receiver: Endpoint | null,
): Promise<'ok' | 'busy' | 'changed'> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const { endpoint_id: endpoint } = target;
  const isNew = before === null || before.attempts.length + Number(before.status !== 'pending') === 0;
  const entry: OutboxEntry = { kind: 'delivery', ...target, again };
  const indexOf = (status: Delivery['status']) =>
    endpoint === undefined ? keys.dead : keys.index(deliveriesIndex(endpoint, status));
  return withScripts(db.redis).biolayerResend(
    keys.pendingDeliveries,
    keys.deliveries(target.task_id),
    keys.dead,
    indexOf(before?.status ?? 'pending'),
    indexOf('pending'),
    keys.outbox,
    keys.ordering(target.task_id),
    receiver === null ? keys.dead : keys.endpoint(receiver.endpoint_id),
    pendingMember(target),
    db.clock.now(),
    fieldOf(target),
    isNew ? '' : packDelivery(before),
    isNew ? '' : packDelivery({ ...before, status: 'pending' }),
    endpoint === undefined ? '' : listedMember(target, eventAt),
    deadMember(target, eventAt),
    JSON.stringify(entry),
    receiver?.version ?? '',
    ENTRY_FORM,
  );
}

/**
 * Guards and writes that make a settled or never enqueued delivery due now, as `resend` does, for use in a larger commit.
 * The guards fail when the delivery changed since it was loaded.
 * @param before as loaded and as stored; null when the event was never enqueued to the endpoint.
 */
export function resendWrites(
  db: Db,
  target: DeliveryTarget & { endpoint_id: string },
  before: { delivery: Delivery; stored: Buffer } | null,
  eventAt: number,
  again: string,
): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const [key, field] = [keys.deliveries(target.task_id), fieldOf(target)];
  const entry: OutboxEntry = { kind: 'delivery', ...target, again };
  const indexOf = (status: Delivery['status']) => keys.index(deliveriesIndex(target.endpoint_id, status));
  const listed = listedMember(target, eventAt);
  return {
    guards: [{ kind: 'field', key, field, value: before?.stored ?? null }],
    writes: [
      ['HSET', key, field, before === null ? '' : packDelivery({ ...before.delivery, status: 'pending' })],
      ['ZADD', keys.pendingDeliveries, db.clock.now(), pendingMember(target)],
      ['HDEL', keys.ordering(target.task_id), field],
      ...(before === null
        ? []
        : ([
            ['ZREM', keys.dead, deadMember(target, eventAt)],
            ['ZREM', indexOf(before.delivery.status), listed],
          ] as const)),
      ['ZADD', indexOf('pending'), 0, listed],
      outboxWrite(keys.outbox, entry),
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
): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, orgId);
  const target: DeliveryTarget = { org_id: orgId, task_id: message.id, sequence: 0, endpoint_id: endpointId };
  const entry: OutboxEntry = { kind: 'delivery', ...target, again: 'first' };
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
      outboxWrite(keys.outbox, entry),
    ],
  };
}
