// Passwords at rest: scrypt (RFC 7914) at the cost that OWASP's password storage guide names, each with a salt
// of its own. The cost stands in the hash, so that it can be raised without touching those that are there.

import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** What a hash costs: time by N·r·p, memory by N·r. */
export interface PasswordCost {
  N: number;
  r: number;
  p: number;
}

/** The cost of each new hash in production. */
export const PASSWORD_COST: Readonly<PasswordCost> = { N: 2 ** 15, r: 8, p: 3 };
const BYTES = 32;
/** Hashes at once: each takes 32 MiB and one of the four threads that file access shares. */
const AT_ONCE = 2;
/** Callers who wait for one, beyond which it is refused. */
const WAITING_MOST = 64;

/** Thrown when too many passwords are being checked. */
export class TooManyPasswords extends Error {}

let running = 0;
const waiting: (() => void)[] = [];

/** Whether a password would be checked now, or refused. */
export function canCheckPassword(): boolean {
  return running < AT_ONCE || waiting.length < WAITING_MOST;
}

/** @returns `scrypt.<N>.<r>.<p>.<salt>.<hash>`, base64url. @throws TooManyPasswords */
export async function hashPassword(password: string, cost = PASSWORD_COST): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, BYTES, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join('.');
}

/**
 * Whether the password is the one that was hashed. Takes as long for a `stored` of null (nobody by that name),
 * so that time does not tell who is there. @throws TooManyPasswords
 */
export async function isPassword(password: string, stored: string | null): Promise<boolean> {
  const [form, N, r, p, salt = '', hash = ''] = (stored ?? NOBODY).split('.');
  if (form !== 'scrypt') return false;
  const expected = Buffer.from(hash, 'base64url');
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const found = await derive(password, Buffer.from(salt, 'base64url'), expected.length, cost);
  return timingSafeEqual(found, expected) && stored !== null;
}

const NOBODY = [
  'scrypt',
  PASSWORD_COST.N,
  PASSWORD_COST.r,
  PASSWORD_COST.p,
  'AAAAAAAAAAAAAAAAAAAAAA',
  'A'.repeat(43),
].join('.');

async function derive(password: string, salt: Buffer, bytes: number, cost: ScryptOptions): Promise<Buffer> {
  if (running >= AT_ONCE) {
    if (waiting.length >= WAITING_MOST) throw new TooManyPasswords('too many passwords at once');
    // Whoever ends hands their turn on.
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running += 1;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const options = { ...cost, maxmem: 256 * 1024 * 1024 };
      scrypt(password.normalize('NFKC'), salt, bytes, options, (error, key) =>
        error === null ? resolve(key) : reject(error),
      );
    });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
