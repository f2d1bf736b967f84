// What compiled schemas are remembered in: bounded in number and in weight, and it is the unused that is forgotten.
import { expect, it } from 'vitest';
import { Lru } from '../../src/output-schema/lru.ts';

const keysOf = (lru: Lru<number>, keys: string) =>
  [...keys].filter((key) => lru.get(key) !== undefined).join('');

it('forgets what was used least recently when there are too many', () => {
  const lru = new Lru<number>(3);
  for (const key of 'abc') lru.set(key, 1);
  expect(lru.get('a')).toBe(1);
  lru.set('d', 1);
  expect([lru.size, keysOf(lru, 'abcd')]).toEqual([3, 'acd']);
});

it('forgets as many as it takes when they weigh too much, and itself when it alone does', () => {
  const lru = new Lru<number>(10, 100);
  for (const key of 'abcd') lru.set(key, 1, 25);
  lru.set('e', 1, 60);
  expect(keysOf(lru, 'abcde')).toBe('de');
  lru.set('f', 1, 101);
  expect(lru.size).toBe(0);
  lru.set('g', 1, 100);
  expect(keysOf(lru, 'g')).toBe('g');
});

it('weighs what takes the place of another once', () => {
  const lru = new Lru<number>(10, 100);
  for (let value = 0; value < 5; value += 1) lru.set('a', value, 60);
  lru.set('b', 1, 40);
  expect([lru.get('a'), lru.get('b')]).toEqual([4, 1]);
});
