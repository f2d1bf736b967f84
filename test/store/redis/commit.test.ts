// The commit script writes all or nothing, byte for byte, in one atomic step.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { commit, EMPTY_CHANGE, type Guard } from '../../../src/store/redis/commit.ts';
import { openTestDb } from '../../support/db.ts';

const { redis, prefix } = await openTestDb();

let made = 0;
const freshKey = () => `${prefix}:{commit}:${++made}`;

describe('a guard', () => {
  const cases: [
    name: string,
    prepare: (key: string) => Promise<unknown>,
    guard: (key: string) => Guard,
    boolean,
  ][] = [
    [
      'version: the same',
      (key) => redis.hset(key, 'v', 3),
      (key) => ({ kind: 'version', key, version: 3 }),
      true,
    ],
    [
      'version: a later one',
      (key) => redis.hset(key, 'v', 4),
      (key) => ({ kind: 'version', key, version: 3 }),
      false,
    ],
    ['version: no record', async () => undefined, (key) => ({ kind: 'version', key, version: 3 }), false],
    ['version 0: no record', async () => undefined, (key) => ({ kind: 'version', key, version: 0 }), true],
    [
      'version 0: a record exists',
      (key) => redis.hset(key, 'v', 1),
      (key) => ({ kind: 'version', key, version: 0 }),
      false,
    ],
    [
      'score: the same, bit for bit',
      (key) => redis.zadd(key, 1_770_232_860_123.25, 'm'),
      (key) => ({ kind: 'score', key, member: 'm', score: 1_770_232_860_123.25 }),
      true,
    ],
    [
      'score: another',
      (key) => redis.zadd(key, 1_770_232_860_123.5, 'm'),
      (key) => ({ kind: 'score', key, member: 'm', score: 1_770_232_860_123.25 }),
      false,
    ],
    [
      'score: no such member',
      (key) => redis.zadd(key, 1, 'other'),
      (key) => ({ kind: 'score', key, member: 'm', score: 1 }),
      false,
    ],
    ['absent: no key', async () => undefined, (key) => ({ kind: 'absent', key }), true],
    ['absent: a key exists', (key) => redis.set(key, ''), (key) => ({ kind: 'absent', key }), false],
    ['value: the same', (key) => redis.set(key, 'ü'), (key) => ({ kind: 'value', key, value: 'ü' }), true],
    ['value: another', (key) => redis.set(key, 'ü '), (key) => ({ kind: 'value', key, value: 'ü' }), false],
    [
      'field: the same, byte for byte',
      (key) => redis.hset(key, 'f', Buffer.from([0, 255, 10])),
      (key) => ({ kind: 'field', key, field: 'f', value: Buffer.from([0, 255, 10]) }),
      true,
    ],
    [
      'field: another',
      (key) => redis.hset(key, 'f', Buffer.from([0, 255])),
      (key) => ({ kind: 'field', key, field: 'f', value: Buffer.from([0, 255, 10]) }),
      false,
    ],
    [
      'field: missing',
      (key) => redis.hset(key, 'other', ''),
      (key) => ({ kind: 'field', key, field: 'f', value: '' }),
      false,
    ],
    [
      'no field: missing',
      (key) => redis.hset(key, 'other', ''),
      (key) => ({ kind: 'field', key, field: 'f', value: null }),
      true,
    ],
    [
      'no field: present and empty',
      (key) => redis.hset(key, 'f', ''),
      (key) => ({ kind: 'field', key, field: 'f', value: null }),
      false,
    ],
    [
      'room: one more fits',
      (key) => redis.zadd(key, 0, 'a'),
      (key) => ({ kind: 'below_limit', key, limit: 2 }),
      true,
    ],
    [
      'room: full',
      (key) => redis.zadd(key, 0, 'a', 0, 'b'),
      (key) => ({ kind: 'below_limit', key, limit: 2 }),
      false,
    ],
    ['value: no key', async () => undefined, (key) => ({ kind: 'value', key, value: '' }), false],
  ];

  it.each(cases)('%s', async (_, prepare, guard, holds) => {
    const key = freshKey();
    const written = freshKey();
    await prepare(key);
    const before = await redis.dump(key);
    const done = await commit(redis, { guards: [guard(key)], writes: [['SET', written, 'yes']] });
    expect(done).toBe(holds);
    expect(await redis.get(written)).toBe(holds ? 'yes' : null);
    expect(await redis.dump(key)).toEqual(before);
  });

  it('of several absent keys fails when any of them exists', async () => {
    const [one, two, held, written] = [freshKey(), freshKey(), freshKey(), freshKey()];
    await redis.hset(held, 'v', 1);
    const guards: Guard[] = [
      { kind: 'absent', key: one },
      { kind: 'version', key: held, version: 1 },
      { kind: 'absent', key: two },
    ];
    const writes = [['SET', written, 'yes']] as const;
    for (const key of [one, two]) {
      await redis.set(key, '');
      expect(await commit(redis, { guards, writes })).toBe(false);
      await redis.del(key);
    }
    expect(await redis.exists(written)).toBe(0);
    expect(await commit(redis, { guards, writes })).toBe(true);
  });

  it('that fails prevents all writes, at any position', async () => {
    const [held, broken, written] = [freshKey(), freshKey(), freshKey()];
    await redis.hset(held, 'v', 1);
    await redis.hset(broken, 'v', 2);
    const holds: Guard = { kind: 'version', key: held, version: 1 };
    const fails: Guard = { kind: 'version', key: broken, version: 1 };
    const other: Guard = { kind: 'absent', key: written };
    for (const guards of [
      [fails, holds, other],
      [holds, fails, other],
      [other, holds, fails],
    ]) {
      const writes = [
        ['SET', written, 'yes'],
        ['HSET', held, 'v', 2],
        ['DEL', broken],
      ] as const;
      expect(await commit(redis, { guards, writes })).toBe(false);
    }
    expect(await redis.exists(written)).toBe(0);
    expect(await redis.hget(held, 'v')).toBe('1');
    expect(await redis.hget(broken, 'v')).toBe('2');
  });
});

describe('the writes', () => {
  it('happen in order, on any number of keys', async () => {
    const [hash, list, set, stream] = [freshKey(), freshKey(), freshKey(), freshKey()];
    const done = await commit(redis, {
      guards: [],
      writes: [
        ['HSET', hash, 'v', 1, 'd', 'old'],
        ['HSET', hash, 'd', 'new'],
        ['RPUSH', list, 'a', 'b'],
        ['DEL', list],
        ['RPUSH', list, 'c'],
        ['ZADD', set, 5, 'm', 7, 'n'],
        ['XADD', stream, '*', 'd', 'entry'],
      ],
    });
    expect(done).toBe(true);
    expect(await redis.hgetall(hash)).toEqual({ v: '1', d: 'new' });
    expect(await redis.lrange(list, 0, -1)).toEqual(['c']);
    expect(await redis.zrange(set, 0, '-1', 'WITHSCORES')).toEqual(['m', '5', 'n', '7']);
    expect((await redis.xrange(stream, '-', '+')).map(([, fields]) => fields)).toEqual([['d', 'entry']]);
  });

  it('that are the same for several keys happen once to each, in order', async () => {
    const [one, two, three, four] = [freshKey(), freshKey(), freshKey(), freshKey()];
    const done = await commit(redis, {
      guards: [{ kind: 'absent', key: four }],
      writes: [
        ['RPUSH', one, 'a', 'b'],
        ['RPUSH', two, 'a', 'b'],
        ['RPUSH', three, 'a', 'b'],
        ['RPUSH', three, 'a', 'b'],
        ['RPUSH', three, 'a'],
        ['LPUSH', three, 'a'],
        ['LPUSH', one, 'c'],
        ['LPUSH', two, 'c'],
        ['RPUSH', four, 'd'],
      ],
    });
    expect(done).toBe(true);
    const lists = await Promise.all([one, two, three, four].map((key) => redis.lrange(key, 0, '-1')));
    expect(lists).toEqual([['c', 'a', 'b'], ['c', 'a', 'b'], ['a', 'a', 'b', 'a', 'b', 'a'], ['d']]);
  });

  it('keep every byte', async () => {
    const key = freshKey();
    const bytes = Buffer.concat([Buffer.from([0, 255, 13, 10, 128]), randomBytes(100_000)]);
    expect(await commit(redis, { guards: [], writes: [['SET', key, bytes]] })).toBe(true);
    expect((await redis.getBuffer(key))?.equals(bytes)).toBe(true);
  });

  it('may be empty: then only the guards are checked', async () => {
    const key = freshKey();
    expect(await commit(redis, { guards: [{ kind: 'absent', key }], writes: [] })).toBe(true);
    await redis.set(key, 'x');
    expect(await commit(redis, { guards: [{ kind: 'absent', key }], writes: [] })).toBe(false);
    expect(await commit(redis, EMPTY_CHANGE)).toBe(true);
  });

  it('of one commit are never seen partially', async () => {
    const [one, two] = [freshKey(), freshKey()];
    const isOver = { value: false };
    const writer = (async () => {
      for (let round = 1; round <= 300; round += 1)
        await commit(redis, {
          guards: [{ kind: 'version', key: one, version: round - 1 }],
          writes: [
            ['HSET', one, 'v', round],
            ['HSET', two, 'v', round],
          ],
        });
      isOver.value = true;
    })();
    const other = redis.duplicate();
    try {
      while (!isOver.value) {
        const seen = await other.multi().hget(one, 'v').hget(two, 'v').exec();
        expect(seen?.[0]?.[1]).toBe(seen?.[1]?.[1]);
      }
      await writer;
    } finally {
      other.disconnect();
    }
  });

  it('happen for only one of concurrent commits on the same version', async () => {
    const [record, log] = [freshKey(), freshKey()];
    const attempts = Array.from({ length: 100 }, (_, index) =>
      commit(redis, {
        guards: [{ kind: 'version', key: record, version: 0 }],
        writes: [
          ['HSET', record, 'v', 1, 'by', index],
          ['RPUSH', log, index],
        ],
      }),
    );
    const results = await Promise.all(attempts);
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await redis.lrange(log, 0, -1)).toEqual([String(results.indexOf(true))]);
  });

  it('report a command that Redis refuses', async () => {
    const key = freshKey();
    await redis.set(key, 'text');
    await expect(commit(redis, { guards: [], writes: [['RPUSH', key, 'a']] })).rejects.toThrow(/WRONGTYPE/);
  });
});

it('rejects an invalid number and writes nothing', async () => {
  const [one, other] = [freshKey(), freshKey()];
  const writes = [
    ['ZADD', one, Number.NaN, 'm'],
    ['ZADD', other, Number.NaN, 'm'],
  ] as const;
  await expect(commit(redis, { guards: [], writes })).rejects.toThrow('not a valid float');
  expect(await redis.exists(one, other)).toBe(0);
});
