// Rate limit of unauthenticated requests (invalid credentials and open routes), for each network and for all together.
// The counters are kept in the memory of this process: a flood must not load Redis, and open routes must work without it.

import type { Context } from 'koa';
import { LRUCache } from 'lru-cache';
import { type Quota, stepOf, takeOne } from '../../state/access/token-bucket.ts';
import { atMost } from '../../state/cache-entries.ts';
import { addressGroup, type ClientAddresses } from './client-address.ts';
import { rateLimited } from './rate-limits.ts';

/** Networks that are counted at once; the least recently seen are dropped first. */
const MAX_NETWORKS = 50_000;
/** Limit of all networks together, as a multiple of the limit of one, and its minimum in requests. */
const TOTAL_FACTOR = 20;
const TOTAL_MINIMUM = 1000;

export class AnonymousRateLimit {
  readonly #quota: Quota | null;
  readonly #total: Quota | null;
  readonly #addresses: ClientAddresses;
  /** Network → when its bucket is full again. */
  readonly #fullAt = new LRUCache<string, number>(atMost(MAX_NETWORKS));
  /** When the bucket of all networks together is full again. */
  #totalFullAt = 0;
  /** Requests that have been counted. */
  readonly #counted = new WeakSet<object>();

  /** @param quota limit of one network; null for none. */
  constructor(quota: Quota | null, addresses: ClientAddresses) {
    this.#quota = quota;
    this.#total = quota && {
      requests: Math.max(TOTAL_MINIMUM, quota.requests * TOTAL_FACTOR),
      seconds: quota.seconds,
    };
    this.#addresses = addresses;
  }

  /** Counts a request, once, for its network and for all together. @throws ApiError 429 beyond a limit */
  count(ctx: Context): void {
    if (this.#counted.has(ctx.req)) return;
    this.reserve(ctx);
    if (this.#total === null) return;
    const taken = takeOne(this.#total, this.#totalFullAt, performance.now());
    if (!taken.ok) throw refusal(ctx, 'anonymous', this.#total, taken.wait);
    this.#totalFullAt = taken.fullAt;
  }

  /**
   * Counts a request for its network only: requests from other networks must not block a credential before it is looked up.
   * @returns a function that undoes the count, for a valid credential.
   * @throws ApiError 429
   */
  reserve(ctx: Context): () => void {
    this.#counted.add(ctx.req);
    const quota = this.#quota;
    if (quota === null) return () => undefined;
    const network = addressGroup(this.#addresses.of(ctx.req));
    const taken = takeOne(quota, this.#fullAt.get(network) ?? 0, performance.now());
    if (!taken.ok) throw refusal(ctx, 'address', quota, taken.wait);
    this.#fullAt.set(network, taken.fullAt);
    return () => {
      this.#counted.delete(ctx.req);
      const fullAt = this.#fullAt.get(network);
      if (fullAt !== undefined) this.#fullAt.set(network, fullAt - stepOf(quota));
    };
  }
}

function refusal(ctx: Context, policy: string, quota: Quota, wait: number): Error {
  ctx.set('RateLimit-Policy', `"${policy}";q=${quota.requests};w=${quota.seconds}`);
  ctx.set('RateLimit', `"${policy}";r=0;t=${quota.seconds}`);
  const subject = policy === 'address' ? 'This address calls' : 'Callers without a credential call';
  return rateLimited(subject, quota, wait);
}
