// Deliveries: for every event to be told, what was tried and what comes next. A delivery that is owed stands
// in the partition's `owed` set by the time of its next try; an attempt is recorded in one step that checks
// that nobody recorded another meanwhile, so a job that runs twice leaves one trace.

import { commit } from './commit.ts';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';
import { owedMember } from './tasks.ts';

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

/** The delivery so far and its due score; `score` null when it is settled or was never owed. */
export async function loadDelivery(
  db: Db,
  owed: Owed,
): Promise<{ delivery: Delivery; score: number | null; gone: boolean }> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const replies = await db.redis
    .pipeline()
    .hmget(keys.deliveries(owed.task_id), String(owed.sequence), 'gone')
    .zscore(keys.owed, owedMember(owed, owed.sequence))
    .exec();
  const [fieldsError, fields] = replies?.[0] ?? [null, []];
  const [scoreError, score] = replies?.[1] ?? [null, null];
  if (fieldsError ?? scoreError) throw fieldsError ?? scoreError;
  const [text, gone] = fields as (string | null)[];
  return {
    delivery: text ? unpack(text) : { status: 'pending', attempts: [] },
    score: score === null ? null : Number(score),
    gone: gone === '1',
  };
}

/**
 * Records what came of a delivery.
 * @param score the due score it was loaded with.
 * @param nextAt when it is owed again, ms; null when it is settled.
 * @param gone the receiver answered 410: nothing more to it for this task.
 * @returns false when another attempt was recorded meanwhile; then nothing is written.
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
  const member = owedMember(owed, owed.sequence);
  return commit(
    db.redis,
    [{ kind: 'score', key: keys.owed, member, score }],
    [
      ['HSET', keys.deliveries(owed.task_id), owed.sequence, pack(delivery), ...(gone ? ['gone', '1'] : [])],
      nextAt === null ? ['ZREM', keys.owed, member] : ['ZADD', keys.owed, nextAt, member],
    ],
  );
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
