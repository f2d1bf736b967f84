// Owes events to the endpoints of their org. The relay does it before it makes jobs, since a commit does not
// know the endpoints: what its outbox entry says is enough, and is done again if the relay dies over it.
// Also sends again: by hand, or in a replay.

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

// Once: that the field is there says that it was owed, and perhaps settled, before.
const OWE = `
if redis.call('HSETNX', KEYS[2], ARGV[3], '') == 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
return 1
`;

// ARGV: member, now, field, text as it was read, text from now on, member of lists or '', member of the dead,
// outbox entry, version of the endpoint or '', form of the entry.
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
  biolayerEnqueueDelivery: { lua: OWE, numberOfKeys: 3 },
  biolayerResend: { lua: RESEND, numberOfKeys: 8 },
});

type TaskEntry = Extract<OutboxEntry, { kind: 'task' }>;

/** Owes what the entries tell of to the endpoints that want it. @returns all that is, or was, owed by them. */
export async function enqueueEndpointDeliveries(
  db: Db,
  entries: readonly OutboxEntry[],
): Promise<DeliveryTarget[]> {
  const told = entries.filter((one): one is TaskEntry => one.kind === 'task' && one.events?.length > 0);
  const orgs = [...new Set(told.map((one) => one.org_id))];
  const loaded = await Promise.all(orgs.map((orgId) => allEndpoints(db, orgId)));
  const endpoints = new Map(orgs.map((orgId, index) => [orgId, loaded[index] ?? []]));
  const all = await enqueueEarlier(db, told, endpoints);
  const writing: Promise<unknown>[] = [];
  for (const entry of told)
    for (const endpoint of endpoints.get(entry.org_id) ?? [])
      for (const [index, type] of entry.events.entries()) {
        if (!wants(endpoint, `task.${type}`, entry.pool)) continue;
        const { org_id, task_id } = entry;
        const { endpoint_id } = endpoint;
        const owed: DeliveryTarget = { org_id, task_id, sequence: entry.first + index, endpoint_id };
        all.push(owed);
        writing.push(enqueueDelivery(db, endpoint, owed, entry.at));
      }
  await Promise.all(writing);
  return all;
}

/**
 * Owes what came before, where an endpoint is told in order: entries of one task may be relayed in any order, and
 * whoever is sent an event must find those before it owed. An entry that another relay still has in hand is owed
 * here; what is older than the endpoint as it is now was seen to before.
 */
async function enqueueEarlier(
  db: Db,
  told: readonly TaskEntry[],
  endpoints: ReadonlyMap<string, readonly Endpoint[]>,
): Promise<DeliveryTarget[]> {
  const found: DeliveryTarget[] = [];
  for (const { org_id, task_id, first, pool } of told)
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
        const owed: DeliveryTarget = { org_id, task_id, sequence, endpoint_id };
        await enqueueDelivery(db, endpoint, owed, at);
        found.push(owed);
      }
    }
  return found;
}

function enqueueDelivery(db: Db, endpoint: Endpoint, owed: DeliveryTarget, at: number): Promise<number> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  return withScripts(db.redis).biolayerEnqueueDelivery(
    keys.pendingDeliveries,
    keys.deliveries(owed.task_id),
    keys.index(deliveriesIndex(endpoint.endpoint_id, 'pending')),
    pendingMember(owed),
    db.clock.now(),
    fieldOf(owed),
    listedMember(owed, at),
  );
}

/**
 * Makes a delivery due now, whatever became of it before; its next attempt follows those already made.
 * @param before as it was loaded; null when the event was never owed to this receiver.
 * @param eventAt when its event was, ms. @param again tells the job of this from those before it.
 * @param receiver the endpoint it goes to, as it was loaded; null for a task's own receiver.
 * @returns `busy` when an attempt is being made right now, `changed` when it, or the endpoint, is not as it was loaded.
 */
export function resend(
  db: Db,
  owed: DeliveryTarget,
  before: Delivery | null,
  eventAt: number,
  again: string,
  receiver: Endpoint | null,
): Promise<'ok' | 'busy' | 'changed'> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const { endpoint_id: endpoint } = owed;
  const isNew = before === null || before.attempts.length + Number(before.status !== 'pending') === 0;
  const entry: OutboxEntry = { kind: 'delivery', ...owed, again };
  const indexOf = (status: Delivery['status']) =>
    endpoint === undefined ? keys.dead : keys.index(deliveriesIndex(endpoint, status));
  return withScripts(db.redis).biolayerResend(
    keys.pendingDeliveries,
    keys.deliveries(owed.task_id),
    keys.dead,
    indexOf(before?.status ?? 'pending'),
    indexOf('pending'),
    keys.outbox,
    keys.ordering(owed.task_id),
    receiver === null ? keys.dead : keys.endpoint(receiver.endpoint_id),
    pendingMember(owed),
    db.clock.now(),
    fieldOf(owed),
    isNew ? '' : packDelivery(before),
    isNew ? '' : packDelivery({ ...before, status: 'pending' }),
    endpoint === undefined ? '' : listedMember(owed, eventAt),
    deadMember(owed, eventAt),
    JSON.stringify(entry),
    receiver?.version ?? '',
    ENTRY_FORM,
  );
}

/**
 * Guards and writes that make a delivery due now that is settled, or that was never owed: `resend`, for several in
 * one commit. They do not hold when it is not as it was loaded any more.
 * @param before as it was loaded and as it is stored; null when the event was never owed to the endpoint.
 */
export function resendWrites(
  db: Db,
  owed: DeliveryTarget & { endpoint_id: string },
  before: { delivery: Delivery; stored: Buffer } | null,
  eventAt: number,
  again: string,
): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const [key, field] = [keys.deliveries(owed.task_id), fieldOf(owed)];
  const entry: OutboxEntry = { kind: 'delivery', ...owed, again };
  const indexOf = (status: Delivery['status']) => keys.index(deliveriesIndex(owed.endpoint_id, status));
  const listed = listedMember(owed, eventAt);
  return {
    guards: [{ kind: 'field', key, field, value: before?.stored ?? null }],
    writes: [
      ['HSET', key, field, before === null ? '' : packDelivery({ ...before.delivery, status: 'pending' })],
      ['ZADD', keys.pendingDeliveries, db.clock.now(), pendingMember(owed)],
      ['HDEL', keys.ordering(owed.task_id), field],
      ...(before === null
        ? []
        : ([
            ['ZREM', keys.dead, deadMember(owed, eventAt)],
            ['ZREM', indexOf(before.delivery.status), listed],
          ] as const)),
      ['ZADD', indexOf('pending'), 0, listed],
      outboxWrite(keys.outbox, entry),
    ],
  };
}

/** How long a message that is about no task can be delivered, ms. */
const MESSAGE_KEPT = 30 * 24 * 3600 * 1000;

/** Guards and writes that owe a message that is about no task to an endpoint, at once. */
export function messageWrites(
  db: Db,
  orgId: string,
  endpointId: string,
  message: { id: string; at: number; body: string },
): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, orgId);
  const owed: DeliveryTarget = { org_id: orgId, task_id: message.id, sequence: 0, endpoint_id: endpointId };
  const entry: OutboxEntry = { kind: 'delivery', ...owed, again: 'first' };
  return {
    guards: [{ kind: 'absent', key: keys.message(message.id) }],
    writes: [
      ['HSET', keys.message(message.id), 'm', JSON.stringify(message)],
      ['PEXPIRE', keys.message(message.id), MESSAGE_KEPT],
      ['HSET', keys.deliveries(message.id), fieldOf(owed), ''],
      ['PEXPIRE', keys.deliveries(message.id), MESSAGE_KEPT],
      ['ZADD', keys.index('messages'), 0, message.id],
      ['ZREMRANGEBYLEX', keys.index('messages'), '-', `(${idFloor(message.at - 2 * MESSAGE_KEPT)}`],
      ['ZADD', keys.index(deliveriesIndex(endpointId, 'pending')), 0, listedMember(owed, message.at)],
      ['ZADD', keys.pendingDeliveries, message.at, pendingMember(owed)],
      outboxWrite(keys.outbox, entry),
    ],
  };
}
