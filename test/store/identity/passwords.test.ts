// Passwords at rest: what a hash costs unless a caller asks for less, and that it opens for its password alone.
import { describe, expect, it } from 'vitest';
import { hashPassword, isPassword } from '../../../src/store/identity/passwords.ts';

describe('the hash of a password', () => {
  it('costs what OWASP recommends unless told otherwise', async () => {
    expect(await hashPassword('correct horse battery')).toMatch(
      /^scrypt\.32768\.8\.3\.[\w-]{22}\.[\w-]{43}$/,
    );
  });

  it('is checked at the cost it was made with, and holds for its password alone', async () => {
    const stored = await hashPassword('correct horse battery', { N: 2 ** 7, r: 8, p: 1 });
    expect(stored).toMatch(/^scrypt\.128\.8\.1\./);
    expect(await isPassword('correct horse battery', stored)).toBe(true);
    expect(await isPassword('correct horse batterz', stored)).toBe(false);
    expect(await isPassword('correct horse battery', null)).toBe(false);
  });
});
