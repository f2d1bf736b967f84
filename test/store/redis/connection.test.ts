// Connections in an outage of Redis: commands of a request connection fail soon, those of a patient one wait and go on.
// Also the clock that follows Redis'.

import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { RedisClock } from '../../../src/store/redis/clock.ts';
import { commit, EMPTY_CHANGE } from '../../../src/store/redis/commit.ts';
import { connectNear, isUnavailable, whenReady } from '../../../src/store/redis/connection.ts';
import { readTopology } from '../../../src/store/redis/topology.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { testRedisUrl } from '../../support/redis.ts';
import { startRedisProxy } from '../../support/redis-proxy.ts';

const LIMIT = 2000;
/** Tolerance for a busy machine. */
const SLACK = 1500;

let own: OwnRedis;
/** Starts a Redis for each test of a `describe`. */
const withOwnRedis = () => {
  beforeEach(async () => {
    own = await startOwnRedis();
  });
  afterEach(() => own.stop());
};
const open: Redis[] = [];
const connected = async (manner: 'request' | 'patient', url = own.url): Promise<Redis> => {
  const redis = connectNear('', readTopology(url), manner, () => undefined);
  open.push(redis);
  await whenReady(redis);
  return redis;
};

afterEach(() => {
  for (const redis of open.splice(0)) redis.disconnect();
});

/** Result of a request: its reply or error, and how long it took. */
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

  it('fails within two seconds when Redis keeps the connection open and does not reply', async () => {
    const redis = await connected('request');
    own.freeze();
    const { error, ms } = await fare(request(redis));
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(LIMIT + SLACK);
    own.resume();
    await expect.poll(() => fare(request(redis)).then((one) => one.error), { timeout: 10_000 }).toBeNull();
  });

  it('fails at once while Redis is down, and works again afterwards', async () => {
    const redis = await connected('request');
    await own.kill();
    const { error, ms } = await fare(request(redis));
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(SLACK);
    await own.start();
    await expect.poll(() => fare(request(redis)).then((one) => one.error), { timeout: 10_000 }).toBeNull();
  });

  it('fails soon when Redis dies while a command waits', async () => {
    const redis = await connected('request');
    own.freeze();
    const pending = fare(request(redis));
    await own.kill();
    const { error, ms } = await pending;
    expect(isUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(LIMIT + SLACK);
  });
});

describe('a commit whose reply is lost', () => {
  withOwnRedis();

  it('is not sent a second time, which would conflict with itself', async () => {
    const wire = await startRedisProxy(own.url);
    try {
      const redis = await connected('request', wire.url);
      await commit(redis, EMPTY_CHANGE);
      const cut = wire.cutReply('evalsha');
      const { answer, error } = await fare(
        commit(redis, { guards: [{ kind: 'absent', key: 'once' }], writes: [['SET', 'once', 'done']] }),
      );
      await cut;
      // The commit happened, which this process cannot know, so it must not report that nothing was written.
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

  it('waits for a Redis that has not started yet', async () => {
    await own.kill();
    const redis = connectNear('', readTopology(own.url), 'patient', () => undefined);
    open.push(redis);
    const ready = whenReady(redis);
    await own.start();
    await ready;
    expect(await redis.ping()).toBe('PONG');
  });

  it('waits during a restart and reads what was written before', async () => {
    const redis = await connected('patient');
    await redis.set('kept', 'yes');
    await own.kill();
    const waiting = redis.get('kept');
    await own.start();
    expect(await waiting).toBe('yes');
  });
});

describe('an outage is distinguished from a fault', () => {
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

  describe('in a script', () => {
    withOwnRedis();

    it('also when Redis is at its memory limit', async () => {
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
  it('returns Redis’ time, independent of the machine’s clock', async () => {
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

  it('starts when Redis goes away at that moment, and is right afterwards', async () => {
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

  it('does not jitter within the measurement error', async () => {
    const redis = await connected('patient', testRedisUrl());
    const clock = new RedisClock(redis);
    // The first sample may be a slow one, which a better one corrects.
    for (let round = 0; round < 20; round += 1) await clock.sync();
    const seen: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      await clock.sync();
      seen.push(clock.now());
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});
