// Pages are full except the last, in order, without duplicates or gaps, also while members are added and with several
// indexes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inEach, listMember, memberId, page, type Range, scan } from '../../../src/store/redis/lists.ts';
import { openTestDb } from '../../support/db.ts';

const db = await openTestDb();

let made = 0;
const freshIndex = () => `${db.prefix}:{lists}:${++made}`;
const member = (number: number) => String(number).padStart(6, '0');
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const fill = async (key: string, members: string[]) => {
  for (let at = 0; at < members.length; at += 1000)
    await db.redis.zadd(key, ...members.slice(at, at + 1000).flatMap((one) => [0, one]));
};
const whole: Range = { order: 'asc', after: null, from: null, to: null };
const asTheyAre = async (members: string[]) => members;

/** All pages in order. */
async function pages(
  keys: string[],
  range: Range,
  limit: number,
  load: (members: string[]) => Promise<(string | null)[]> = asTheyAre,
  between: () => Promise<void> = async () => undefined,
): Promise<string[][]> {
  const found: string[][] = [];
  for (let after = range.after; ; ) {
    const { items, next } = await page(db, keys, { ...range, after }, limit, load);
    found.push(items);
    if (next === null) return found;
    after = next;
    await between();
  }
}

describe('a list', () => {
  it.each([
    [0, 10, [0]],
    [9, 10, [9]],
    [10, 10, [10]],
    [11, 10, [10, 1]],
    [20, 10, [10, 10]],
    [450, 200, [200, 200, 50]],
    [3, 1, [1, 1, 1]],
  ])('of %i in pages of %i: %j', async (count, limit, sizes) => {
    const key = freshIndex();
    await fill(key, numbers(0, count).map(member));
    const ascending = await pages([key], whole, limit);
    expect(ascending.map((one) => one.length)).toEqual(sizes);
    expect(ascending.flat()).toEqual(numbers(0, count).map(member));
    const descending = await pages([key], { ...whole, order: 'desc' }, limit);
    expect(descending.map((one) => one.length)).toEqual(sizes);
    expect(descending.flat()).toEqual(numbers(0, count).map(member).reverse());
  });

  it('has full pages even when most members are left out', async () => {
    const key = freshIndex();
    await fill(key, numbers(0, 3000).map(member));
    const seventh = async (members: string[]) => members.map((one) => (Number(one) % 7 === 0 ? one : null));
    const found = await pages([key], whole, 50, seventh);
    expect(found.flat()).toEqual(
      numbers(0, 3000)
        .filter((one) => one % 7 === 0)
        .map(member),
    );
    for (const one of found.slice(0, -1)) expect(one).toHaveLength(50);
  });

  it('loads only members that are in an index of each family', async () => {
    const [walked, thirds, fifths, sevenths] = [freshIndex(), freshIndex(), freshIndex(), freshIndex()];
    await fill(walked, numbers(0, 1000).map(member));
    for (const [key, step] of [
      [thirds, 3],
      [fifths, 5],
      [sevenths, 7],
    ] as const)
      await fill(
        key,
        numbers(0, 1000)
          .filter((one) => one % step === 0)
          .map(member),
      );
    const fits = numbers(0, 1000).filter((one) => one % 3 === 0 && (one % 5 === 0 || one % 7 === 0));
    const loaded: string[] = [];
    const load = async (members: string[]) => {
      loaded.push(...members);
      return members;
    };
    const families = [[thirds], [fifths, sevenths]];
    const { items } = await page(db, [walked], whole, 1000, load, (members) => inEach(db, families, members));
    expect(items).toEqual(fits.map(member));
    expect(loaded).toEqual(items);
  });

  it('does not shift while members are added and removed on both sides of the cursor', async () => {
    const key = freshIndex();
    const even = numbers(0, 500).map((one) => member(one * 2));
    await fill(key, even);
    for (const order of ['asc', 'desc'] as const) {
      const seen = await pages([key], { ...whole, order }, 7, asTheyAre, async () => {
        const odd = Math.floor(Math.random() * 500) * 2 + 1;
        await db.redis.zadd(key, 0, member(odd));
        await db.redis.zrem(key, member(Math.floor(Math.random() * 500) * 2 + 1));
      });
      const list = seen.flat();
      // Members that existed all the time are seen once, in order; members added meanwhile at most once.
      expect(list.filter((one) => Number(one) % 2 === 0)).toEqual(
        order === 'asc' ? even : [...even].reverse(),
      );
      expect(new Set(list).size).toBe(list.length);
      const sorted = [...list].sort();
      expect(list).toEqual(order === 'asc' ? sorted : sorted.reverse());
    }
  });

  it('includes the lower bound and excludes the upper', async () => {
    const key = freshIndex();
    await fill(key, numbers(0, 100).map(member));
    for (const order of ['asc', 'desc'] as const) {
      const found = await pages([key], { order, after: null, from: member(10), to: member(20) }, 3);
      const expected = numbers(10, 20).map(member);
      expect(found.flat()).toEqual(order === 'asc' ? expected : expected.reverse());
    }
  });

  it('of several indexes is their union in order, without duplicates', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(fc.nat(2000), { maxLength: 700, size: 'max' }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.constantFrom<'asc' | 'desc'>('asc', 'desc'),
        fc.constantFrom(1, 10, 200, 333),
        async (drawn, order, limit) => {
          // Pages of one item need a request each, so only a few are read.
          const indexes = limit === 1 ? drawn.map((all) => all.slice(0, 50)) : drawn;
          const keys = indexes.map(freshIndex);
          await Promise.all(
            indexes.map(async (all, index) => {
              const key = keys[index];
              if (key !== undefined && all.length > 0) await fill(key, all.map(member));
            }),
          );
          const found = await pages(keys, { ...whole, order }, limit);
          const expected = [...new Set(indexes.flat())].sort((a, b) => a - b).map(member);
          expect(found.flat()).toEqual(order === 'asc' ? expected : expected.reverse());
          for (const one of found.slice(0, -1)) expect(one).toHaveLength(limit);
          await db.redis.del(...keys);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is scanned completely in chunks after a member', async () => {
    const [first, second] = [freshIndex(), freshIndex()];
    // One index dense at the start, the other at the end: their chunks end at different members.
    await fill(first, numbers(0, 900).map(member));
    await fill(second, [...numbers(890, 1500), 3].map(member));
    const seen: string[] = [];
    for await (const chunk of scan(db, [first, second], { ...whole, after: member(5) })) {
      expect(chunk.length).toBeGreaterThan(0);
      seen.push(...chunk);
    }
    expect(seen).toEqual(numbers(6, 1500).map(member));
  });
});

it('sorts records by creation time when their ids do not', () => {
  const made = [listMember(5, 'z'), listMember(40, 'a'), listMember(1_770_232_860_000, 'a:b')];
  expect([...made].sort()).toEqual(made);
  expect(made.map(memberId)).toEqual(['z', 'a', 'a:b']);
});
