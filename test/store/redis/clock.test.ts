// The time that all processes go by: whatever the machine's clock says, and whatever Redis' clock does.
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { changeTask } from '../../../src/store/commands/change.ts';
import { duePurges, purge } from '../../../src/store/maintenance/retention.ts';
import { type ClockEvent, RedisClock } from '../../../src/store/redis/clock.ts';
import { confirmJump, loadJump } from '../../../src/store/redis/clock-jump.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { NotDueError } from '../../../src/store/redis/due.ts';
import { addTask, applyCommands, freshOrg, openTestDb, taskOf } from '../../support/db.ts';
import { freshPrefix } from '../../support/redis.ts';
import { type ShiftedRedis, shiftedRedis } from '../../support/shifted-redis.ts';

const HOUR = 3600_000;
const real = await openTestDb();
let prefix: string;
let shifted: ShiftedRedis;
const clocks: RedisClock[] = [];

beforeEach(() => {
  prefix = freshPrefix();
  shifted = shiftedRedis(real.redis);
});
afterEach(() => {
  for (const clock of clocks.splice(0)) clock.stop();
  vi.restoreAllMocks();
});

async function started(redis: Redis = shifted.redis) {
  const events: ClockEvent[] = [];
  const clock = new RedisClock(redis, { prefix, onEvent: (event) => events.push(event) });
  clocks.push(clock);
  await clock.sync();
  return { clock, events };
}

const trueTime = async () => {
  const [seconds, micros] = await real.redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
};
const isAbout = async (clock: RedisClock, ahead = 0) =>
  expect(Math.abs(clock.now() - (await trueTime()) - ahead)).toBeLessThan(1000);

describe("the machine's clock", () => {
  it.each([2 * HOUR, -2 * HOUR, 400 * 24 * HOUR])(
    'that jumps by %i ms does not change the time',
    async (jump) => {
      const { clock, events } = await started();
      const machine = Date.now;
      vi.spyOn(Date, 'now').mockImplementation(() => machine() + jump);
      await isAbout(clock);
      await clock.sync();
      await isAbout(clock);
      expect([clock.isFrozen, events]).toEqual([false, []]);
    },
  );
});

describe("Redis' clock", () => {
  it('is followed when it drifts', async () => {
    const { clock, events } = await started();
    shifted.shift = 1500;
    await clock.sync();
    await isAbout(clock, 1500);
    expect([clock.isFrozen, events]).toEqual([false, []]);
  });

  it.each([2 * HOUR, -2 * HOUR, 10_000])(
    'that jumps by %i ms is not followed until it is back',
    async (jump) => {
      const { clock, events } = await started();
      shifted.shift = jump;
      await clock.sync();
      await isAbout(clock);
      expect(clock.isFrozen).toBe(true);
      expect(await loadJump(real.redis, prefix)).toMatchObject({ confirmed: false });
      shifted.shift = 0;
      await clock.sync();
      expect([clock.isFrozen, clock.offset]).toEqual([false, 0]);
      expect(events.map((one) => one.kind)).toEqual(['jumped', 'returned']);
      expect(await loadJump(real.redis, prefix)).toBeNull();
      await isAbout(clock);
    },
  );

  it('is followed by all processes when an operator confirms its jump', async () => {
    const [one, other] = [await started(), await started()];
    shifted.shift = 2 * HOUR;
    await one.clock.sync();
    expect(await confirmJump(real.redis, prefix)).toMatchObject({ confirmed: true });
    await Promise.all([one.clock.sync(), other.clock.sync()]);
    for (const { clock } of [one, other]) {
      expect(clock.isFrozen).toBe(false);
      await isAbout(clock, 2 * HOUR);
    }
    expect(one.events.map((event) => event.kind)).toEqual(['jumped', 'confirmed']);
    // It was confirmed before this one saw it.
    expect(other.events.map((event) => event.kind)).toEqual(['confirmed']);
  });

  it('is followed when it has been steady for ten minutes, and not before', async () => {
    const { clock, events } = await started();
    shifted.shift = -2 * HOUR;
    await clock.sync();
    shifted.advance(9 * 60_000);
    await clock.sync();
    expect(clock.isFrozen).toBe(true);
    shifted.shift = 3 * HOUR;
    await clock.sync();
    shifted.advance(9 * 60_000);
    await clock.sync();
    expect(clock.isFrozen).toBe(true);
    shifted.advance(61_000);
    await clock.sync();
    expect(clock.isFrozen).toBe(false);
    expect(events.at(-1)).toMatchObject({ kind: 'confirmed', how: 'time' });
  });

  it.each([8000, -20_000, 5 * 60_000])(
    'is followed when it has been steady for as long as it jumped: %i ms',
    async (jump) => {
      const { clock, events } = await started();
      shifted.shift = jump;
      await clock.sync();
      shifted.advance(Math.abs(jump) - 1500);
      const later = await started();
      for (const one of [clock, later.clock]) {
        await one.sync();
        expect(one.isFrozen).toBe(true);
      }
      shifted.advance(2500);
      for (const one of [clock, later.clock]) {
        await one.sync();
        expect(one.isFrozen).toBe(false);
      }
      expect(events).toMatchObject([{ kind: 'jumped' }, { kind: 'confirmed', how: 'time' }]);
    },
  );

  it('is not followed by a process that starts after a jump that others have seen', async () => {
    const first = await started();
    shifted.shift = 2 * HOUR;
    await first.clock.sync();
    const { clock, events } = await started();
    expect(clock.isFrozen).toBe(true);
    await isAbout(clock);
    expect(events).toMatchObject([{ kind: 'jumped' }]);
    shifted.shift = 0;
    await clock.sync();
    expect(clock.isFrozen).toBe(false);
    await isAbout(clock);
  });
});

describe('an irreversible change', () => {
  /** The store as a process has it that took its time two hours too late, or whose Redis has gone back since. */
  async function wrong(shift: number): Promise<Db> {
    shifted.shift = shift;
    const { clock } = await started();
    shifted.shift = 0;
    return { ...real, clock };
  }

  it('is not committed by a process whose time is wrong', async () => {
    const db = await wrong(2 * HOUR);
    const key = `${prefix}:{due}:x`;
    const due = { kind: 'due', key, at: db.clock.now() - HOUR, clock: db.clock } as const;
    await expect(commit(db.redis, { guards: [due], writes: [['SET', key, '1']] })).rejects.toThrow(
      NotDueError,
    );
    expect(await db.redis.exists(key)).toBe(0);
    // What can be undone is.
    expect(await commit(db.redis, { guards: [], writes: [['SET', key, '1']] })).toBe(true);
  });

  it('is committed when it is due and not before', async () => {
    const now = await trueTime();
    const key = `${prefix}:{due}:x`;
    const at = (when: number) => ({ kind: 'due', key, at: when, clock: real.clock }) as const;
    await expect(
      commit(real.redis, { guards: [at(now + 2000)], writes: [['SET', key, '1']] }),
    ).rejects.toThrow(NotDueError);
    expect(await commit(real.redis, { guards: [at(now - 1)], writes: [['SET', key, '1']] })).toBe(true);
    // A guard that does not hold is said first: the view is stale.
    const stale = [{ kind: 'absent', key } as const, at(now + 2000)];
    expect(await commit(real.redis, { guards: stale, writes: [] })).toBe(false);
  });

  it('is not made: no task fails and no SLA clock is breached', async () => {
    const org = freshOrg(real);
    const sla = { deadline: new Date(real.clock.now() + HOUR).toISOString(), target_latency_seconds: 1800 };
    const task = await addTask(real, org, { sla });
    const db = await wrong(2 * HOUR);
    for (const clock of ['deadline', 'target_latency'] as const)
      expect(await changeTask(db, org, task.task_id, [{ name: clock }], { actor: 'system' })).toMatchObject({
        ok: false,
        code: 'not_due',
      });
    expect(await taskOf(real, org, task.task_id)).toMatchObject({ status: 'queued', breaches: [] });
    // It has seen by then that the two do not agree.
    expect(db.clock.isFrozen).toBe(true);
  });

  it('is not made: no final task is purged', async () => {
    const org = freshOrg(real);
    const task = await addTask(real, org);
    await applyCommands(real, task, { name: 'cancel', reason: null });
    const db = await wrong(400 * 24 * HOUR);
    for (const partition of Array.from({ length: 16 }, (_, at) => `p${String(at).padStart(2, '0')}`)) {
      const due = (await duePurges(db, partition, 100)).due.filter((one) => one.task_id === task.task_id);
      if (due.length > 0) await expect(purge(db, due)).rejects.toThrow(NotDueError);
    }
    expect(await taskOf(real, org, task.task_id)).toMatchObject({ status: 'cancelled' });
  });
});
