// Deliveries: leased by one process at a time, and recorded only by the holder of the lease.
import { describe, expect, it } from 'vitest';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { type DeliveryCounts, loadDeliveryCounts } from '../../../src/store/stats/delivery-counts.ts';
import { DAY, HOUR } from '../../../src/store/stats/sample-log.ts';
import { loadDeliveries, recordDelivery } from '../../../src/store/webhooks/deliveries.ts';
import type { Attempt } from '../../../src/store/webhooks/delivery-attempt.ts';
import { dueTimeOf, leaseDelivery } from '../../../src/store/webhooks/delivery-lease.ts';
import type { Delivery } from '../../../src/store/webhooks/delivery-record.ts';
import { type DeliveryTarget, pendingMember } from '../../../src/store/webhooks/delivery-target.ts';
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

/** A delivery that is pending since now. */
async function owedDelivery(): Promise<DeliveryTarget> {
  const org = freshOrg(db);
  const task = await addTask(db, org, { handoff: { callback_url: 'https://receiver.example/' } });
  return { org_id: org, task_id: task.task_id, sequence: 1 };
}

/** Leases it. @throws Error when that fails. */
async function take(target: DeliveryTarget, lease = LEASE) {
  const leased = await leaseDelivery(db, target, lease);
  if (leased === null || 'dueAt' in leased) throw new Error(`not to be had: ${JSON.stringify(leased)}`);
  return leased;
}

/** Records an attempt. @returns false when the lease was lost. */
async function record(
  target: DeliveryTarget,
  score: number,
  delivery: Delivery,
  nextAt: number | null = null,
  stopsCallback = false,
): Promise<boolean> {
  const outcome = { score, delivery, nextAt, stopsCallback, eventAt: 0, failingLimit: 1000 };
  return (await recordDelivery(db, target, outcome)) !== null;
}

describe('a delivery', () => {
  it('is pending from the commit of its event, without an attempt', async () => {
    const target = await owedDelivery();
    expect(await dueTimeOf(db, target)).toBeLessThanOrEqual(db.clock.now());
    expect(await take(target)).toMatchObject({
      delivery: { status: 'pending', attempts: [] },
      isCallbackStopped: false,
    });
    expect(await leaseDelivery(db, { ...target, sequence: 99 }, LEASE)).toBeNull();
  });

  it('is leased to one of many concurrent callers; the others learn when it is due', async () => {
    const target = await owedDelivery();
    const leased = await Promise.all(Array.from({ length: 50 }, () => leaseDelivery(db, target, LEASE)));
    const had = leased.flatMap((one) => (one !== null && 'score' in one ? [one] : []));
    const due = leased.flatMap((one) => (one !== null && 'dueAt' in one ? [one.dueAt] : []));
    expect([had.length, due.length]).toEqual([1, 49]);
    expect(new Set(due)).toEqual(new Set([had[0]?.score]));
    expect(await dueTimeOf(db, target)).toBe(had[0]?.score);
  });

  it('can be leased again when the lease ends; the previous holder can then record nothing', async () => {
    const target = await owedDelivery();
    const dead = await take(target, 1);
    // The lease of a millisecond ends by the store's clock.
    await expect.poll(() => db.clock.now()).toBeGreaterThan(dead.score);
    const next = await take(target);
    const done: Delivery = { status: 'succeeded', attempts: [attempt] };
    expect(await record(target, dead.score, done)).toBe(false);
    expect(await record(target, next.score, done)).toBe(true);
  });

  it('keeps each attempt, and is due again at the next one', async () => {
    const target = await owedDelivery();
    const first: Delivery = { status: 'pending', attempts: [attempt] };
    const next = db.clock.now() + 30_000;
    expect(await record(target, (await take(target)).score, first, next)).toBe(true);
    expect(await leaseDelivery(db, target, LEASE)).toEqual({ dueAt: next });
    const soon = db.clock.now() - 1;
    expect(await record(target, next, first, soon)).toBe(true);
    const again = await take(target);
    expect(again.delivery).toEqual(first);
    const done: Delivery = {
      status: 'succeeded',
      attempts: [
        attempt,
        { ...attempt, status: 204, error: null, error_class: null, body: '', next_attempt_at: null },
      ],
    };
    expect(await record(target, again.score, done)).toBe(true);
    expect(await loadDeliveries(db, target.org_id, target.task_id)).toEqual(new Map([['1', done]]));
    expect(await dueTimeOf(db, target)).toBeNull();
  });

  it('cannot be leased or recorded after it is settled', async () => {
    const target = await owedDelivery();
    const { score } = await take(target);
    const done: Delivery = { status: 'exhausted', attempts: [attempt] };
    expect(await record(target, score, done)).toBe(true);
    expect(await record(target, score, { ...done, attempts: [] }, score)).toBe(false);
    expect(await leaseDelivery(db, target, LEASE)).toBeNull();
  });

  it('stays leased when an earlier delivery that it once waited for is settled', async () => {
    const first = await owedDelivery();
    const second = { ...first, sequence: 2 };
    const order = { inOrder: true, blockMs: 1000_000 };
    const { score } = await take(first);
    expect(await leaseDelivery(db, second, LEASE, order)).toBeNull();
    // Redelivered on request while ordered delivery is off.
    const { pendingDeliveries: target } = orgKeysOf(db.prefix, first.org_id);
    await db.redis.zadd(target, db.clock.now(), pendingMember(second));
    const leased = await take(second);
    const outcome = { nextAt: null, stopsCallback: false, eventAt: 0, failingLimit: 1000, inOrder: true };
    const delivery: Delivery = { status: 'succeeded', attempts: [attempt] };
    expect(await recordDelivery(db, first, { score, delivery, ...outcome })).toMatchObject({
      releasedSequence: null,
    });
    expect(await dueTimeOf(db, second)).toBe(leased.score);
  });

  it('counts each recorded attempt once in its hour and day', async () => {
    const target = await owedDelivery();
    const { deliveryCounts } = orgKeysOf(db.prefix, target.org_id);
    const hour = Math.floor(db.clock.now() / HOUR) * HOUR;
    const counted = async (interval: 'hour' | 'day') => {
      const from = interval === 'hour' ? hour : Math.floor(hour / DAY) * DAY;
      const rows = await loadDeliveryCounts(db, target.org_id, { interval, from, to: from + 2 * DAY });
      expect(rows).toHaveLength(interval === 'hour' ? 48 : 2);
      const sum = (name: keyof DeliveryCounts) => rows.reduce((all, { counts }) => all + counts[name], 0);
      return { succeeded: sum('succeeded'), retried: sum('retried'), exhausted: sum('exhausted') };
    };
    const soon = db.clock.now() - 1;
    const failed: Delivery = { status: 'pending', attempts: [attempt] };
    expect(await record(target, (await take(target)).score, failed, soon)).toBe(true);
    const { score } = await take(target);
    const done: Delivery = { status: 'succeeded', attempts: [attempt, attempt] };
    expect(await record(target, score, done)).toBe(true);
    // The reply was lost, and it is recorded again.
    expect(await record(target, score, done)).toBe(false);
    const [given, stopped] = [
      { ...target, sequence: 2 },
      { ...target, sequence: 3 },
    ];
    for (const one of [given, stopped])
      await db.redis.zadd(orgKeysOf(db.prefix, target.org_id).pendingDeliveries, soon, pendingMember(one));
    await record(given, (await take(given)).score, { status: 'exhausted', attempts: [attempt] });
    await record(stopped, (await take(stopped)).score, { status: 'stopped', attempts: [] });
    expect(await counted('hour')).toEqual({ succeeded: 1, retried: 1, exhausted: 1 });
    expect(await counted('day')).toEqual({ succeeded: 1, retried: 1, exhausted: 1 });
    expect(await db.redis.pttl(deliveryCounts(String(Math.floor(hour / DAY))))).toBeGreaterThan(399 * DAY);
  });

  it('is recorded although the count is damaged', async () => {
    const target = await owedDelivery();
    const day = String(Math.floor(db.clock.now() / DAY));
    await db.redis.set(orgKeysOf(db.prefix, target.org_id).deliveryCounts(day), 'x');
    const done: Delivery = { status: 'succeeded', attempts: [attempt] };
    expect(await record(target, (await take(target)).score, done)).toBe(true);
    expect(await dueTimeOf(db, target)).toBeNull();
  });

  it('answered with 410 marks all deliveries of its task, and no other task', async () => {
    const target = await owedDelivery();
    const { score } = await take(target);
    await record(target, score, { status: 'exhausted', attempts: [attempt] }, null, true);
    expect((await take({ ...target, sequence: 2 })).isCallbackStopped).toBe(true);
    expect((await take(await owedDelivery())).isCallbackStopped).toBe(false);
    expect([...(await loadDeliveries(db, target.org_id, target.task_id)).keys()]).toEqual(['1']);
  });
});
