// Callers without a good credential, counted by their address: wrong credentials, and what is open to anybody.
// Counted in this process alone and in memory: a flood must cost Redis nothing, and an open route works without it.

import type { Context } from 'koa';
import { type Quota, takeOne } from '../state/quota.ts';
import { addressGroup, type ClientAddresses } from './client-address.ts';
import { rateLimited } from './rate-limits.ts';

/** Addresses remembered at once; beyond it the one seen first is forgiven. */
const REMEMBERED_MOST = 50_000;

export class Floods {
  readonly #quota: Quota | null;
  readonly #addresses: ClientAddresses;
  /** When each address' bucket is full again. */
  readonly #fullAt = new Map<string, number>();

  /** @param quota of one address; null for none. */
  constructor(quota: Quota | null, addresses: ClientAddresses) {
    this.#quota = quota;
    this.#addresses = addresses;
  }

  /** Whether the request's address has used up its quota. @throws ApiError 429 if so */
  check(ctx: Context): void {
    this.#take(ctx, false);
  }

  /** Counts a request of the address. @throws ApiError 429 when that is one too many */
  count(ctx: Context): void {
    this.#take(ctx, true);
  }

  #take(ctx: Context, isCounted: boolean): void {
    if (this.#quota === null) return;
    const whose = addressGroup(this.#addresses.of(ctx.req));
    const now = performance.now();
    const taken = takeOne(this.#quota, this.#fullAt.get(whose) ?? 0, now);
    if (!taken.ok) {
      ctx.set('RateLimit-Policy', `"address";q=${this.#quota.requests};w=${this.#quota.seconds}`);
      ctx.set('RateLimit', `"address";r=0;t=${this.#quota.seconds}`);
      throw rateLimited('This address calls', this.#quota, taken.wait);
    }
    if (!isCounted) return;
    const [first] = this.#fullAt.keys();
    if (this.#fullAt.size >= REMEMBERED_MOST && first !== undefined) this.#fullAt.delete(first);
    // Taken out first, so that the one at the front is the one not seen for longest.
    this.#fullAt.delete(whose);
    this.#fullAt.set(whose, taken.fullAt);
  }
}
