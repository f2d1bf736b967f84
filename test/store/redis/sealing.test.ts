// Secrets at rest: they open where and as they were sealed, and nowhere else.
import { createDecipheriv, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSealer } from '../../../src/store/redis/sealing.ts';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const sealer = createSealer([oldKey]);

describe('a sealed text', () => {
  it.each(['', 'token', 'ü'.repeat(1000), '\u0000\n'])('opens to the original: %j', (plain) => {
    expect(sealer.open(sealer.seal(plain, 'here'), 'here')).toBe(plain);
  });

  it('does not contain the plain text and differs each time', () => {
    const sealed = [sealer.seal('token-token', 'here'), sealer.seal('token-token', 'here')];
    expect(sealed[0]).not.toBe(sealed[1]);
    for (const one of sealed) {
      expect(one).not.toContain('token');
      expect(Buffer.from(one.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('token');
    }
  });

  it('has its own key: with another salt it does not open', () => {
    const [form = '', id = '', text = ''] = sealer.seal('token', 'here').split('.');
    const bytes = Buffer.from(text, 'base64url');
    const plain = createDecipheriv('aes-256-gcm', oldKey, bytes.subarray(16, 28), { authTagLength: 16 })
      .setAAD(Buffer.from('here'))
      .setAuthTag(bytes.subarray(-16));
    plain.update(bytes.subarray(28, -16));
    // Not sealed with the configured key itself, however often it seals.
    expect(() => plain.final()).toThrow();
    const salts = new Set(
      Array.from({ length: 1000 }, () =>
        Buffer.from(sealer.seal('', 'here').split('.')[2] ?? '', 'base64url').toString('hex', 0, 16),
      ),
    );
    expect(salts.size).toBe(1000);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    expect(() => sealer.open(`${form}.${id}.${bytes.toString('base64url')}`, 'here')).toThrow();
  });

  it('does not open with another context', () => {
    expect(() => sealer.open(sealer.seal('token', 'org-a callback-auth'), 'org-b callback-auth')).toThrow();
  });

  it('does not open when any bit was changed', () => {
    const sealed = sealer.seal('token', 'here');
    const [form = '', id = '', text = ''] = sealed.split('.');
    const bytes = Buffer.from(text, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => sealer.open(`${form}.${id}.${changed.toString('base64url')}`, 'here')).toThrow();
    }
  });

  it.each(['', 's1', 's1..', 'plain text', 's2.abc.def'])('is rejected when malformed: %j', (text) => {
    expect(() => sealer.open(text, 'here')).toThrow();
  });

  it('does not open when truncated', () => {
    const sealed = sealer.seal('token', 'here');
    for (let length = 0; length < sealed.length; length += 1)
      expect(() => sealer.open(sealed.slice(0, length), 'here')).toThrow();
  });
});

describe('when the key is rotated', () => {
  const both = createSealer([newKey, oldKey]);

  it('opens texts of the previous key', () => {
    expect(both.open(sealer.seal('token', 'here'), 'here')).toBe('token');
  });

  it('seals with the new key', () => {
    const sealed = both.seal('token', 'here');
    expect(createSealer([newKey]).open(sealed, 'here')).toBe('token');
    expect(() => sealer.open(sealed, 'here')).toThrow(/not configured/);
  });

  it('rejects texts of a removed key and names the key', () => {
    expect(() => createSealer([newKey]).open(sealer.seal('token', 'here'), 'here')).toThrow(/not configured/);
  });
});
