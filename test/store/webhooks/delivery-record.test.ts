// The stored form of a delivery: one reader, which preserves what a newer process added.
import { pack, unpack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { packDelivery, readDelivery } from '../../../src/store/webhooks/delivery-record.ts';

const attempt = [1, 500, 12, 'no', 'status', '192.0.2.1', 'body', null, ['a', 'b'], [1, null, 2, null, 3, 4]];

describe('a delivery', () => {
  it('keeps what a newer process added to it, or to an attempt', () => {
    const stored = [0, [...attempt, 'more', { of: 'it' }], { added: true }];
    const read = readDelivery(Buffer.from(pack(stored)));
    if (read.kind !== 'known') throw new Error(read.kind);
    const again = packDelivery({ ...read.value, status: 'exhausted' });
    expect(unpack(again)).toEqual([2, ...stored.slice(1)]);
  });

  it.each([
    ['no MessagePack', Buffer.from([0xc1, 0xff])],
    ['no list', Buffer.from(pack({}))],
    ['no status that is known', Buffer.from(pack([9]))],
    ['an attempt that is none', Buffer.from(pack([0, [1, 2]]))],
  ])('with %s is broken', (_name, stored) => {
    expect(readDelivery(stored).kind).toBe('broken');
  });

  it('of a newer form is recognized', () => {
    expect(readDelivery(Buffer.from(pack([-2, 'whatever'])))).toEqual({ kind: 'newer', form: 2 });
  });
});
