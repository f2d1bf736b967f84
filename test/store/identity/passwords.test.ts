// Password hashes: their cost, and that each matches only its password.
import { describe, expect, it } from 'vitest';
import { hashPassword, isPassword } from '../../../src/store/identity/passwords.ts';

describe('the hash of a password', () => {
  it('has the cost that OWASP recommends by default', async () => {
    expect(await hashPassword('correct horse battery')).toMatch(
      /^scrypt\.32768\.8\.3\.[\w-]{22}\.[\w-]{43}$/,
    );
  });

  it('is checked at its own cost and matches only its password', async () => {
    const stored = await hashPassword('correct horse battery', { N: 2 ** 7, r: 8, p: 1 });
    expect(stored).toMatch(/^scrypt\.128\.8\.1\./);
    expect(await isPassword('correct horse battery', stored)).toBe(true);
    expect(await isPassword('correct horse batterz', stored)).toBe(false);
    expect(await isPassword('correct horse battery', null)).toBe(false);
  });
});
