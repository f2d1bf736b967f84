// Connections when Redis is away: one that serves requests says so soon, whatever the way Redis is away; a
// patient one waits and goes on. And the clock that follows Redis'.
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { RedisClock } from '../../../src/store/redis/clock.ts';
import { commit, NO_CHANGE } from '../../../src/store/redis/commit.ts';
import { connect, isUnavailable, whenReady } from '../../../src/store/redis/connection.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { testRedisUrl } from '../../support/redis.ts';
import { startRedisProxy } from '../../support/redis-proxy.ts';

const LIMIT = 2000;
/** What a machine with other work may add. */
const SLACK = 1500;

let own: OwnRedis;
/** Gives each test of a `describe` a Redis of its own; the tests outside need none. */
const withOwnRedis = () => {
  beforeEach(async () => {
    own = await startOwnRedis();
  });
  afterEach(() => own.stop());
};
const open: Redis[] = [];
const connected = async (manner: 'request' | 'patient', url = own.url): Promise<Redis> => {
  const redis = connect(url, manner, () => undefined);
  open.push(redis);
  await whenReady(redis);
  return redis;
};

afterEach(() => {
  for (const redis of open.splice(0)) redis.disconnect();
});

/** How a request fares: what it was answered, or what was said of the outage, and how long it took. */
async function fare(request: Promise<unknown>) {
  const startedAt = performance.now();
  const outcome = await request.then(
    (answer) => ({ answer, error: null }),
    (error: unknown) => ({ answer: null, error }),
  );
  return { ...outcome, ms: performance.now() - startedAt };
}

const requests: Record<string, (redis: Redis) => Promise<unknown>> = {
  'a command': (redis) => redis.get('x'),
  'a commit': (redis) =>
    commit(redis, { guards: [{ kind: 'absent', key: 'x' }], writes: [['SET', 'y', '1']] }),
  'a pipeline': async (redis) => {
    for (const [error] of (await redis.pipeline().get('x').get('y').exec()) ?? []) if (error) throw error;
  },
};

describe.each(Object.entries(requests))('%s on a request connection', (_, request) => {
  withOwnRedis();

  it('fails within two seconds when Redis holds the connection and says nothing', async () => {
    const redis = await connected('request');
    own.freeze();
    const { error, ms } = await fare(request(redis));
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(LIMIT + SLACK);
    own.thaw();
    await expect.poll(() => fare(request(redis)).then((one) => one.error), { timeout: 10_000 }).toBeNull();
  });

  it('fails at once when Redis is dead, and works again when it is back', async () => {
    const redis = await connected('request');
    await own.kill();
    const { error, ms } = await fare(request(redis));
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(SLACK);
    await own.start();
    await expect.poll(() => fare(request(redis)).then((one) => one.error), { timeout: 10_000 }).toBeNull();
  });

  it('fails soon when Redis dies while it waits', async () => {
    const redis = await connected('request');
    own.freeze();
    const pending = fare(request(redis));
    await own.kill();
    const { error, ms } = await pending;
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(LIMIT + SLACK);
  });
});

describe('a commit whose answer is lost', () => {
  withOwnRedis();

  it('is not sent a second time, to be taken for a conflict with itself', async () => {
    const wire = await startRedisProxy(own.url);
    try {
      const redis = await connected('request', wire.url);
      await commit(redis, NO_CHANGE);
      const cut = wire.cutReply('evalsha');
      const { answer, error } = await fare(
        commit(redis, { guards: [{ kind: 'absent', key: 'once' }], writes: [['SET', 'once', 'done']] }),
      );
      await cut;
      // It happened, which nobody can know here: that it did not would be a lie.
      expect([answer, isUnavailable(error)]).toEqual([null, true]);
      await expect.poll(() => redis.status, { timeout: 10_000 }).toBe('ready');
      expect(await redis.get('once')).toBe('done');
    } finally {
      await wire.close();
    }
  });
});

describe('a patient connection', () => {
  withOwnRedis();

  it('waits for a Redis that is not there yet', async () => {
    await own.kill();
    const redis = connect(own.url, 'patient', () => undefined);
    open.push(redis);
    const ready = whenReady(redis);
    await own.start();
    await ready;
    expect(await redis.ping()).toBe('PONG');
  });

  it('waits through a death and finds what was answered before', async () => {
    const redis = await connected('patient');
    await redis.set('kept', 'yes');
    await own.kill();
    const waiting = redis.get('kept');
    await own.start();
    expect(await waiting).toBe('yes');
  });
});

describe('an outage is told from a fault', () => {
  const scripted = (message: string) => new Error(`${message}`);
  it.each([
    "OOM command not allowed when used memory > 'maxmemory'.",
    'LOADING Redis is loading the dataset in memory',
    "READONLY You can't write against a read only replica.",
    'MISCONF Errors writing to the AOF file: No space left on device',
    'connect ECONNREFUSED 127.0.0.1:1',
    'Connection is closed.',
    'Command timed out',
    "Stream isn't writeable and enableOfflineQueue options is false",
  ])('%s', (message) => {
    expect(isUnavailable(scripted(message))).toBe(true);
  });

  it.each([
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    'ERR unknown command',
    'Cannot read properties of undefined',
  ])('%s', (message) => {
    expect(isUnavailable(scripted(message))).toBe(false);
    expect(isUnavailable(message)).toBe(false);
  });

  describe('out of a script', () => {
    withOwnRedis();

    it('also, when Redis is at its memory limit', async () => {
      const redis = await connected('request');
      await redis.config('SET', 'maxmemory', '1mb');
      const key = 'big';
      const { error } = await fare(
        commit(redis, { guards: [], writes: [['SET', key, Buffer.alloc(100_000)]] }),
      );
      expect(isUnavailable(error)).toBe(true);
      expect(await redis.exists(key)).toBe(0);
    });
  });
});

describe('the clock', () => {
  it('tells Redis’ time, whatever this machine says', async () => {
    const redis = await connected('patient', testRedisUrl());
    const clock = new RedisClock(redis);
    const skew = 3_600_000;
    const real = Date.now;
    const spy = vi.spyOn(Date, 'now').mockImplementation(() => real() + skew);
    try {
      await clock.sync();
      expect(Math.abs(clock.now() - real())).toBeLessThan(SLACK);
    } finally {
      spy.mockRestore();
    }
  });

  it('starts in the very moment Redis goes away, and is right when it is back', async () => {
    own = await startOwnRedis();
    onTestFinished(() => own.stop());
    const redis = await connected('request');
    await own.kill();
    const clock = new RedisClock(redis);
    const starting = fare(clock.start());
    await own.start();
    expect((await starting).error).toBeNull();
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(SLACK);
    clock.stop();
  });

  it('does not jitter by what a measurement may be wrong by', async () => {
    const redis = await connected('patient', testRedisUrl());
    const clock = new RedisClock(redis);
    await clock.sync();
    const seen: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      await clock.sync();
      seen.push(clock.now());
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});
