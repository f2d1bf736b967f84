// Deliveries: for every event to be told, what was tried and what comes next. A delivery that is owed stands
// in the partition's `owed` set by the time of its next try; whoever makes it takes it for a while, and
// records the attempt in one step that checks that it is still theirs.

import type { Redis } from 'ioredis';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';
import { owedMember, readTold, type Told } from './tasks.ts';

export interface Attempt {
  at: number;
  status: number | null;
  ms: number;
  error: string | null;
  error_class: string | null;
  address: string | null;
  /** First 4 KiB of the answer. */
  body: string;
  next_attempt_at: number | null;
}

export interface Delivery {
  /** `pending` while owed; `stopped` after a 410 to another event of the task. */
  status: 'pending' | 'succeeded' | 'exhausted' | 'stopped';
  attempts: Attempt[];
}

/** Where a delivery to a task's callback stands: which task's event, and when it is next owed. */
export interface Owed {
  org_id: string;
  task_id: string;
  sequence: number;
}

// One round trip for all that a delivery needs: the lease, what was tried before, and the event itself.
const TAKE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {} end
if tonumber(score) > tonumber(ARGV[2]) then return {score} end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
local delivery = redis.call('HMGET', KEYS[2], ARGV[4], 'gone')
local task = redis.call('HMGET', KEYS[3], 'i', 'z')
local at = tonumber(ARGV[4]) - 1
local entry = not task[2] and redis.call('LRANGE', KEYS[4], at, at)[1]
return {ARGV[3], delivery[1], delivery[2], task[1], task[2], entry}
`;

const RECORD = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
if ARGV[6] == '1' then redis.call('HSET', KEYS[2], 'gone', '1') end
if ARGV[5] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], ARGV[5], ARGV[1]) end
return 1
`;

interface WithScripts {
  biolayerTakeBuffer(...args: (string | number)[]): Promise<(Buffer | null | undefined)[]>;
  biolayerRecord(...args: (string | number)[]): Promise<number>;
}

const prepared = new WeakSet<Redis>();

function withScripts(redis: Redis): WithScripts {
  if (!prepared.has(redis)) {
    redis.defineCommand('biolayerTake', { lua: TAKE, numberOfKeys: 4 });
    redis.defineCommand('biolayerRecord', { lua: RECORD, numberOfKeys: 2 });
    prepared.add(redis);
  }
  return redis as Redis & WithScripts;
}

/** A delivery in somebody's hands. */
export interface Taken {
  delivery: Delivery;
  /** To record it with: what tells this lease from a later one. */
  score: number;
  /** The receiver has answered 410 to another event of the task. */
  gone: boolean;
  /** What there is to tell; null when the task is no more. */
  told: Told | null;
}

/**
 * Takes a delivery that is due, for `leaseMs`: until then it is due for nobody else, so two attempts never
 * overlap; if the taker dies it is due again afterwards.
 * @returns the delivery; or when it is due, in ms; or null when it is settled.
 */
export async function takeDelivery(
  db: Db,
  owed: Owed,
  leaseMs: number,
): Promise<Taken | { dueAt: number } | null> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const now = db.clock.now();
  const [score, text, gone, input, packed, entry] = await withScripts(db.redis).biolayerTakeBuffer(
    keys.owed,
    keys.deliveries(owed.task_id),
    keys.task(owed.task_id),
    keys.history(owed.task_id),
    owedMember(owed, owed.sequence),
    now,
    now + leaseMs,
    owed.sequence,
  );
  if (!score) return null;
  if (text === undefined) return { dueAt: Number(score.toString()) };
  return {
    delivery: text === null ? { status: 'pending', attempts: [] } : unpack(text.toString()),
    score: Number(score.toString()),
    gone: gone !== null,
    told: readTold(owed, { input: input ?? null, packed: packed ?? null, entry: entry ?? null }),
  };
}

/** When the delivery is next due, ms; null when it is settled. */
export async function dueTimeOf(db: Db, owed: Owed): Promise<number | null> {
  const score = await db.redis.zscore(
    orgKeysOf(db.prefix, owed.org_id).owed,
    owedMember(owed, owed.sequence),
  );
  return score === null ? null : Number(score);
}

/**
 * Records what came of a delivery.
 * @param score what `takeDelivery` gave.
 * @param nextAt when it is owed again, ms; null when it is settled.
 * @param gone the receiver answered 410: nothing more to it for this task.
 * @returns false when the lease was lost, or when this very record was written before; then nothing is written.
 */
export async function recordDelivery(
  db: Db,
  owed: Owed,
  score: number,
  delivery: Delivery,
  nextAt: number | null,
  gone: boolean,
): Promise<boolean> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const recorded = await withScripts(db.redis).biolayerRecord(
    keys.owed,
    keys.deliveries(owed.task_id),
    owedMember(owed, owed.sequence),
    score,
    owed.sequence,
    pack(delivery),
    nextAt ?? '',
    gone ? 1 : 0,
  );
  return recorded === 1;
}

/** All recorded deliveries of a task by the sequence of their event. */
export async function loadDeliveries(db: Db, orgId: string, taskId: string): Promise<Map<number, Delivery>> {
  const all = await db.redis.hgetall(orgKeysOf(db.prefix, orgId).deliveries(taskId));
  const found = Object.entries(all).filter(([field]) => field !== 'gone');
  return new Map(found.map(([field, text]) => [Number(field), unpack(text)]));
}

type Packed = [status: Delivery['status'], ...attempts: PackedAttempt[]];
type PackedAttempt = [
  at: number,
  status: number | null,
  ms: number,
  error: string | null,
  errorClass: string | null,
  address: string | null,
  body: string,
  next: number | null,
];

function pack({ status, attempts }: Delivery): string {
  const packed: Packed = [
    status,
    ...attempts.map((one): PackedAttempt => {
      const { at, ms, error, error_class, address, body, next_attempt_at } = one;
      return [at, one.status, ms, error, error_class, address, body, next_attempt_at];
    }),
  ];
  return JSON.stringify(packed);
}

function unpack(text: string): Delivery {
  const [status, ...attempts] = JSON.parse(text) as Packed;
  return {
    status,
    attempts: attempts.map(([at, code, ms, error, errorClass, address, body, next]) => ({
      at,
      status: code,
      ms,
      error,
      error_class: errorClass,
      address,
      body,
      next_attempt_at: next,
    })),
  };
}
