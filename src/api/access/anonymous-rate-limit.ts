// Callers without a good credential, counted by their network and all together: wrong credentials, and what is open to
// anybody. Counted in this process alone and in memory: a flood must cost Redis nothing, and an open route works
// without it.

import type { Context } from 'koa';
import { type Quota, stepOf, takeOne } from '../../state/access/token-bucket.ts';
import { addressGroup, type ClientAddresses } from './client-address.ts';
import { rateLimited } from './rate-limits.ts';

/** Networks remembered at once; beyond it the one not seen for longest is forgotten. */
const REMEMBERED_MOST = 50_000;
/** How much more often all may call together than one network, and how many requests that is at least. */
const ALL_TOGETHER = 20;
const TOTAL_LEAST = 1000;

export class AnonymousRateLimit {
  readonly #quota: Quota | null;
  readonly #total: Quota | null;
  readonly #addresses: ClientAddresses;
  /** When the bucket of each network is full again. */
  readonly #fullAt = new Map<string, number>();
  /** When the bucket of all together is. */
  #totalFullAt = 0;
  /** Requests that were counted. */
  readonly #counted = new WeakSet<object>();

  /** @param quota of one network; null for none. */
  constructor(quota: Quota | null, addresses: ClientAddresses) {
    this.#quota = quota;
    this.#total = quota && {
      requests: Math.max(TOTAL_LEAST, quota.requests * ALL_TOGETHER),
      seconds: quota.seconds,
    };
    this.#addresses = addresses;
  }

  /** Counts a request, once, by its network and in all. @throws ApiError 429 when that is one too many */
  count(ctx: Context): void {
    if (this.#counted.has(ctx.req)) return;
    this.reserve(ctx);
    if (this.#total === null) return;
    const taken = takeOne(this.#total, this.#totalFullAt, performance.now());
    if (!taken.ok) throw refusal(ctx, 'anonymous', this.#total, taken.wait);
    this.#totalFullAt = taken.fullAt;
  }

  /**
   * Counts a request by its network alone: what others send must not shut out a credential that has yet to be looked up.
   * @returns takes that back, for one that turns out to be good.
   * @throws ApiError 429
   */
  reserve(ctx: Context): () => void {
    this.#counted.add(ctx.req);
    const quota = this.#quota;
    if (quota === null) return () => undefined;
    const whose = addressGroup(this.#addresses.of(ctx.req));
    const taken = takeOne(quota, this.#fullAt.get(whose) ?? 0, performance.now());
    if (!taken.ok) throw refusal(ctx, 'address', quota, taken.wait);
    const [first] = this.#fullAt.keys();
    if (this.#fullAt.size >= REMEMBERED_MOST && first !== undefined) this.#fullAt.delete(first);
    // Taken out first, so that the one at the front is the one not seen for longest.
    this.#fullAt.delete(whose);
    this.#fullAt.set(whose, taken.fullAt);
    return () => {
      this.#counted.delete(ctx.req);
      const fullAt = this.#fullAt.get(whose);
      if (fullAt !== undefined) this.#fullAt.set(whose, fullAt - stepOf(quota));
    };
  }
}

function refusal(ctx: Context, policy: string, quota: Quota, wait: number): Error {
  ctx.set('RateLimit-Policy', `"${policy}";q=${quota.requests};w=${quota.seconds}`);
  ctx.set('RateLimit', `"${policy}";r=0;t=${quota.seconds}`);
  const whose = policy === 'address' ? 'This address calls' : 'Callers without a credential call';
  return rateLimited(whose, quota, wait);
}
