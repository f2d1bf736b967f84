// When a delivery gets a slot: a receiver that is overloaded or down parks new deliveries, lets retries through and is
// probed by one delivery; a slow receiver gets few slots.
import { describe, expect, it } from 'vitest';
import { ConcurrencyLimiter } from '../../../src/processors/webhooks/receiver-limits.ts';

const CONCURRENCY = 80;
const answered = (status: number | null, ms = 10, retryAfterMs: number | null = null) => ({
  status,
  ms,
  retryAfterMs,
});

function openLimiter() {
  const clock = { now: 1000 };
  const limiter = new ConcurrencyLimiter(CONCURRENCY, () => clock.now);
  const fresh = (receiver = 'a') => limiter.tryAcquire(receiver, true);
  const send = (outcome: ReturnType<typeof answered>, receiver = 'a') => {
    expect(limiter.tryAcquire(receiver, false)).toBe(true);
    limiter.release(receiver, outcome);
  };
  return { clock, limiter, fresh, send };
}

describe('a receiver', () => {
  it.each([429, 502, 503, 504])(
    'that answers %i cools down: what is new waits, a retry does not',
    (status) => {
      const { clock, limiter, fresh, send } = openLimiter();
      send(answered(status));
      expect(fresh()).toBe(false);
      expect(limiter.coolDownMs('a')).toBe(1000);
      expect(fresh('b')).toBe(true);
      expect(limiter.tryAcquire('a', false)).toBe(true);
      limiter.release('a', answered(status));
      clock.now += 1999;
      expect(fresh()).toBe(false);
    },
  );

  it('that is quick gets more slots until it becomes slow', () => {
    const { clock, limiter, fresh, send } = openLimiter();
    const filled = () => {
      let count = 0;
      while (fresh()) count += 1;
      return count;
    };
    const empty = (count: number) => {
      for (let left = count; left > 0; left -= 1) limiter.release('a', answered(204));
    };
    for (let sent = 1; sent < 50; sent += 1) send(answered(204));
    const usual = filled();
    expect(usual).toBe(32);
    // These include the fiftieth answer.
    empty(usual);
    expect(filled()).toBe(52);
    // No answer for a while: only the usual number of slots is left.
    clock.now += 101;
    expect(fresh()).toBe(false);
    empty(52);
    clock.now += 101;
    send(answered(null));
    expect(filled()).toBe(32);
    empty(32);
    for (let sent = 0; sent < 60; sent += 1) send(answered(204, 500));
    expect(filled()).toBe(32);
  });

  it('that sends Retry-After cools down for that time', () => {
    const { clock, fresh, send } = openLimiter();
    send(answered(503, 10, 20_000));
    clock.now += 19_999;
    expect(fresh()).toBe(false);
    clock.now += 1;
    expect(fresh()).toBe(true);
  });

  it('that has cooled down gets one delivery at a time until it answers', () => {
    const { clock, limiter, fresh, send } = openLimiter();
    send(answered(503));
    expect(limiter.freeSlots('a', 0)).toBe(0);
    clock.now += 1000;
    expect(limiter.freeSlots('a', 0)).toBe(1);
    expect([fresh(), fresh()]).toEqual([true, false]);
    expect(limiter.freeSlots('a', 0)).toBe(0);
    limiter.release('a', answered(204));
    expect([fresh(), fresh()]).toEqual([true, true]);
  });

  it.each([500, 404, 400, 301])('that answers %i does not cool down', (status) => {
    const { fresh, send } = openLimiter();
    for (let times = 0; times < 10; times += 1) send(answered(status));
    expect(fresh()).toBe(true);
  });

  it('that does not answer five times in a row cools down', () => {
    const { fresh, limiter, send } = openLimiter();
    for (let times = 0; times < 4; times += 1) send(answered(null));
    expect(fresh()).toBe(true);
    limiter.release('a', answered(null));
    expect(fresh()).toBe(false);
  });

  it('gets two fifths of the slots, at most 64, and an eighth when slow', () => {
    const { limiter, fresh, send } = openLimiter();
    const slotsOf = (receiver: string, of = limiter) => {
      let slots = 0;
      while (of.tryAcquire(receiver, true)) slots += 1;
      return slots;
    };
    expect(slotsOf('a')).toBe(32);
    expect(slotsOf('a', new ConcurrencyLimiter(800))).toBe(64);
    for (let times = 0; times < 20; times += 1) send(answered(200, 5000), 'b');
    expect(slotsOf('b')).toBe(10);
    limiter.release('b', answered(200, 5000));
    expect(fresh('b')).toBe(true);
  });

  it('that hangs counts as slow before the first attempt times out', () => {
    const { clock, limiter, fresh } = openLimiter();
    for (let times = 0; times < 12; times += 1) fresh();
    clock.now += 2001;
    expect(fresh()).toBe(false);
    for (let times = 0; times < 3; times += 1) limiter.release('a', answered(204));
    expect(fresh()).toBe(true);
  });

  it('keeps half of its slots for the backlog', () => {
    const { limiter } = openLimiter();
    let newcomers = 0;
    while (limiter.tryAcquire('a', true, true)) newcomers += 1;
    expect(newcomers).toBe(16);
    expect(limiter.freeSlots('a', 0)).toBe(16);
    expect(limiter.freeSlots('a', 9)).toBe(0);
    expect(limiter.tryAcquire('a', true)).toBe(true);
  });

  it('that is quick serves the backlog and new deliveries in turn', async () => {
    const { limiter, fresh } = openLimiter();
    while (fresh());
    const newcomer = limiter.acquireSoon('a', true, true);
    expect(limiter.freeSlots('a', 0)).toBe(16);
    expect(limiter.freeSlots('a', 9)).toBe(0);
    limiter.release('a', answered(204));
    expect(await newcomer).toBe(true);
  });

  it('that is slow and full parks new deliveries and releases none', async () => {
    const { limiter, fresh, send } = openLimiter();
    for (let times = 0; times < 20; times += 1) send(answered(200, 500));
    while (fresh());
    expect(await limiter.acquireSoon('a', true, true)).toBe(false);
    expect(limiter.freeSlots('a', 0)).toBe(0);
  });
});

describe('a delivery to a receiver without a free slot', () => {
  const full = () => {
    const { clock, limiter, fresh } = openLimiter();
    while (fresh());
    return { clock, limiter };
  };

  it('gets a slot that becomes free shortly', async () => {
    const { limiter } = full();
    const [first, second] = [limiter.acquireSoon('a', true), limiter.acquireSoon('a', true)];
    limiter.release('a', answered(204));
    expect(await first).toBe(true);
    limiter.release('a', answered(204));
    expect(await second).toBe(true);
    expect(limiter.tryAcquire('a', true)).toBe(false);
  });

  it('does not wait for long', async () => {
    const { limiter } = full();
    expect(await limiter.acquireSoon('a', true)).toBe(false);
  });

  it('does not wait for a stalled receiver, behind many others, or during a cool-down', async () => {
    const { clock, limiter } = full();
    const many = Array.from({ length: 70 }, () => limiter.acquireSoon('a', true));
    expect(await many.at(-1)).toBe(false);
    limiter.release('a', answered(429));
    expect(await Promise.all(many)).not.toContain(true);
    const still = full();
    still.clock.now += 100;
    expect(await still.limiter.acquireSoon('a', true)).toBe(false);
    expect(still.limiter.isSaturated('a')).toBe(true);
    clock.now += 1;
    expect(limiter.isSaturated('a')).toBe(true);
  });
});
