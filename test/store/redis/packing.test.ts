// The compressed form of final tasks: every JSON value comes back as it was.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { packJson, unpackJson } from '../../../src/store/redis/packing.ts';

const uuid = '01a22f25-c6d1-70b7-9682-862582e72db7';
const hash = 'eae7df719148cc32d8f803422c97fcc6f79756efb497b26a9b89737c89ac1a8b';
const time = '2026-12-01T01:08:54.511Z';

it('gives back texts that are, contain or resemble ids, hashes and times', () => {
  const part = fc.constantFrom(
    ...[uuid, hash, time, uuid.toUpperCase(), uuid.slice(1), hash + hash, `0${hash}`],
    ...['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ...['2026-13-01T01:08:54.511Z', '2026-02-30T01:08:54.511Z', '0000-01-01T00:00:00.000Z'],
    ...[
      '1796087334609',
      '1000000000000',
      '11796087334609',
      '-',
      ' ',
      'a',
      '\u0001',
      '\u0002',
      '\\u0001',
      '\ud800',
      '€',
    ],
  );
  const texts = fc.array(part, { maxLength: 6 }).map((all) => all.join(''));
  const values = fc.oneof(
    texts,
    fc.jsonValue(),
    fc.integer({ min: -2e13, max: 2e13 }),
    fc.double({ min: 1e12, max: 2e12 }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, values), { maxLength: 20 }), (value) => {
      expect(unpackJson(packJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
});

it('gives back more ids and times than it can refer to', () => {
  const ids = Array.from({ length: 200 }, (_, at) => uuid.slice(0, -3) + (100 + at));
  const times = ids.map((_, at) => new Date(1796087334609 + 977 * at));
  const value = [
    ids,
    ids,
    times.map((one) => one.toISOString()),
    times.map(Number),
    times.map(Number).reverse(),
  ];
  expect(unpackJson(packJson(value))).toEqual(value);
});

it('refuses bytes that end too soon', () => {
  const packed = packJson([uuid, hash, time]);
  for (let end = 0; end < packed.length; end += 1)
    expect(() => unpackJson(packed.subarray(0, end)), `${end} bytes`).toThrow();
});
