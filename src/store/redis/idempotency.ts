// Idempotency keys. A request claims its key before it does anything. Its response replaces the claim in the commit of
// its effect, so after any crash either both exist or neither does. Responses are kept for 24 hours.

import { type Read, readJsonShape, readShape, type Shape } from '../../state/text/forms.ts';
import type { Change } from './commit.ts';
import type { Db } from './connection.ts';
import { confirmed } from './durability.ts';
import { orgKeysOf } from './keys.ts';
import { shortenTtl } from './ttl.ts';
import { required } from './unreadable.ts';

const HOUR = 3600_000;
const KEPT_MS = 24 * HOUR;
/** The counter of an hour is needed this many hours: a response of its last moment is kept for `KEPT`. */
const COUNTER_HOURS = KEPT_MS / HOUR + 1;
/**
 * A claim expires after this, ms, unless its request renews it: the request of a process that died blocks its repetitions
 * for no longer. A request that was held up for so long finds its claim gone when it commits, and changes nothing.
 */
const CLAIM_MS = 3000;
/** How often a request that runs renews its claim, ms. */
export const CLAIM_RENEWED_EVERY = 1000;

/** A response stored for a repeat of its request. */
export interface StoredResponse {
  status: number;
  headers: Record<string, string>;
  /** JSON text, sealed; null when it was too large to record. */
  body: string | null;
}

/** A claim on an idempotency key, held by one request. */
export interface Claim {
  key: string;
  /** Value of the key while this claim holds it. */
  text: string;
  /** Hash of the request body. */
  fingerprint: string;
  /** Hash key and field that count the bytes of stored responses. */
  counter: { key: string; field: string };
}

/**
 * - `claimed`: the request may go ahead. · `answered`: it was answered before.
 * - `in_flight`: another request with the key is running. · `reused`: the key belongs to a request with another body.
 */
export type Claimed =
  | { kind: 'claimed'; claim: Claim }
  | { kind: 'answered'; response: StoredResponse }
  | { kind: 'in_flight' }
  | { kind: 'reused' };

/**
 * Claims an idempotency key.
 * @param scope hash of the route, the credential's view and the key itself: what the key is unique within.
 * @param fingerprint hash of the request body.
 * @param token random; distinguishes this claim from any other.
 * @throws UnreadableRecord
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
  // A stored response is as good as the change that it tells of.
  const claim: Claim = { key, text, fingerprint, counter: responseCounter(db, orgId) };
  const there = await confirmed(
    db.redis,
    key,
    (redis) => redis.set(key, text, 'PX', CLAIM_MS, 'NX', 'GET'),
    (found) => found !== null,
  ).catch((error) => {
    // Redis may carry out the command later. A release right behind it lets a repetition go ahead then.
    void releaseClaim(db, claim).catch(() => undefined);
    throw error;
  });
  if (there === null) return { kind: 'claimed', claim };
  const kept = required(key, readKept(there));
  if (kept.fingerprint !== fingerprint) return { kind: 'reused' };
  if (kept.answer !== undefined) return { kind: 'answered', response: kept.answer };
  // The response may have been stored since, which is kept for longer.
  await shortenTtl(db.redis, key, CLAIM_MS, there);
  return { kind: 'in_flight' };
}

interface Kept {
  fingerprint: string;
  /** The stored response; absent while the key is claimed. */
  answer?: StoredResponse;
}

const KEPT_SHAPE: Shape<Kept> = { fingerprint: 'string' };
const RESPONSE_SHAPE: Shape<StoredResponse> = { status: 'number', headers: 'object' };

function readKept(text: string): Read<Kept> {
  const kept = readJsonShape<Kept>(text, KEPT_SHAPE);
  if (kept.kind !== 'known' || kept.value.answer === undefined) return kept;
  const response = readShape<StoredResponse>(kept.value.answer, RESPONSE_SHAPE);
  return response.kind === 'known' ? kept : response;
}

/**
 * Guard and writes that replace the claim with the response; the guard fails when the claim was lost.
 * @returns them, and the size of the record in bytes, which counts towards the quota.
 */
export function storedResponseWrites(claim: Claim, response: StoredResponse): Change & { bytes: number } {
  const { key, counter, fingerprint } = claim;
  const text = JSON.stringify({ fingerprint, answer: response });
  const bytes = key.length + Buffer.byteLength(text);
  return {
    bytes,
    guards: [{ kind: 'value', key, value: claim.text }],
    writes: [
      ['SET', key, text, 'PX', KEPT_MS],
      ['HINCRBY', counter.key, counter.field, bytes],
    ],
  };
}

/**
 * The id seed of a request whose effects take several commits. The first attempt stores its seed, so a repeat after a
 * crash, with another claim, derives the same ids and finds the records that exist already.
 * @param chosen the seed to store, unless there is one. @returns the stored seed.
 */
export async function idSeedOf(db: Db, claim: Claim, chosen: string): Promise<string> {
  return (await db.redis.set(seedKey(claim), chosen, 'PX', KEPT_MS, 'NX', 'GET')) ?? chosen;
}

/** Another body under the same idempotency key, after the first claim has expired, gets its own seed. */
function seedKey({ key, fingerprint }: Claim): string {
  return `${key}:${fingerprint}`;
}

/** Whether the claim has neither expired nor been answered. */
export async function isHeld(db: Db, claim: Claim): Promise<boolean> {
  return (await db.redis.get(claim.key)) === claim.text;
}

/** Renews a claim, unless it was lost or answered. */
export async function renewClaim(db: Db, { key, text }: Claim): Promise<void> {
  const script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
  await db.redis.eval(script, 1, key, text, CLAIM_MS);
}

/** Releases a claim after a refusal, so that a corrected request can use the key. */
export async function releaseClaim(db: Db, claim: Claim): Promise<void> {
  const script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";
  await db.redis.eval(script, 1, claim.key, claim.text);
}

/** Releases a claim whose request had no effect, and its id seed. */
export async function dropClaim(db: Db, claim: Claim): Promise<void> {
  const script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end";
  await db.redis.eval(script, 2, claim.key, seedKey(claim), claim.text);
}

const COUNTER = 'answers:';

/** The counter of the responses stored in this hour: a field of the tenant's `usage` hash. */
function responseCounter(db: Db, tenantId: string): Claim['counter'] {
  const hour = Math.floor(db.clock.now() / HOUR);
  return { key: orgKeysOf(db.prefix, tenantId).usage, field: `${COUNTER}${hour}` };
}

/** Bytes of the tenant's stored responses. Also removes the counters of hours whose responses have expired. */
export async function countResponseBytes(db: Db, tenantId: string): Promise<number> {
  const { usage } = orgKeysOf(db.prefix, tenantId);
  const counters = Object.entries(await db.redis.hgetall(usage)).filter(([field]) =>
    field.startsWith(COUNTER),
  );
  const oldest = Math.floor(db.clock.now() / HOUR) - COUNTER_HOURS;
  const isExpired = (field: string) => Number(field.slice(COUNTER.length)) < oldest;
  const expired = counters.map(([field]) => field).filter(isExpired);
  if (expired.length > 0) await db.redis.hdel(usage, ...expired);
  return counters.reduce((sum, [field, bytes]) => (isExpired(field) ? sum : sum + Number(bytes)), 0);
}
