// Deliveries: the attempts to send an event to a receiver, and when the next attempt is due. A pending delivery is a
// member of the partition's `pending-deliveries` set, scored by its next attempt. A worker process leases it for the
// time of an attempt, and records the attempt in one script that checks the lease. A score that ends in half a
// millisecond is a lease.

import { readJson, readShape } from '../../state/text/forms.ts';
import { type Failing, periodOf } from '../../state/webhooks/endpoint.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';
import { fetched, PUT_OFF, readableOrNull, required } from '../redis/unreadable.ts';
import { readWebhookSubject, type WebhookSubject } from '../tasks/tasks.ts';
import { type Delivery, type DeliveryStatus, packDelivery, readDelivery } from './delivery-record.ts';
import { type DeliveryTarget, fieldOf, listedMember, pendingMember } from './delivery-target.ts';

export { type DeliveryTarget, PARKED } from './delivery-target.ts';

/** Member of the partition's list of exhausted deliveries. */
export function deadMember(target: DeliveryTarget, at: number): string {
  return `${target.org_id} ${listedMember(target, at)}`;
}

/** Name of the index of an endpoint's deliveries with a status. */
export function deliveriesIndex(endpointId: string, status: DeliveryStatus): string {
  return `deliveries:${endpointId}:${status}`;
}

// Leases a delivery and reads all that it needs in one round trip: earlier attempts and the event.
// With ordered delivery (ARGV[6]; for the task's own callback, which has no suffix, the task's flag `o`) it waits
// while an earlier event is pending, until that is settled or has been failing for the hold time (ARGV[9]).
// ARGV: member, now, lease, field, sequence, 1 if ordered, prefix and suffix of the member around the sequence, hold.
const LEASE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {} end
local now = tonumber(ARGV[2])
local due = tonumber(score)
-- No lease lasts much longer than ours would: one that does was given before the clock went back.
local isFromFuture = due % 1 ~= 0 and due > tonumber(ARGV[3]) + 5000
if due > now and not isFromFuture then return {score} end
local task = redis.call('HMGET', KEYS[3], 'i', 'z', 'm', 'o', 'f')
if ARGV[6] == '1' or (ARGV[8] == '' and task[4]) then
  for before = 1, tonumber(ARGV[5]) - 1 do
    local other = before .. ARGV[8]
    if redis.call('ZSCORE', KEYS[1], ARGV[7] .. other) then
      local failing_since = tonumber(redis.call('HGET', KEYS[5], other) or now)
      local hold_ends = math.ceil(failing_since + tonumber(ARGV[9]))
      if hold_ends > now then
        redis.call('HSET', KEYS[5], 'w' .. ARGV[4], '')
        redis.call('ZADD', KEYS[1], hold_ends, ARGV[1])
        return {}
      end
    end
  end
  redis.call('HDEL', KEYS[5], 'w' .. ARGV[4])
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
local delivery = redis.call('HMGET', KEYS[2], ARGV[4], 'gone')
local at = tonumber(ARGV[5]) - 1
local entry = task[1] and redis.call('LRANGE', KEYS[4], at, at)[1] or task[3]
return {ARGV[3], delivery[1], delivery[2], task[1], task[2], entry, task[5]}
`;

// Records the result of an attempt while the lease is held. With ordered delivery, a settled delivery makes the next
// one that waits for it due.
// ARGV: member, lease, field, packed delivery, next attempt or '', 1 if gone, member of the exhausted list or '';
// for endpoints member of the status lists or '', 1 on success, now, health period; then 1 if ordered, prefix and
// suffix of the member around the sequence.
const RECORD = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return {0} end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
if ARGV[6] == '1' then redis.call('HSET', KEYS[2], 'gone', '1') end
if ARGV[5] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], ARGV[5], ARGV[1]) end
if ARGV[7] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[7]) end
local woken = ''
if ARGV[12] == '1' and ARGV[5] ~= '' then redis.call('HSETNX', KEYS[7], ARGV[3], ARGV[10])
elseif ARGV[12] == '1' then
  redis.call('HDEL', KEYS[7], ARGV[3])
  local first
  for _, field in ipairs(redis.call('HKEYS', KEYS[7])) do
    local sequence, rest = string.match(field, '^w(%d+)(.*)$')
    if sequence and rest == ARGV[14] and (not first or tonumber(sequence) < first) then first = tonumber(sequence) end
  end
  if first then
    local member = ARGV[13] .. first .. ARGV[14]
    local waiting = redis.call('ZSCORE', KEYS[1], member)
    redis.call('HDEL', KEYS[7], 'w' .. first .. ARGV[14])
    -- It may be leased already, if the endpoint's ordering was off in between; then the lease stays.
    if waiting and tonumber(waiting) % 1 == 0 then
      redis.call('ZADD', KEYS[1], ARGV[10], member)
      woken = tostring(first)
    end
  end
end
if ARGV[8] == '' then return {1, '', '', woken} end
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[5], ARGV[8])
  redis.call('ZADD', KEYS[6], 0, ARGV[8])
end
if ARGV[9] == '' then return {1, '', '', woken} end
if ARGV[9] == '1' then redis.call('DEL', KEYS[4]) return {1, '', '', woken} end
redis.call('HSETNX', KEYS[4], 'f', ARGV[10])
if redis.call('HGET', KEYS[4], 'l') ~= ARGV[11] then
  redis.call('HINCRBY', KEYS[4], 'n', 1)
  redis.call('HSET', KEYS[4], 'l', ARGV[11])
end
return {1, redis.call('HGET', KEYS[4], 'f'), redis.call('HGET', KEYS[4], 'n'), woken}
`;

const withScripts = defineScripts<{
  biolayerLeaseBuffer(...args: (string | number)[]): Promise<(Buffer | null | undefined)[]>;
  biolayerRecord(...args: (string | number | Buffer)[]): Promise<[number, string?, string?, string?]>;
}>({
  biolayerLease: { lua: LEASE, numberOfKeys: 5 },
  biolayerRecord: { lua: RECORD, numberOfKeys: 7 },
});

/** A message to an endpoint that belongs to no task, such as a test message: its id, time (ms) and body. */
export interface Message {
  id: string;
  at: number;
  body: string;
}

/** With ordered delivery: for how long a failing delivery holds back the ones after it, ms. */
export const HOLD = 3600_000;

/** Upper bound of the difference between the clocks of two processes, ms; a holder treats its lease as that much shorter. */
const CLOCK_ERROR = 1000;

/** A delivery that this process holds the lease of. */
export interface LeasedDelivery {
  delivery: Delivery;
  /** Identifies this lease when the attempt is recorded. */
  score: number;
  /**
   * End of the lease, by `performance.now()`. Counted from before the request to Redis, so neither a slow answer nor
   * a suspended process extends it.
   */
  until: number;
  /** Whether it was leased with ordered delivery; only for endpoints. */
  inOrder: boolean;
  /** The receiver has answered 410 to another event of the task. */
  gone: boolean;
  /** The event with its task; null when the task was purged, or for a message. */
  subject: WebhookSubject | null;
  /** The message, for a delivery that belongs to no task; else null. */
  message: Message | null;
}

/**
 * Leases a due delivery for `leaseMs`, so that two attempts never overlap. If the process dies, the delivery is due
 * again when the lease ends.
 * @param order whether its endpoint wants ordered delivery (for the task's own callback the task decides), and for how
 *   long a failing delivery holds back the ones after it, ms.
 * @returns the delivery; or when it is due, ms; or null when it is settled or waits for earlier events.
 * @throws UnreadableRecord when the delivery, its task or its message cannot be read; the lease then stays
 */
export async function leaseDelivery(
  db: Db,
  target: DeliveryTarget,
  leaseMs: number,
  order: { inOrder: boolean; holdMs: number } = { inOrder: false, holdMs: HOLD },
): Promise<LeasedDelivery | { dueAt: number } | null> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const until = performance.now() + leaseMs - CLOCK_ERROR;
  const now = db.clock.now();
  const isMessage = target.sequence === 0;
  const [score, recorded, gone, input, packed, entry, form] = await withScripts(db.redis).biolayerLeaseBuffer(
    keys.pendingDeliveries,
    keys.deliveries(target.task_id),
    isMessage ? keys.message(target.task_id) : keys.task(target.task_id),
    keys.history(target.task_id),
    keys.ordering(target.task_id),
    pendingMember(target),
    now,
    Math.floor(now) + leaseMs + 0.5,
    fieldOf(target),
    target.sequence,
    order.inOrder ? 1 : '',
    ...aroundSequence(target),
    order.holdMs,
  );
  if (!score) return null;
  if (recorded === undefined) return { dueAt: Number(score.toString()) };
  return {
    delivery: requireDelivery(keys.deliveries(target.task_id), recorded),
    score: Number(score.toString()),
    until,
    inOrder: order.inOrder,
    gone: gone !== null && target.endpoint_id === undefined,
    subject: isMessage
      ? null
      : readWebhookSubject(keys.task(target.task_id), target, {
          input: input ?? null,
          packed: packed ?? null,
          entry: entry ?? null,
          form: form ?? null,
        }),
    message: isMessage && entry ? requireMessage(keys.message(target.task_id), entry.toString()) : null,
  };
}

/** Prefix and suffix of its member of the `pending-deliveries` set; the sequence stands between them. */
function aroundSequence({ org_id, task_id, endpoint_id }: DeliveryTarget): [string, string] {
  return [`${org_id} ${task_id} `, endpoint_id === undefined ? '' : ` ${endpoint_id}`];
}

/** When the delivery is next due, ms; null when it is settled. */
export async function dueTimeOf(db: Db, target: DeliveryTarget): Promise<number | null> {
  const score = await db.redis.zscore(
    orgKeysOf(db.prefix, target.org_id).pendingDeliveries,
    pendingMember(target),
  );
  return score === null ? null : Number(score);
}

/** Postpones a delivery that cannot be read by ten minutes. */
export async function putOffDelivery(db: Db, target: DeliveryTarget): Promise<void> {
  const { pendingDeliveries: key } = orgKeysOf(db.prefix, target.org_id);
  await db.redis.zadd(key, 'XX', db.clock.now() + PUT_OFF, pendingMember(target));
}

/** Result of a leased delivery. */
export interface Outcome {
  /** The lease, from `leaseDelivery`. */
  score: number;
  delivery: Delivery;
  /** When the next attempt is due, ms; null when the delivery is settled. */
  nextAt: number | null;
  /** The task's own callback answered 410: it gets no further events of this task. */
  gone: boolean;
  /** Time of the event, ms. */
  eventAt: number;
  /** For how long an endpoint may fail before it is disabled, ms. */
  failingLimit: number;
  /** Whether its receiver wants ordered delivery. */
  inOrder?: boolean;
  /** Nothing was sent for a reason on our side, which does not count against the endpoint's health. */
  isUnsent?: boolean;
}

/**
 * Records the result of a leased delivery.
 * @returns null when the lease was lost, or this result was recorded before; then nothing is written. Else for how
 *   long its endpoint has been failing, if it has, and the sequence of the waiting event that is due now, if any.
 */
export async function recordDelivery(
  db: Db,
  target: DeliveryTarget,
  outcome: Outcome,
): Promise<{ failing: Failing | null; woken: number | null } | null> {
  const { inOrder = false, isUnsent = false } = outcome;
  const { score, delivery, nextAt, gone, eventAt, failingLimit } = outcome;
  const { endpoint_id: endpoint } = target;
  const keys = orgKeysOf(db.prefix, target.org_id);
  const now = db.clock.now();
  const isAttempt = delivery.status !== 'stopped' && !isUnsent;
  const indexOf = (status: DeliveryStatus) =>
    endpoint === undefined ? keys.dead : keys.index(deliveriesIndex(endpoint, status));
  const [done, since, periods, woken] = await withScripts(db.redis).biolayerRecord(
    keys.pendingDeliveries,
    keys.deliveries(target.task_id),
    keys.dead,
    endpoint === undefined ? keys.dead : keys.endpointHealth(endpoint),
    indexOf('pending'),
    indexOf(delivery.status),
    keys.ordering(target.task_id),
    pendingMember(target),
    score,
    fieldOf(target),
    packDelivery(delivery),
    nextAt ?? '',
    gone ? 1 : 0,
    delivery.status === 'exhausted' ? deadMember(target, eventAt) : '',
    endpoint === undefined ? '' : listedMember(target, eventAt),
    isAttempt ? (delivery.status === 'succeeded' ? 1 : 0) : '',
    now,
    periodOf(now, failingLimit),
    inOrder ? 1 : '',
    ...aroundSequence(target),
  );
  if (done !== 1) return null;
  return {
    failing: since ? { since: Number(since), periods: Number(periods) } : null,
    woken: woken ? Number(woken) : null,
  };
}

/** Reads a stored delivery. @param key named in the error. @throws UnreadableRecord */
export function requireDelivery(key: string, stored: Buffer | null): Delivery {
  return required(key, readDelivery(stored));
}

/** Reads a stored message from its JSON. @param key named in the error. @throws UnreadableRecord */
export function requireMessage(key: string, text: string): Message {
  const json = required(key, readJson(text));
  return required(key, readShape<Message>(json, { id: 'string', at: 'number', body: 'string' }));
}

/** All readable deliveries of a task by their field, `<sequence>[ <endpoint>]`. */
export async function loadDeliveries(db: Db, orgId: string, taskId: string): Promise<Map<string, Delivery>> {
  const key = orgKeysOf(db.prefix, orgId).deliveries(taskId);
  const all = await fetched(key, db.redis.hgetallBuffer(key));
  const found = new Map<string, Delivery>();
  for (const [field, stored] of Object.entries(all)) {
    if (field === 'gone') continue;
    const delivery = await readableOrNull(db, async () => requireDelivery(`${key} ${field}`, stored));
    if (delivery !== null) found.set(field, delivery);
  }
  return found;
}
