// Leases of deliveries. A pending delivery is a member of the partition's `pending-deliveries` set, scored by its next
// attempt. A worker process leases it for the time of an attempt. A score that ends in half a millisecond is a lease.

import { inputAt } from '../../state/tasks/patch.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { RETRY_UNREADABLE_AFTER_MS } from '../redis/unreadable.ts';
import { loadWhole, readWebhookSubject, type WebhookSubject } from '../tasks/tasks.ts';
import { type Message, requireDelivery, requireMessage } from './deliveries.ts';
import type { Delivery } from './delivery-record.ts';
import { aroundSequence, type DeliveryTarget, fieldOf, pendingMember } from './delivery-target.ts';

// Leases a delivery and reads all that it needs in one round trip: earlier attempts and the event.
// With ordered delivery (ARGV[6]; for the task's own callback, which has no suffix, the task's flag `o`) it waits
// while an earlier event is pending, until that is settled or has been failing for the block time (ARGV[9]).
// ARGV: member, now, lease, field, sequence, 1 if ordered, prefix and suffix of the member around the sequence, block time.
const LEASE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {} end
local now = tonumber(ARGV[2])
local due = tonumber(score)
-- A lease that ends more than 5 s after ours would was taken before Redis' clock moved back; it is ignored.
local isFromFuture = due % 1 ~= 0 and due > tonumber(ARGV[3]) + 5000
if due > now and not isFromFuture then return {score} end
local task = redis.call('HMGET', KEYS[3], 'i', 'z', 'm', 'o', 'f', 'u')
if ARGV[6] == '1' or (ARGV[8] == '' and task[4]) then
  for before = 1, tonumber(ARGV[5]) - 1 do
    local other = before .. ARGV[8]
    if redis.call('ZSCORE', KEYS[1], ARGV[7] .. other) then
      local failing_since = tonumber(redis.call('HGET', KEYS[5], other) or now)
      local block_ends = math.ceil(failing_since + tonumber(ARGV[9]))
      if block_ends > now then
        redis.call('HSET', KEYS[5], 'w' .. ARGV[4], '')
        redis.call('ZADD', KEYS[1], block_ends, ARGV[1])
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
return {ARGV[3], delivery[1], delivery[2], task[1], task[2], entry, task[5], task[6]}
`;

const runLease = defineScript<(Buffer | null | undefined)[]>(LEASE, null);

/** With ordered delivery: for how long a failing delivery blocks those after it, ms. */
export const MAX_ORDER_BLOCK_MS = 3600_000;

/** Upper bound of the difference between the clocks of two processes, ms; a holder treats its lease as that much shorter. */
const MAX_CLOCK_ERROR_MS = 1000;

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
  /** The task's own callback has answered 410 to another event. */
  isCallbackStopped: boolean;
  /** The event with its task; null when the task was purged, or for a message. */
  subject: WebhookSubject | null;
  /** The message, for a delivery that belongs to no task; else null. */
  message: Message | null;
}

/**
 * Leases a due delivery for `leaseMs`, so that two attempts never overlap. If the process dies, the delivery is due
 * again when the lease ends.
 * @param order whether its endpoint wants ordered delivery (for the task's own callback the task decides), and for how
 *   long a failing delivery blocks those after it, ms.
 * @returns the delivery; or when it is due, ms; or null when it is settled or waits for earlier events.
 * @throws UnreadableRecord when the delivery, its task or its message cannot be read; the lease then stays
 */
export async function leaseDelivery(
  db: Db,
  target: DeliveryTarget,
  leaseMs: number,
  order: { inOrder: boolean; blockMs: number } = { inOrder: false, blockMs: MAX_ORDER_BLOCK_MS },
): Promise<LeasedDelivery | { dueAt: number } | null> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const until = performance.now() + leaseMs - MAX_CLOCK_ERROR_MS;
  const now = db.clock.now();
  const isMessage = target.sequence === 0;
  const [score, recorded, stopped, input, packed, entry, form, since] = await runLease(
    db.redis,
    [
      keys.pendingDeliveries,
      keys.deliveries(target.task_id),
      isMessage ? keys.message(target.task_id) : keys.task(target.task_id),
      keys.history(target.task_id),
      keys.ordering(target.task_id),
    ],
    [
      pendingMember(target),
      now,
      Math.floor(now) + leaseMs + 0.5,
      fieldOf(target),
      target.sequence,
      order.inOrder ? 1 : '',
      ...aroundSequence(target),
      order.blockMs,
    ],
  );
  if (!score) return null;
  if (recorded === undefined) return { dueAt: Number(score.toString()) };
  const subject = isMessage
    ? null
    : readWebhookSubject(keys.task(target.task_id), target, {
        input: input ?? null,
        packed: packed ?? null,
        entry: entry ?? null,
        form: form ?? null,
      });
  // The metadata of an open task has changed since the event.
  if (subject !== null && since && target.sequence < Number(since.toString())) {
    const whole = await loadWhole(db, target.org_id, target.task_id);
    if (whole === null) return null;
    subject.task.input = inputAt(whole.task.input, whole.history.slice(target.sequence));
  }
  return {
    delivery: requireDelivery(keys.deliveries(target.task_id), recorded),
    score: Number(score.toString()),
    until,
    inOrder: order.inOrder,
    isCallbackStopped: stopped !== null && target.endpoint_id === undefined,
    subject,
    message: isMessage && entry ? requireMessage(keys.message(target.task_id), entry.toString()) : null,
  };
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
  await db.redis.zadd(key, 'XX', db.clock.now() + RETRY_UNREADABLE_AFTER_MS, pendingMember(target));
}
