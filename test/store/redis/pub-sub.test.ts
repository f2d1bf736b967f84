// News of changes for those who wait: they wake at once, of their own news only, and find by looking what
// was lost in an outage.

import { Redis } from 'ioredis';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { connectSubscriber, whenReady } from '../../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { Changes } from '../../../src/store/redis/pub-sub.ts';
import { readTopology } from '../../../src/store/redis/topology.ts';
import { addTask, applyCommands, freshOrg, openTestDb, taskOf } from '../../support/db.ts';
import { startOwnRedis } from '../../support/own-redis.ts';
import { subscribersOf, testTopology } from '../../support/redis.ts';

const db = await openTestDb();
const subscriber = connectSubscriber(testTopology(), 'request', () => undefined);
await whenReady(subscriber);
afterAll(() => subscriber.disconnect());
const changes = new Changes(subscriber, db.prefix);
const never = new AbortController().signal;
/** Sooner than the look that is taken every five seconds anyway. */
const AT_ONCE = 4000;
const MINUTE = 60_000;

async function timed<T>(work: Promise<T>): Promise<{ found: T; ms: number }> {
  const startedAt = performance.now();
  const found = await work;
  return { found, ms: performance.now() - startedAt };
}

describe('a waiting request', () => {
  it('is woken by the commit it waits for', async () => {
    const org = freshOrg(db);
    const task = await addTask(db, org);
    let looks = 0;
    const waiting = timed(
      changes.waitFor(
        org,
        (what) => what === `task ${task.task_id}`,
        async () => {
          looks += 1;
          const now = await taskOf(db, org, task.task_id);
          return now.status === 'cancelled' ? now.status : null;
        },
        MINUTE,
        never,
      ),
    );
    // Nobody is told before they listen; that they do shows in their first look.
    await expect.poll(() => looks).toBe(1);
    await applyCommands(db, task, { name: 'cancel', reason: null });
    const { found, ms } = await waiting;
    expect(found).toBe('cancelled');
    expect(ms).toBeLessThan(AT_ONCE);
  });

  it('does not wait for a state that exists already', async () => {
    const { found, ms } = await timed(
      changes.waitFor(
        freshOrg(db),
        () => true,
        async () => 'there',
        MINUTE,
        never,
      ),
    );
    expect(found).toBe('there');
    expect(ms).toBeLessThan(AT_ONCE);
  });

  it('is not woken by other changes', async () => {
    const [org, other] = [freshOrg(db), freshOrg(db)];
    let looks = 0;
    const end = new AbortController();
    const waiting = changes.waitFor(
      org,
      (what) => what === 'task mine',
      async () => {
        looks += 1;
        return null;
      },
      MINUTE,
      end.signal,
    );
    await expect.poll(() => looks).toBe(1);
    await addTask(db, org);
    await addTask(db, other);
    const { changes: channel } = orgKeysOf(db.prefix, org);
    await db.redis.spublish(channel, 'task mine');
    // The order of news is kept: with this one, all before it have come.
    await expect.poll(() => looks).toBe(2);
    end.abort();
    expect(await waiting).toBeNull();
  });

  it('misses no change while it reads', async () => {
    const org = freshOrg(db);
    const { changes: channel } = orgKeysOf(db.prefix, org);
    let looks = 0;
    const { found, ms } = await timed(
      changes.waitFor(
        org,
        () => true,
        async () => {
          looks += 1;
          if (looks > 1) return looks;
          // The change comes after the record was read and before the wait begins.
          await db.redis.spublish(channel, 'task x');
          await subscriber.ping();
          return null;
        },
        MINUTE,
        never,
      ),
    );
    expect(found).toBe(2);
    expect(ms).toBeLessThan(AT_ONCE);
  });

  it('ends at its timeout, or at once when the client disconnects', async () => {
    const org = freshOrg(db);
    const short = await timed(
      changes.waitFor(
        org,
        () => true,
        async () => null,
        150,
        never,
      ),
    );
    expect(short.found).toBeNull();
    expect(short.ms).toBeGreaterThan(100);
    expect(short.ms).toBeLessThan(AT_ONCE);
    const hangUp = new AbortController();
    const waiting = timed(
      changes.waitFor(
        org,
        () => true,
        async () => null,
        MINUTE,
        hangUp.signal,
      ),
    );
    hangUp.abort();
    expect((await waiting).ms).toBeLessThan(AT_ONCE);
    const gone = await timed(
      changes.waitFor(
        org,
        () => true,
        async () => null,
        MINUTE,
        hangUp.signal,
      ),
    );
    expect(gone.ms).toBeLessThan(AT_ONCE);
  });

  it('unsubscribes when it ends', async () => {
    const org = freshOrg(db);
    const { changes: channel } = orgKeysOf(db.prefix, org);
    const listeners = () => subscribersOf(db.redis, channel);
    const ends = [new AbortController(), new AbortController()];
    const waiting = ends.map((end) =>
      changes.waitFor(
        org,
        () => true,
        async () => null,
        MINUTE,
        end.signal,
      ),
    );
    await expect.poll(listeners).toBe(1);
    ends[0]?.abort();
    await waiting[0];
    expect(await listeners()).toBe(1);
    ends[1]?.abort();
    await waiting[1];
    await expect.poll(listeners).toBe(0);
  });
});

describe('when Redis dies', () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  it('finds changes by polling when notifications were lost', async () => {
    const own = await startOwnRedis();
    const listening = connectSubscriber(readTopology(own.url), 'request', () => undefined);
    const writing = new Redis(own.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    writing.on('error', () => undefined);
    ends.push(
      () => own.stop(),
      () => listening.disconnect(),
      () => writing.disconnect(),
    );
    ends.reverse();
    await whenReady(listening);
    const org = freshOrg(db);
    let looks = 0;
    const waiting = new Changes(listening, 'own', 100).waitFor(
      org,
      () => true,
      async () => {
        looks += 1;
        // Only what can be read counts: while Redis is away nothing can.
        return listening.status === 'ready' || looks === 1 ? writing.get('there') : null;
      },
      MINUTE,
      never,
    );
    await expect.poll(() => looks).toBe(1);
    await own.kill();
    await own.start();
    // Nobody is told of it: the channel of the org stays silent.
    await writing.set('there', 'yes');
    expect(await waiting).toBe('yes');
    expect(looks).toBeGreaterThan(1);
  });

  it('fails new requests at once, and serves them again afterwards', async () => {
    const own = await startOwnRedis();
    const listening = connectSubscriber(readTopology(own.url), 'request', () => undefined);
    ends.push(
      () => listening.disconnect(),
      () => own.stop(),
    );
    await whenReady(listening);
    const org = freshOrg(db);
    const late = new Changes(listening, 'own');
    await own.kill();
    const refused = await timed(
      late
        .waitFor(
          org,
          () => true,
          async () => null,
          MINUTE,
          never,
        )
        .then(
          () => 'served',
          () => 'refused',
        ),
    );
    expect(refused.found).toBe('refused');
    expect(refused.ms).toBeLessThan(AT_ONCE);
    await own.start();
    await expect.poll(() => listening.status, { timeout: 10_000 }).toBe('ready');
    expect(
      await late.waitFor(
        org,
        () => true,
        async () => 'served',
        MINUTE,
        never,
      ),
    ).toBe('served');
  });
});
