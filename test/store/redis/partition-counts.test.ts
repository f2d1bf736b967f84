// Counts in all partitions: right however many of them have keys, and cheap where few do.
import { expect, it } from 'vitest';
import type { Db } from '../../../src/store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../../../src/store/redis/keys.ts';
import { type CountCommand, countInPartitions } from '../../../src/store/redis/partition-counts.ts';
import { openTestDb } from '../../support/db.ts';
import { freshPrefix } from '../../support/redis.ts';

const shared = await openTestDb();

/** Which of the partitions are used: none, one, the last, some next to each other, every second, and all. */
const USED: [string, (index: number) => boolean][] = [
  ['no partition', () => false],
  ['one partition', (index) => index === 77],
  ['the first and the last partition', (index) => index === 0 || index === PARTITIONS.length - 1],
  ['a few partitions next to each other', (index) => index >= 30 && index < 36],
  ['every second partition', (index) => index % 2 === 0],
  ['all partitions', () => true],
];

/** Fills these partitions, some of whose streams are empty. @returns what is in each: entries, members and keys */
async function fill(db: Db, isUsed: (index: number) => boolean): Promise<[number, number, number][]> {
  return Promise.all(
    PARTITIONS.map(async (partition, index) => {
      if (!isUsed(index)) return [0, 0, 0];
      const { outbox, due, replays } = partitionKeys(db.prefix, partition);
      const entries = index % 3;
      for (let entry = 0; entry < entries; entry += 1) await db.redis.xadd(outbox, '*', 'x', '1');
      if (entries === 0) await db.redis.xgroup('CREATE', outbox, 'group', '0', 'MKSTREAM');
      await db.redis.zadd(due, 1, 'a', 2, 'b', 9, 'c');
      await db.redis.zadd(replays, 1, 'a');
      return [entries, 2, 2];
    }),
  );
}

it.each(USED)('counts in %s', async (_, isUsed) => {
  const db = { ...shared, prefix: freshPrefix() };
  const expected = await fill(db, isUsed);
  const count = (commandsOf: (keys: ReturnType<typeof partitionKeys>) => readonly CountCommand[]) =>
    countInPartitions(db, PARTITIONS, commandsOf);
  expect(await count(({ outbox }) => [['XLEN', outbox]])).toEqual(expected.map(([entries]) => entries));
  expect(await count(({ due }) => [['ZCOUNT', due, 0, 5]])).toEqual(expected.map(([, due]) => due));
  expect(await count(({ due, replays, bulkActions }) => [['EXISTS', due, replays, bulkActions]])).toEqual(
    expected.map(([, , keys]) => keys),
  );
  expect(
    await count(({ outbox, due }) => [
      ['XLEN', outbox],
      ['ZCOUNT', due, 0, 5],
    ]),
  ).toEqual(expected.map(([entries, due]) => entries + due));
  expect(await countInPartitions(db, [], ({ outbox }) => [['XLEN', outbox]])).toEqual([]);
});

it('does not know the count of a key of another type, and counts the others', async () => {
  const db = { ...shared, prefix: freshPrefix() };
  await fill(db, (index) => index === 4 || index === 200);
  const wrong = partitionKeys(db.prefix, PARTITIONS[9] ?? '');
  await db.redis.set(wrong.outbox, 'text');
  await db.redis.set(wrong.due, 'text');
  const streams = await countInPartitions(db, PARTITIONS, ({ outbox }) => [['XLEN', outbox]]);
  const sets = await countInPartitions(db, PARTITIONS, ({ due }) => [['ZCOUNT', due, 0, 5]]);
  expect([streams[4], streams[9], streams[200], streams[5]]).toEqual([1, null, 2, 0]);
  expect([sets[4], sets[9], sets[200], sets[5]]).toEqual([2, null, 2, 0]);
});

it('asks few commands where few partitions are used', async () => {
  const db = { ...shared, prefix: freshPrefix() };
  await fill(db, (index) => index === 4 || index === 200);
  const calls = async (name: string) => {
    const found = new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(await db.redis.info('commandstats'));
    return Number(found?.[1] ?? 0);
  };
  const before = await calls('zcount');
  await countInPartitions(db, PARTITIONS, ({ due }) => [['ZCOUNT', due, 0, 5]]);
  expect((await calls('zcount')) - before).toBeLessThan(20);
});
