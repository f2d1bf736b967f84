// How a purge is recorded: as bytes, and as text as earlier versions did.
import { expect, it } from 'vitest';
import { orgOf, tenantOf } from '../../../src/state/access/tenant.ts';
import { newNumberedId } from '../../../src/store/redis/ids.ts';
import { partitionOf } from '../../../src/store/redis/keys.ts';
import {
  dueEntries,
  type Purge,
  purgeTimesOf,
  readPurge,
  readTextPurge,
  retentionEntries,
  retentionEntry,
} from '../../../src/store/tasks/retention-index.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';

const db = await openTestDb();
const task_id = '01a22f25-c6d1-70b7-9682-862582e72db7';

it('gives back org, task and kind from bytes and from text', () => {
  const now = db.clock.now();
  const numbered = [0, 7, 255].map((number) => newNumberedId(now, number));
  // The last one has no partition of such a number.
  const others = [freshOrg(db), newNumberedId(now, 256)];
  const orgs = [...numbered, ...others].flatMap((org) => [org, tenantOf(org, 'test')]);
  for (const org_id of orgs)
    for (const log of [false, true]) {
      const purge: Purge = { org_id, task_id, log };
      const [bytes, text] = retentionEntries(db, purge);
      expect(readPurge(bytes.member as Buffer, partitionOf(org_id))).toEqual(purge);
      const hasFlags = log || org_id.endsWith('-test');
      expect(bytes.member.length).toBe((others.includes(orgOf(org_id)) ? 32 : 30) + Number(hasFlags));
      expect(text?.member).toBe(`${org_id} ${task_id}${log ? ' log' : ''}`);
      expect(readTextPurge(text?.member as string)).toEqual(purge);
      expect(bytes.key).not.toBe(text?.key);
    }
});

it('records ids that are no UUIDs as text', () => {
  for (const purge of [
    { org_id: 'acme', task_id, log: false },
    { org_id: freshOrg(db), task_id: task_id.toUpperCase(), log: false },
  ]) {
    expect(retentionEntries(db, purge)).toHaveLength(1);
    expect(readTextPurge(retentionEntry(db, purge).member as string)).toEqual(purge);
  }
});

it('reads nothing from what is malformed', () => {
  for (const length of [0, 8, 29, 34, 64]) expect(readPurge(Buffer.alloc(length, 1), 'q00')).toBeNull();
  for (const length of [31, 33]) {
    expect(readPurge(Buffer.alloc(length, 3), 'q00')).not.toBeNull();
    expect(readPurge(Buffer.alloc(length, 4), 'q00')).toBeNull();
  }
  for (const one of ['', 'nonsense', 'a b c', 'a b log ', 'a  b']) expect(readTextPurge(one)).toBeNull();
});

it('finds due entries of both forms, the earliest first, and their times', async () => {
  const org_id = newNumberedId(db.clock.now(), 40);
  const ids = [1, 2, 3, 4, 5].map((last) => task_id.slice(0, -1) + last);
  const now = db.clock.now();
  const [, text] = retentionEntries(db, { org_id, task_id: ids[0] ?? '', log: false });
  if (text === undefined) throw new Error('no text');
  const purges: Purge[] = ids.slice(1, 4).map((id) => ({ org_id, task_id: id, log: false }));
  const times = [now - 300, now - 100, now + 60_000];
  await db.redis.zadd(text.key, now - 200, text.member);
  for (const [at, purge] of purges.entries()) {
    const { key, member } = retentionEntry(db, purge);
    await db.redis.zadd(key, times[at] ?? 0, member);
  }
  const found = await dueEntries(db, partitionOf(org_id), 10);
  const own = found.filter((one) => one.purge?.org_id === org_id);
  expect(own.map(({ purge, at }) => [purge?.task_id, at])).toEqual([
    [ids[1], now - 300],
    [ids[0], now - 200],
    [ids[2], now - 100],
  ]);
  expect(await purgeTimesOf(db, org_id, ids)).toEqual([now - 200, ...times, null]);
  expect(await purgeTimesOf(db, org_id, ids, true)).toEqual(ids.map(() => null));
  expect(await purgeTimesOf(db, org_id, [])).toEqual([]);
});
