// The compressed form of final tasks: every JSON value comes back as it was.
import { hash as digest } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { packJson, unpackJson } from '../../../src/store/redis/packing.ts';
import {
  DICTIONARY,
  FIRST_DICTIONARY,
  SECOND_DICTIONARY,
} from '../../../src/store/redis/packing-dictionaries.ts';

const uuid = '01a22f25-c6d1-70b7-9682-862582e72db7';
const hash = 'eae7df719148cc32d8f803422c97fcc6f79756efb497b26a9b89737c89ac1a8b';
const time = '2026-12-01T01:08:54.511Z';
const sealed = 's1.S7Bvjk46.vW52SCWbh7euS7ztNTFHUCFdYzjzFL_PLpWoBG0Ay4xqVqBO3HMsYqLayMchAvoImqZKlw';

it('gives back texts that are, contain or resemble ids, hashes and times', () => {
  const part = fc.constantFrom(
    ...[uuid, hash, time, uuid.toUpperCase(), uuid.slice(1), hash + hash, `0${hash}`],
    ...['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ...[
      sealed,
      sealed.slice(0, -1),
      `${sealed}b`,
      's1.S7Bvjk46.',
      's1.S7Bvjk46.A',
      's1.S7Bvjk46.AA',
      's1.S7Bvjk4.AA',
    ],
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
      const same = JSON.parse(JSON.stringify(value));
      expect(unpackJson(packJson(value))).toEqual(same);
      expect(unpackJson(packJson(value, [uuid, hash]), [uuid, hash])).toEqual(same);
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

it('takes no bytes for an id that is expected, and those of a sealed text', () => {
  const other = `${uuid.slice(0, -1)}8`;
  const sizes = [[uuid], [other], [sealed], ['']].map((value) => packJson(value, [uuid]).length);
  const [expected = 0, unexpected = 0, secret = 0, empty = 0] = sizes;
  expect(expected).toBeLessThanOrEqual(empty + 3);
  expect(unexpected).toBeGreaterThanOrEqual(empty + 16);
  expect(secret).toBeLessThanOrEqual(empty + 6 + 1 + 52 + 4);
});

it('refuses bytes that end too soon', () => {
  const packed = packJson([uuid, hash, time, sealed]);
  for (let end = 0; end < packed.length; end += 1)
    expect(() => unpackJson(packed.subarray(0, end)), `${end} bytes`).toThrow();
});

// A dictionary that changes makes everything unreadable that was packed with it.
it('keeps its dictionaries', () => {
  const digests = [FIRST_DICTIONARY, SECOND_DICTIONARY, DICTIONARY].map((one) =>
    digest('sha256', one).slice(0, 16),
  );
  expect(digests).toEqual(['4646a7bd1bce4d17', 'f87527207535300a', 'ede239ccbe90bf19']);
});
