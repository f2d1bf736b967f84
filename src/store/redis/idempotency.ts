// Idempotency keys. A request claims its key before it does anything. Its response replaces the claim in the commit of
// its effect, so after any crash either both exist or neither does. Responses are kept for 24 hours.

import { answerCounter } from '../identity/usage.ts';
import type { Guard, Write } from './commit.ts';
import type { Db } from './connection.ts';
import { orgKeysOf } from './keys.ts';
import { shortenTtl } from './ttl.ts';

const KEPT = 24 * 3600 * 1000;
/**
 * A claim expires after this, ms, if its request died. A request that took longer finds its claim gone when it commits,
 * and changes nothing.
 */
const CLAIM = 10_000;

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  /** JSON text, sealed; null when it was too large to record. */
  body: string | null;
}

export interface Claim {
  key: string;
  text: string;
  /** Hash key and field that count the bytes of recorded responses. */
  counter: { key: string; field: string };
}

export type Claimed =
  | { kind: 'claimed'; claim: Claim }
  | { kind: 'answered'; answer: KeptAnswer }
  | { kind: 'in_flight' }
  | { kind: 'reused' };

/**
 * Claims an idempotency key.
 * @param scope hash of the route, the credential's view and the key itself: what the key is unique within.
 * @param fingerprint hash of the request body.
 * @param token random; distinguishes this claim from any other.
 */
export async function claimKey(
  db: Db,
  orgId: string,
  scope: string,
  fingerprint: string,
  token: string,
): Promise<Claimed> {
  const key = orgKeysOf(db.prefix, orgId).idempotency(scope);
  const text = JSON.stringify({ fingerprint, token });
  const there = await db.redis.set(key, text, 'PX', CLAIM, 'NX', 'GET');
  if (there === null)
    return { kind: 'claimed', claim: { key, text, counter: answerCounter(db, orgId, db.clock.now()) } };
  const kept = JSON.parse(there) as { fingerprint: string; answer?: KeptAnswer };
  if (kept.fingerprint !== fingerprint) return { kind: 'reused' };
  if (kept.answer !== undefined) return { kind: 'answered', answer: kept.answer };
  await shortenTtl(db.redis, key, CLAIM);
  return { kind: 'in_flight' };
}

/** Guard and writes that replace the claim with the response; the guard fails when the claim was lost. */
export function answerWrites(
  claim: Claim,
  answer: KeptAnswer,
): { guards: Guard[]; writes: Write[]; bytes: number } {
  const { key, counter } = claim;
  const { fingerprint } = JSON.parse(claim.text) as { fingerprint: string };
  const text = JSON.stringify({ fingerprint, answer });
  const bytes = key.length + Buffer.byteLength(text);
  return {
    bytes,
    guards: [{ kind: 'value', key, value: claim.text }],
    writes: [
      ['SET', key, text, 'PX', KEPT],
      ['HINCRBY', counter.key, counter.field, bytes],
    ],
  };
}

/**
 * The id seed of a request whose effects take several commits. The first try stores its seed, so a repeat after a crash,
 * with another claim, derives the same ids and finds what was done.
 * @param chosen the seed to store, unless there is one.
 */
export async function idSeedOf(db: Db, claim: Claim, chosen: string): Promise<string> {
  const { fingerprint } = JSON.parse(claim.text) as { fingerprint: string };
  // Another body under the same key, after the first claim has expired, gets its own seed.
  return (await db.redis.set(`${claim.key}:${fingerprint}`, chosen, 'PX', KEPT, 'NX', 'GET')) ?? chosen;
}

/** Whether the claim has neither expired nor been answered. */
export async function isHeld(db: Db, claim: Claim): Promise<boolean> {
  return (await db.redis.get(claim.key)) === claim.text;
}

/** Releases a claim after a refusal, so that a corrected request can use the key. */
export async function releaseClaim(db: Db, claim: Claim): Promise<void> {
  const script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";
  await db.redis.eval(script, 1, claim.key, claim.text);
}

/** Releases a claim whose request had no effect, and its id seed. */
export async function dropClaim(db: Db, claim: Claim): Promise<void> {
  const { fingerprint } = JSON.parse(claim.text) as { fingerprint: string };
  const script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end";
  await db.redis.eval(script, 2, claim.key, `${claim.key}:${fingerprint}`, claim.text);
}
