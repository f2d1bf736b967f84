// Token buckets whose time does not fit Redis' clock: written before a failover or an operator set the clock back.
import { expect, it } from 'vitest';
import { draw } from '../../../src/store/redis/rate-buckets.ts';
import { openTestDb } from '../../support/db.ts';

const { redis, prefix } = await openTestDb();
const quota = { requests: 10, seconds: 60 };

let made = 0;
async function bucketFullIn(ms: number): Promise<string> {
  made += 1;
  const key = `${prefix}:{rate}:${made}`;
  const [seconds, micros] = await redis.time();
  await redis.set(key, String(Number(seconds) * 1000 + Number(micros) / 1000 + ms), 'PX', 3600_000);
  return key;
}

it.each([
  ['an hour', 3600_000],
  ['ten seconds', 10_000],
])('a bucket that says it is full %s beyond its window is as new', async (_name, beyond) => {
  const key = await bucketFullIn(60_000 + beyond);
  const { granted, buckets } = await draw(redis, [{ key, quota }], 4);
  expect(granted).toBe(4);
  expect(buckets[0]).toMatchObject({ left: 6, wait: 0 });
  expect(await redis.pttl(key)).toBeLessThanOrEqual(60_000);
});

it('treats a bucket slightly beyond its window as empty, with its wait', async () => {
  const key = await bucketFullIn(60_500);
  const { granted, buckets } = await draw(redis, [{ key, quota }], 4);
  expect(granted).toBe(0);
  expect(buckets[0]?.left).toBe(0);
  expect(buckets[0]?.wait).toBeGreaterThan(5000);
  expect(buckets[0]?.wait).toBeLessThanOrEqual(6000);
});

it('takes nothing from any bucket when one of them is empty', async () => {
  const [strange, usual] = [await bucketFullIn(3600_000), await bucketFullIn(0)];
  const { granted, buckets } = await draw(
    redis,
    [
      { key: strange, quota },
      { key: usual, quota },
    ],
    20,
  );
  expect(granted).toBe(10);
  expect(buckets.map((one) => one.left)).toEqual([0, 0]);
});
