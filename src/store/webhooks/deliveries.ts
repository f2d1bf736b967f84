// Deliveries: the record of each attempt to send an event to a receiver. The result of an attempt is recorded in one
// script that checks the lease (`delivery-lease.ts`).

import { readJson, readShape } from '../../state/text/forms.ts';
import { type Failing, periodOf } from '../../state/webhooks/endpoint.ts';
import { pairsOf } from '../redis/archive.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { fetched, nullIfUnreadable, required } from '../redis/unreadable.ts';
import { countedAt } from '../stats/delivery-counts.ts';
import { liveOrArchived } from '../tasks/archived.ts';
import { type Delivery, type DeliveryStatus, packDelivery, readDelivery } from './delivery-record.ts';
import {
  aroundSequence,
  type DeliveryTarget,
  deadMember,
  deliveriesIndex,
  fieldOf,
  listedMember,
  pendingMember,
} from './delivery-target.ts';

// Records the result of an attempt while the lease is held. With ordered delivery, a settled delivery makes the next
// one that waits for it due.
// ARGV: member, lease, field, packed delivery, next attempt or '', 1 if it stops the callback, member of the exhausted list
// or ''; for endpoints member of the status lists or '', 1 on success, now, health period; then 1 if ordered, prefix and
// suffix of the member around the sequence; field of the count or '', and when the counts expire. A damaged count stops no delivery.
const RECORD = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return {0} end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
if ARGV[15] ~= '' and redis.pcall('HINCRBY', KEYS[8], ARGV[15], 1) == 1 then redis.call('PEXPIREAT', KEYS[8], ARGV[16]) end
if ARGV[6] == '1' then redis.call('HSET', KEYS[2], 'gone', '1') end
if ARGV[5] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], ARGV[5], ARGV[1]) end
if ARGV[7] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[7]) end
local released = ''
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
      released = tostring(first)
    end
  end
end
if ARGV[8] == '' then return {1, '', '', released} end
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[5], ARGV[8])
  redis.call('ZADD', KEYS[6], 0, ARGV[8])
end
if ARGV[9] == '' then return {1, '', '', released} end
if ARGV[9] == '1' then redis.call('DEL', KEYS[4]) return {1, '', '', released} end
redis.call('HSETNX', KEYS[4], 'f', ARGV[10])
if redis.call('HGET', KEYS[4], 'l') ~= ARGV[11] then
  redis.call('HINCRBY', KEYS[4], 'n', 1)
  redis.call('HSET', KEYS[4], 'l', ARGV[11])
end
return {1, redis.call('HGET', KEYS[4], 'f'), redis.call('HGET', KEYS[4], 'n'), released}
`;

const runRecord = defineScript<[number, string?, string?, string?]>(RECORD);

/** A message to an endpoint that belongs to no task, such as a test message: its id, time (ms) and body. */
export interface Message {
  id: string;
  at: number;
  body: string;
}

/** Result of a leased delivery. */
export interface Outcome {
  /** The lease, from `leaseDelivery`. */
  score: number;
  delivery: Delivery;
  /** When the next attempt is due, ms; null when the delivery is settled. */
  nextAt: number | null;
  /** The task's own callback answered 410: it gets no further events of this task. */
  stopsCallback: boolean;
  /** Time of the event, ms; null when the event no longer exists. */
  eventAt: number | null;
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
): Promise<{ failing: Failing | null; releasedSequence: number | null } | null> {
  const { inOrder = false, isUnsent = false } = outcome;
  const { score, delivery, nextAt, stopsCallback, eventAt, failingLimit } = outcome;
  const { endpoint_id: endpoint } = target;
  const keys = orgKeysOf(db.prefix, target.org_id);
  const now = db.clock.now();
  const isAttempt = delivery.status !== 'stopped' && !isUnsent;
  const counted = countedAt(db, target.org_id, delivery.status, now);
  const indexOf = (status: DeliveryStatus) =>
    endpoint === undefined ? keys.dead : keys.index(deliveriesIndex(endpoint, status));
  const [done, since, periods, released] = await runRecord(
    db.redis,
    [
      keys.pendingDeliveries,
      keys.deliveries(target.task_id),
      keys.dead,
      endpoint === undefined ? keys.dead : keys.endpointHealth(endpoint),
      indexOf('pending'),
      indexOf(delivery.status),
      keys.ordering(target.task_id),
      counted.key,
    ],
    [
      pendingMember(target),
      score,
      fieldOf(target),
      packDelivery(delivery),
      nextAt ?? '',
      stopsCallback ? 1 : 0,
      delivery.status === 'exhausted' && eventAt !== null ? deadMember(target, eventAt) : '',
      endpoint === undefined || eventAt === null ? '' : listedMember(target, eventAt),
      isAttempt ? (delivery.status === 'succeeded' ? 1 : 0) : '',
      now,
      periodOf(now, failingLimit),
      inOrder ? 1 : '',
      ...aroundSequence(target),
      isAttempt ? counted.field : '',
      counted.expiresAt,
    ],
  );
  if (done !== 1) return null;
  return {
    failing: since ? { since: Number(since), periods: Number(periods) } : null,
    releasedSequence: released ? Number(released) : null,
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

/**
 * All readable deliveries of a task by their field, `<sequence>[ <endpoint>]`.
 * @param mayBeArchived looks for those of an archived task too. @throws the errors of the archive
 */
export async function loadDeliveries(
  db: Db,
  orgId: string,
  taskId: string,
  mayBeArchived = false,
): Promise<Map<string, Delivery>> {
  const key = orgKeysOf(db.prefix, orgId).deliveries(taskId);
  const live = async () => Object.entries(await fetched(key, db.redis.hgetallBuffer(key)));
  const ofArchived = () =>
    liveOrArchived(
      db,
      orgId,
      taskId,
      async () => {
        const fields = await live();
        return fields.length === 0 ? null : fields;
      },
      ({ deliveries }) => pairsOf(deliveries),
    );
  const all = mayBeArchived ? ((await ofArchived()) ?? []) : await live();
  const found = new Map<string, Delivery>();
  for (const [field, stored] of all) {
    if (field === 'gone') continue;
    const delivery = await nullIfUnreadable(db, async () => requireDelivery(`${key} ${field}`, stored));
    if (delivery !== null) found.set(field, delivery);
  }
  return found;
}
