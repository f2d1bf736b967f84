// Deliveries: for every event to be told, what was tried and what comes next. A delivery that is owed stands
// in the partition's `owed` set by the time of its next try; whoever makes it takes it for a while, and
// records the attempt in one step that checks that it is still theirs. A time in the set that ends in half a
// millisecond is a lease: somebody has it in hand.

import { readJson, readShape } from '../../state/text/forms.ts';
import { type Failing, periodOf } from '../../state/webhooks/endpoint.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';
import { fetched, PUT_OFF, readableOrNull, required } from '../redis/unreadable.ts';
import { readTold, type Told } from '../tasks/tasks.ts';
import { type Delivery, type DeliveryStatus, packDelivery, readDelivery } from './delivery-record.ts';
import { type DeliveryTarget, fieldOf, listedMember, pendingMember } from './delivery-target.ts';

export { type DeliveryTarget, PARKED } from './delivery-target.ts';

/** Member of the partition's list of deliveries that were given up. */
export function deadMember(owed: DeliveryTarget, at: number): string {
  return `${owed.org_id} ${listedMember(owed, at)}`;
}

/** Name of the index of an endpoint's deliveries with a status. */
export function deliveriesIndex(endpointId: string, status: DeliveryStatus): string {
  return `deliveries:${endpointId}:${status}`;
}

// One round trip for all that a delivery needs: the lease, what was tried before, and the event itself.
// In order (ARGV[6], or the task says so of its own receiver, which has no suffix): while one before it is owed, and
// was not first tried so long ago that it holds up nobody any more, it waits; at most until then, and it is woken
// when that one is settled.
// ARGV: member, now, lease, field, sequence, 1 in order, what a member begins and ends with around the sequence, hold.
const TAKE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {} end
local now = tonumber(ARGV[2])
local due = tonumber(score)
-- A lease lasts no longer than ours would: one that says so was given before the clock went back.
local isStrange = due % 1 ~= 0 and due > tonumber(ARGV[3]) + 5000
if due > now and not isStrange then return {score} end
local task = redis.call('HMGET', KEYS[3], 'i', 'z', 'm', 'o', 'f')
if ARGV[6] == '1' or (ARGV[8] == '' and task[4]) then
  for before = 1, tonumber(ARGV[5]) - 1 do
    local other = before .. ARGV[8]
    if redis.call('ZSCORE', KEYS[1], ARGV[7] .. other) then
      local since = tonumber(redis.call('HGET', KEYS[5], other) or now)
      local free = math.ceil(since + tonumber(ARGV[9]))
      if free > now then
        redis.call('HSET', KEYS[5], 'w' .. ARGV[4], '')
        redis.call('ZADD', KEYS[1], free, ARGV[1])
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

// ARGV: member, score, field, text, next time or '', 1 when gone, member of the dead or '', member of lists or
// '', 1 on success, now, period (these four are for endpoints), 1 in order, what a member begins and ends with
// around the sequence. Settled in order, it wakes the next that waits.
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
    local waits = redis.call('ZSCORE', KEYS[1], member)
    redis.call('HDEL', KEYS[7], 'w' .. first .. ARGV[14])
    -- A lease stays one, should the endpoint not have been told in order in between.
    if waits and tonumber(waits) % 1 == 0 then
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
  biolayerTakeBuffer(...args: (string | number)[]): Promise<(Buffer | null | undefined)[]>;
  biolayerRecord(...args: (string | number | Buffer)[]): Promise<[number, string?, string?, string?]>;
}>({
  biolayerTake: { lua: TAKE, numberOfKeys: 5 },
  biolayerRecord: { lua: RECORD, numberOfKeys: 7 },
});

/** What there is to send, where it is no event of a task: its id and its bytes. */
export interface Message {
  id: string;
  at: number;
  body: string;
}

/** For how long one that was tried in vain holds up those after it, where they are told in order, ms. */
export const HOLD = 3600_000;

/** Clocks of processes differ by less, ms: a lease may be over for others by so much before it is for its taker. */
const CLOCK_ERROR = 1000;

/** A delivery in somebody's hands. */
export interface Taken {
  delivery: Delivery;
  /** To record it with: what tells this lease from a later one. */
  score: number;
  /**
   * Until when nobody else takes it, by `performance.now()`: counted from before it was asked for, so that neither a
   * slow answer nor a process that was frozen meanwhile makes it longer.
   */
  until: number;
  /** Whether it was taken in order, where its receiver is an endpoint. */
  inOrder: boolean;
  /** The receiver has answered 410 to another event of the task. */
  gone: boolean;
  /** What there is to tell; null when the task is no more. */
  told: Told | null;
  /** In its place, a message that is about no task. */
  message: Message | null;
}

/**
 * Takes a delivery that is due, for `leaseMs`: until then it is due for nobody else, so two attempts never
 * overlap; if the taker dies it is due again afterwards.
 * @param order whether its endpoint is told of a task's events in order (a task's own receiver is as the task says),
 *   and how long one that was tried in vain holds up those after it, ms.
 * @returns the delivery; or when it is due, in ms; or null when it is settled, or waits for those before it.
 * @throws UnreadableRecord when it, or what it is about, cannot be read; it stays taken then
 */
export async function takeDelivery(
  db: Db,
  owed: DeliveryTarget,
  leaseMs: number,
  order: { inOrder: boolean; holdMs: number } = { inOrder: false, holdMs: HOLD },
): Promise<Taken | { dueAt: number } | null> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const until = performance.now() + leaseMs - CLOCK_ERROR;
  const now = db.clock.now();
  const isMessage = owed.sequence === 0;
  const [score, recorded, gone, input, packed, entry, form] = await withScripts(db.redis).biolayerTakeBuffer(
    keys.pendingDeliveries,
    keys.deliveries(owed.task_id),
    isMessage ? keys.message(owed.task_id) : keys.task(owed.task_id),
    keys.history(owed.task_id),
    keys.ordering(owed.task_id),
    pendingMember(owed),
    now,
    Math.floor(now) + leaseMs + 0.5,
    fieldOf(owed),
    owed.sequence,
    order.inOrder ? 1 : '',
    ...aroundSequence(owed),
    order.holdMs,
  );
  if (!score) return null;
  if (recorded === undefined) return { dueAt: Number(score.toString()) };
  return {
    delivery: requireDelivery(keys.deliveries(owed.task_id), recorded),
    score: Number(score.toString()),
    until,
    inOrder: order.inOrder,
    gone: gone !== null && owed.endpoint_id === undefined,
    told: isMessage
      ? null
      : readTold(keys.task(owed.task_id), owed, {
          input: input ?? null,
          packed: packed ?? null,
          entry: entry ?? null,
          form: form ?? null,
        }),
    message: isMessage && entry ? requireMessage(keys.message(owed.task_id), entry.toString()) : null,
  };
}

/** What its member among all that are owed begins and ends with: the sequence stands between. */
function aroundSequence({ org_id, task_id, endpoint_id }: DeliveryTarget): [string, string] {
  return [`${org_id} ${task_id} `, endpoint_id === undefined ? '' : ` ${endpoint_id}`];
}

/** When the delivery is next due, ms; null when it is settled. */
export async function dueTimeOf(db: Db, owed: DeliveryTarget): Promise<number | null> {
  const score = await db.redis.zscore(
    orgKeysOf(db.prefix, owed.org_id).pendingDeliveries,
    pendingMember(owed),
  );
  return score === null ? null : Number(score);
}

/** Puts a delivery off that cannot be read, for ten minutes. */
export async function putOffDelivery(db: Db, owed: DeliveryTarget): Promise<void> {
  const { pendingDeliveries: key } = orgKeysOf(db.prefix, owed.org_id);
  await db.redis.zadd(key, 'XX', db.clock.now() + PUT_OFF, pendingMember(owed));
}

/** What came of a delivery that was taken. */
export interface Outcome {
  /** What `takeDelivery` gave. */
  score: number;
  delivery: Delivery;
  /** When it is owed again, ms; null when it is settled. */
  nextAt: number | null;
  /** The task's own receiver answered 410: nothing more to it for this task. */
  gone: boolean;
  /** When its event was, ms. */
  eventAt: number;
  /** For how long an endpoint may fail before it is disabled, ms. */
  failingLimit: number;
  /** Whether its receiver is told of a task's events in order. */
  inOrder?: boolean;
  /** Whether nothing was sent for a reason of our own, which says nothing of the health of its endpoint. */
  isUnsent?: boolean;
}

/**
 * Records what came of a delivery.
 * @returns null when the lease was lost, or when this very record was written before; then nothing is written.
 *   Else how its endpoint has been failing, if it has, and the sequence of the event that has waited for this one
 *   and is due now.
 */
export async function recordDelivery(
  db: Db,
  owed: DeliveryTarget,
  outcome: Outcome,
): Promise<{ failing: Failing | null; woken: number | null } | null> {
  const { inOrder = false, isUnsent = false } = outcome;
  const { score, delivery, nextAt, gone, eventAt, failingLimit } = outcome;
  const { endpoint_id: endpoint } = owed;
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const now = db.clock.now();
  const isAttempt = delivery.status !== 'stopped' && !isUnsent;
  const indexOf = (status: DeliveryStatus) =>
    endpoint === undefined ? keys.dead : keys.index(deliveriesIndex(endpoint, status));
  const [done, since, periods, woken] = await withScripts(db.redis).biolayerRecord(
    keys.pendingDeliveries,
    keys.deliveries(owed.task_id),
    keys.dead,
    endpoint === undefined ? keys.dead : keys.endpointHealth(endpoint),
    indexOf('pending'),
    indexOf(delivery.status),
    keys.ordering(owed.task_id),
    pendingMember(owed),
    score,
    fieldOf(owed),
    packDelivery(delivery),
    nextAt ?? '',
    gone ? 1 : 0,
    delivery.status === 'exhausted' ? deadMember(owed, eventAt) : '',
    endpoint === undefined ? '' : listedMember(owed, eventAt),
    isAttempt ? (delivery.status === 'succeeded' ? 1 : 0) : '',
    now,
    periodOf(now, failingLimit),
    inOrder ? 1 : '',
    ...aroundSequence(owed),
  );
  if (done !== 1) return null;
  return {
    failing: since ? { since: Number(since), periods: Number(periods) } : null,
    woken: woken ? Number(woken) : null,
  };
}

/** What is stored of a delivery under `key`. @throws UnreadableRecord */
export function requireDelivery(key: string, stored: Buffer | null): Delivery {
  return required(key, readDelivery(stored));
}

/** A message to an endpoint that is about no task, from its JSON under `key`. @throws UnreadableRecord */
export function requireMessage(key: string, text: string): Message {
  const json = required(key, readJson(text));
  return required(key, readShape<Message>(json, { id: 'string', at: 'number', body: 'string' }));
}

/** All recorded deliveries of a task that can be read, by their field: `<sequence>[ <endpoint>]`. */
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
