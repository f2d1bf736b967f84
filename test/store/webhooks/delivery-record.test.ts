// The stored form of a delivery: one reader, which preserves what a newer process added.
import * as fc from 'fast-check';
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

  const times = [null, 0, 0.4, 26.2, 15_000].map((ms) => fc.constant(ms));
  const phase = fc.oneof(...times);
  const timings = fc.record({
    ...{ queue: phase, dns: phase, connect: phase, tls: phase, first_byte: phase, body: phase },
  });
  it('gives back every attempt as it was, in the short form or not', () => {
    const anyAttempt = fc.record({
      at: fc.constantFrom(0, 1796087334987, 2 ** 48 - 1, 2 ** 48),
      status: fc.constantFrom(null, 199, 200, 204, 299, 302, 500),
      ms: fc.constantFrom(0, 5, 127, 128, 15_000),
      error: fc.constantFrom(null, null, 'no'),
      error_class: fc.constantFrom(null, null, 'status'),
      address: fc.constantFrom(null, '127.0.0.1', '255.255.255.255', '2001:db8::1', 'unix'),
      body: fc.constantFrom('', 'ok', 'grün €', 'x'.repeat(4096)),
      next_attempt_at: fc.constantFrom(null, null, 5),
      headers: fc.constantFrom({}, {}, { server: 'a', 'content-type': 'b' }),
      timings,
    });
    fc.assert(
      fc.property(fc.array(anyAttempt, { maxLength: 4 }), (attempts) => {
        const packed = packDelivery({ status: 'succeeded', attempts });
        const read = readDelivery(packed);
        expect(read).toEqual({ kind: 'known', value: { status: 'succeeded', attempts } });
        if (read.kind === 'known') expect(packDelivery(read.value).equals(packed)).toBe(true);
      }),
    );
  });

  it('that succeeded at once takes 24 bytes, and a process that does not know the form keeps it', () => {
    const timings = { queue: null, dns: null, connect: 25.6, tls: null, first_byte: 13, body: 0 };
    const base = { at: 1796087334987, status: 204, ms: 41, error: null, error_class: null };
    const success = { ...base, address: '127.0.0.1', body: '', next_attempt_at: null, headers: {}, timings };
    const packed = packDelivery({ status: 'succeeded', attempts: [success] });
    expect(packed.length).toBeLessThanOrEqual(24);
    const [status, kept] = unpack(packed) as unknown[];
    expect(status).toBe(1);
    expect(kept).toBeInstanceOf(Uint8Array);
    // An attempt that such a process adds comes before what it keeps.
    const read = readDelivery(Buffer.from(pack([2, attempt, kept])));
    expect(read).toMatchObject({ value: { attempts: [{ status: 500 }, success] } });
  });

  it('of a newer form is recognized', () => {
    expect(readDelivery(Buffer.from(pack([-2, 'whatever'])))).toEqual({ kind: 'newer', form: 2 });
  });
});
