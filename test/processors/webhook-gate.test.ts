// Who may be sent to right now: a receiver that is overloaded or away makes what is new wait, lets retries
// through, and is found back by one; a slow one gets few places.
import { describe, expect, it } from 'vitest';
import { ReceiverGate } from '../../src/processors/webhook-gate.ts';

const PLACES = 80;
const answered = (status: number | null, ms = 10, retryAfterMs: number | null = null) => ({
  status,
  ms,
  retryAfterMs,
});

function openGate() {
  const clock = { now: 1000 };
  const gate = new ReceiverGate(PLACES, () => clock.now);
  const fresh = (receiver = 'a') => gate.enter(receiver, true);
  const send = (outcome: ReturnType<typeof answered>, receiver = 'a') => {
    expect(gate.enter(receiver, false)).toBeNull();
    gate.leave(receiver, outcome);
  };
  return { clock, gate, fresh, send };
}

describe('a receiver', () => {
  it.each([429, 502, 503, 504])(
    'that answers %i cools down: what is new waits, a retry does not',
    (status) => {
      const { clock, gate, fresh, send } = openGate();
      send(answered(status));
      expect(fresh()).toBeGreaterThanOrEqual(1000);
      expect(fresh()).toBeLessThanOrEqual(1200);
      expect(fresh('b')).toBeNull();
      expect(gate.enter('a', false)).toBeNull();
      gate.leave('a', answered(status));
      clock.now += 1999;
      expect(fresh()).not.toBeNull();
    },
  );

  it('that names a time has it', () => {
    const { clock, fresh, send } = openGate();
    send(answered(503, 10, 20_000));
    clock.now += 19_999;
    expect(fresh()).not.toBeNull();
    clock.now += 1;
    expect(fresh()).toBeNull();
  });

  it('that has cooled down is asked by one at a time until it answers', () => {
    const { clock, gate, fresh, send } = openGate();
    send(answered(503));
    clock.now += 1000;
    expect([fresh(), fresh() === null]).toEqual([null, false]);
    gate.leave('a', answered(204));
    expect([fresh(), fresh()]).toEqual([null, null]);
  });

  it.each([500, 404, 400, 301])('that answers %i is there, and cools down for nothing', (status) => {
    const { fresh, send } = openGate();
    for (let times = 0; times < 10; times += 1) send(answered(status));
    expect(fresh()).toBeNull();
  });

  it('that does not answer cools down after five times in a row', () => {
    const { fresh, gate, send } = openGate();
    for (let times = 0; times < 4; times += 1) send(answered(null));
    expect(fresh()).toBeNull();
    gate.leave('a', answered(null));
    expect(fresh()).not.toBeNull();
  });

  it('has three quarters of the places; a slow one an eighth', () => {
    const { gate, fresh, send } = openGate();
    const placesOf = (receiver: string) => {
      let places = 0;
      while (fresh(receiver) === null) places += 1;
      return places;
    };
    expect(placesOf('a')).toBe(60);
    for (let times = 0; times < 20; times += 1) send(answered(200, 5000), 'b');
    expect(placesOf('b')).toBe(10);
    gate.leave('b', answered(200, 5000));
    expect(placesOf('b')).toBe(1);
  });

  it('with as many as it gets spreads those who wait over the time that they will take', () => {
    const { fresh } = openGate();
    const waits = Array.from({ length: 10_000 }, () => fresh() ?? 0);
    expect(Math.max(...waits)).toBeGreaterThan(4000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(36_000);
  });
});
