// Password hashes: scrypt (RFC 7914) with the cost that the OWASP Password Storage Cheat Sheet recommends, each with its
// own salt. The hash contains its cost, so the cost can be raised without invalidating existing hashes.

import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** Cost of a hash: time grows with N·r·p, memory with N·r. */
export interface PasswordCost {
  N: number;
  r: number;
  p: number;
}

/** Cost of new hashes in production. */
export const PASSWORD_COST: Readonly<PasswordCost> = { N: 2 ** 15, r: 8, p: 3 };
const BYTES = 32;
/** Concurrent computations: each takes 32 MiB and one of the four libuv threads, which file access shares. */
const CONCURRENCY = 2;
/** Callers that may wait; further ones are refused. */
const MAX_WAITING = 64;

/** Too many password checks are waiting. */
export class TooManyPasswords extends Error {}

let running = 0;
const waiting: (() => void)[] = [];

/** Whether a password check would be accepted now. */
export function canCheckPassword(): boolean {
  return running < CONCURRENCY || waiting.length < MAX_WAITING;
}

/** Hashes a password. @returns `scrypt.<N>.<r>.<p>.<salt>.<hash>`, salt and hash in base64url. @throws TooManyPasswords */
export async function hashPassword(password: string, cost = PASSWORD_COST): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, BYTES, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join('.');
}

/**
 * Whether the password has this hash.
 * @param stored from `hashPassword`; null: there is no such member. That takes the same time, so that response times do
 *   not reveal which members exist.
 * @throws TooManyPasswords
 */
export async function isPassword(password: string, stored: string | null): Promise<boolean> {
  const [form, N, r, p, salt = '', hash = ''] = (stored ?? DUMMY).split('.');
  if (form !== 'scrypt') return false;
  const expected = Buffer.from(hash, 'base64url');
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const found = await derive(password, Buffer.from(salt, 'base64url'), expected.length, cost);
  return timingSafeEqual(found, expected) && stored !== null;
}

const DUMMY = [
  'scrypt',
  PASSWORD_COST.N,
  PASSWORD_COST.r,
  PASSWORD_COST.p,
  'AAAAAAAAAAAAAAAAAAAAAA',
  'A'.repeat(43),
].join('.');

async function derive(password: string, salt: Buffer, bytes: number, cost: ScryptOptions): Promise<Buffer> {
  if (running >= CONCURRENCY) {
    if (waiting.length >= MAX_WAITING) throw new TooManyPasswords('too many password checks');
    // The computation that ends passes its slot on.
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
