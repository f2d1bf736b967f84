// Commits of one turn of the event loop share calls of the script, and are carried out as if each were alone.
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Change, commit } from '../../../src/store/redis/commit.ts';
import { connect, isUnavailable, whenReady } from '../../../src/store/redis/connection.ts';
import { readTopology } from '../../../src/store/redis/topology.ts';
import { interceptCommits } from '../../support/commits.ts';
import { openTestDb } from '../../support/db.ts';
import { freePort, startOwnRedis } from '../../support/own-redis.ts';

const db = await openTestDb();
const { redis, prefix } = db;

let made = 0;
const freshKey = (tag = 'calls') => `${prefix}:{${tag}}:${++made}`;
const setting = (key: string, value = 'x'): Change => ({
  guards: [{ kind: 'absent', key }],
  writes: [['SET', key, value]],
});

// From now on Redis knows the script.
await commit(redis, setting(freshKey()));

/** Commits all at once. @returns what became of each, and how many calls they took. */
async function commitAll(changes: readonly Change[]): Promise<{ outcomes: unknown[]; calls: number }> {
  let calls = 0;
  const counted = interceptCommits(db, (run) => {
    calls += 1;
    return run();
  });
  const settled = await Promise.allSettled(changes.map((one) => commit(counted.redis, one)));
  const outcomes = settled.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)));
  return { outcomes, calls };
}

describe('commits of one turn', () => {
  it('share a call, and one that is refused or fails changes nothing of the others', async () => {
    const keys = Array.from({ length: 6 }, () => freshKey());
    const [first = '', refused = '', failing = '', undone = '', late = '', last = ''] = keys;
    await redis.set(refused, 'there');
    await redis.lpush(failing, 'a list');
    const never = { now: () => Date.now(), isFrozen: false, offset: 0, sync: async () => {} };
    const { outcomes, calls } = await commitAll([
      setting(first),
      setting(refused),
      { guards: [], writes: [['INCR', failing]] },
      { guards: [], writes: [['SET', undone, 'x', 'no option']] },
      {
        guards: [{ kind: 'due', key: late, at: Date.now() + 60_000, clock: never }],
        writes: [['SET', late, 'x']],
      },
      setting(last),
    ]);
    expect(calls).toBe(1);
    expect(outcomes).toEqual([
      true,
      false,
      expect.stringContaining('WRONGTYPE'),
      expect.stringContaining('syntax error'),
      expect.stringContaining('it is not due'),
      true,
    ]);
    expect(await redis.mget(first, refused, undone, late, last)).toEqual(['x', 'there', null, null, 'x']);
  });

  it('see what those before them have written', async () => {
    const key = freshKey();
    const { outcomes, calls } = await commitAll([setting(key, 'one'), setting(key, 'two')]);
    expect([calls, outcomes, await redis.get(key)]).toEqual([1, [true, false], 'one']);
  });

  it('take further calls when there are many or large ones', async () => {
    const many = await commitAll(Array.from({ length: 40 }, () => setting(freshKey())));
    expect(many).toEqual({ outcomes: Array(40).fill(true), calls: 3 });
    const large = await commitAll(Array.from({ length: 4 }, () => setting(freshKey(), 'x'.repeat(100_000))));
    expect(large).toEqual({ outcomes: Array(4).fill(true), calls: 2 });
  });

  it('take a call for each slot', async () => {
    const { outcomes, calls } = await commitAll(['a', 'b', 'a'].map((tag) => setting(freshKey(tag))));
    expect([outcomes, calls]).toEqual([[true, true, true], 2]);
  });
});

it('leaves a server that has become a replica', async () => {
  const own = await startOwnRedis();
  onTestFinished(() => own.stop());
  const client = connect(readTopology(own.url), 'request', () => undefined) as Redis;
  onTestFinished(() => client.disconnect());
  await whenReady(client);
  await client.replicaof('127.0.0.1', await freePort());
  const closed = once(client, 'close');
  const settled = await Promise.allSettled(['a', 'b'].map((key) => commit(client, setting(`{own}:${key}`))));
  const reasons = settled.map((one) => (one.status === 'rejected' ? one.reason : null));
  for (const reason of reasons) expect(isUnavailable(reason)).toBe(true);
  await closed;
});
