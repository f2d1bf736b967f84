import { LRUCache } from 'lru-cache';
import { expect, it } from 'vitest';
import { atMost } from '../../src/state/cache-entries.ts';

it('keeps so many entries and drops the least recently used', () => {
  const cache = new LRUCache<string, number>({ ...atMost(3), ttl: 60_000 });
  for (const [at, name] of ['a', 'b', 'c'].entries()) cache.set(name, at);
  cache.set('b', 4);
  cache.get('a');
  cache.set('d', 5);
  expect([...cache.keys()].sort()).toEqual(['a', 'b', 'd']);
  for (let at = 0; at < 100; at += 1) cache.set(`${at}`, at);
  expect([...cache.keys()]).toEqual(['99', '98', '97']);
});
