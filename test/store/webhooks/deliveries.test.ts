// The record of a delivery: taken by one at a time, kept as it was told, and recorded by whoever has it.
import { describe, expect, it } from 'vitest';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import {
  type DeliveryTarget,
  dueTimeOf,
  loadDeliveries,
  recordDelivery,
  takeDelivery,
} from '../../../src/store/webhooks/deliveries.ts';
import type { Attempt, Delivery } from '../../../src/store/webhooks/delivery-record.ts';
import { pendingMember } from '../../../src/store/webhooks/delivery-target.ts';
import { addTask, freshOrg, openTestDb } from '../../support/db.ts';

const db = await openTestDb();
const LEASE = 20_000;

const attempt: Attempt = {
  at: 1_770_232_860_123,
  status: 503,
  ms: 12,
  error: 'The receiver answered 503.',
  error_class: 'http_status',
  address: '127.0.0.1',
  body: 'busy "ü"\n\u0000',
  next_attempt_at: 1_770_232_890_123,
  headers: { server: 'x', 'retry-after': '1' },
  timings: { queue: null, dns: null, connect: 0.4, tls: null, first_byte: 10.1, body: 1.5 },
};

/** A delivery that is owed since now. */
async function owedDelivery(): Promise<DeliveryTarget> {
  const org = freshOrg(db);
  const task = await addTask(db, org, { handoff: { callback_url: 'https://receiver.example/' } });
  return { org_id: org, task_id: task.task_id, sequence: 1 };
}

/** Takes it. @throws Error when it cannot be had. */
async function take(owed: DeliveryTarget, lease = LEASE) {
  const taken = await takeDelivery(db, owed, lease);
  if (taken === null || 'dueAt' in taken) throw new Error(`not to be had: ${JSON.stringify(taken)}`);
  return taken;
}

/** Records what came of it. @returns false when that is not the taker's any more. */
async function record(
  owed: DeliveryTarget,
  score: number,
  delivery: Delivery,
  nextAt: number | null = null,
  gone = false,
): Promise<boolean> {
  const outcome = { score, delivery, nextAt, gone, eventAt: 0, failingLimit: 1000 };
  return (await recordDelivery(db, owed, outcome)) !== null;
}

describe('a delivery', () => {
  it('is owed from the commit of its event on, with no attempt yet', async () => {
    const owed = await owedDelivery();
    expect(await dueTimeOf(db, owed)).toBeLessThanOrEqual(db.clock.now());
    expect(await take(owed)).toMatchObject({ delivery: { status: 'pending', attempts: [] }, gone: false });
    expect(await takeDelivery(db, { ...owed, sequence: 99 }, LEASE)).toBeNull();
  });

  it('is had by one of many who would take it at once, the others are told when to come back', async () => {
    const owed = await owedDelivery();
    const taken = await Promise.all(Array.from({ length: 50 }, () => takeDelivery(db, owed, LEASE)));
    const had = taken.flatMap((one) => (one !== null && 'score' in one ? [one] : []));
    const due = taken.flatMap((one) => (one !== null && 'dueAt' in one ? [one.dueAt] : []));
    expect([had.length, due.length]).toEqual([1, 49]);
    expect(new Set(due)).toEqual(new Set([had[0]?.score]));
    expect(await dueTimeOf(db, owed)).toBe(had[0]?.score);
  });

  it('of one who died is had again when their time is up, and the dead record nothing any more', async () => {
    const owed = await owedDelivery();
    const dead = await take(owed, 1);
    // The lease is a millisecond long: it is over when the store's clock says so.
    await expect.poll(() => db.clock.now()).toBeGreaterThan(dead.score);
    const next = await take(owed);
    const done: Delivery = { status: 'succeeded', attempts: [attempt] };
    expect(await record(owed, dead.score, done)).toBe(false);
    expect(await record(owed, next.score, done)).toBe(true);
  });

  it('keeps each attempt, and is owed again when the next is due', async () => {
    const owed = await owedDelivery();
    const first: Delivery = { status: 'pending', attempts: [attempt] };
    const next = db.clock.now() + 30_000;
    expect(await record(owed, (await take(owed)).score, first, next)).toBe(true);
    expect(await takeDelivery(db, owed, LEASE)).toEqual({ dueAt: next });
    const soon = db.clock.now() - 1;
    expect(await record(owed, next, first, soon)).toBe(true);
    const again = await take(owed);
    expect(again.delivery).toEqual(first);
    const done: Delivery = {
      status: 'succeeded',
      attempts: [
        attempt,
        { ...attempt, status: 204, error: null, error_class: null, body: '', next_attempt_at: null },
      ],
    };
    expect(await record(owed, again.score, done)).toBe(true);
    expect(await loadDeliveries(db, owed.org_id, owed.task_id)).toEqual(new Map([['1', done]]));
    expect(await dueTimeOf(db, owed)).toBeNull();
  });

  it('that is settled is taken and recorded no more', async () => {
    const owed = await owedDelivery();
    const { score } = await take(owed);
    const done: Delivery = { status: 'exhausted', attempts: [attempt] };
    expect(await record(owed, score, done)).toBe(true);
    expect(await record(owed, score, { ...done, attempts: [] }, score)).toBe(false);
    expect(await takeDelivery(db, owed, LEASE)).toBeNull();
  });

  it('in somebody’s hands stays there when one before it, for which it once waited, is settled', async () => {
    const first = await owedDelivery();
    const second = { ...first, sequence: 2 };
    const order = { inOrder: true, holdMs: 1000_000 };
    const { score } = await take(first);
    expect(await takeDelivery(db, second, LEASE, order)).toBeNull();
    // Sent again by hand while the receiver is not told in order.
    const { pendingDeliveries: owed } = orgKeysOf(db.prefix, first.org_id);
    await db.redis.zadd(owed, db.clock.now(), pendingMember(second));
    const taken = await take(second);
    const outcome = { nextAt: null, gone: false, eventAt: 0, failingLimit: 1000, inOrder: true };
    const delivery: Delivery = { status: 'succeeded', attempts: [attempt] };
    expect(await recordDelivery(db, first, { score, delivery, ...outcome })).toMatchObject({ woken: null });
    expect(await dueTimeOf(db, second)).toBe(taken.score);
  });

  it('answered with 410 says so to all others of its task, and to no other task', async () => {
    const owed = await owedDelivery();
    const { score } = await take(owed);
    await record(owed, score, { status: 'exhausted', attempts: [attempt] }, null, true);
    expect((await take({ ...owed, sequence: 2 })).gone).toBe(true);
    expect((await take(await owedDelivery())).gone).toBe(false);
    expect([...(await loadDeliveries(db, owed.org_id, owed.task_id)).keys()]).toEqual(['1']);
  });
});
