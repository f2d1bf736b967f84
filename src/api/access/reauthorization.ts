// Reauthorizes long requests (slow bodies, long polling, streams, downloads): the caller must still be admitted when the
// request ends. A revocation in this process takes effect at once, one in another process at the next periodic check.

import type { Context } from 'koa';
import type { Authenticator } from './authenticate.ts';
import { CHECK_INTERVAL_MS } from './periodic-checks.ts';
import type { Access, Principal } from './principal.ts';

/** The authorization of one request, which is renewed while the request runs. */
export class Reauthorization {
  readonly #ctx: Context;
  readonly #authenticator: Authenticator;
  readonly #access: Access;
  readonly #principal: Principal;
  #checkedAt = performance.now();
  #revocations: number;
  #lost: AbortController | null = null;

  private constructor(
    ctx: Context,
    authenticator: Authenticator,
    access: Access,
    principal: Principal,
    revocations: number,
  ) {
    this.#ctx = ctx;
    this.#authenticator = authenticator;
    this.#access = access;
    this.#principal = principal;
    this.#revocations = revocations;
  }

  /** Admits the caller of a request. @throws ApiError 401, 403 or 429 */
  static async begin(ctx: Context, authenticator: Authenticator, access: Access): Promise<Reauthorization> {
    // Read before the look-up, during which something may be revoked.
    const { revocations } = authenticator;
    const principal = await authenticator.admit(ctx, access);
    return new Reauthorization(ctx, authenticator, access, principal, revocations);
  }

  get principal(): Principal {
    return this.#principal;
  }

  /**
   * Checks the authorization again, unless that was done recently and nothing has been revoked since.
   * @throws ApiError 401, 403 or 429; 409 if the permissions of the credential have changed
   */
  async renew(): Promise<void> {
    const { revocations } = this.#authenticator;
    const isRecent =
      performance.now() - this.#checkedAt < CHECK_INTERVAL_MS && revocations === this.#revocations;
    if (isRecent && this.#lost?.signal.aborted !== true) return;
    await this.#authenticator.reauthorize(this.#ctx, this.#access, this.#principal);
    this.#checkedAt = performance.now();
    this.#revocations = revocations;
  }

  /** Aborts when the caller loses the authorization; monitored from the first use to the end of the response. */
  get lost(): AbortSignal {
    this.#lost ??= this.#watch();
    return this.#lost.signal;
  }

  /** Whether `lost` has been used and is aborted. */
  get isLost(): boolean {
    return this.#lost?.signal.aborted === true;
  }

  #watch(): AbortController {
    const lost = new AbortController();
    // An error, such as a short outage of Redis, does not end the request.
    const isAdmitted = () => this.#authenticator.stillAdmits(this.#ctx, this.#principal).catch(() => true);
    const check = async () => {
      if (await isAdmitted()) return;
      stop();
      lost.abort();
    };
    const recheck = () => void check();
    const key = this.#authenticator.checkKeyOf(this.#ctx, this.#principal);
    const leave = key === null ? undefined : this.#authenticator.checks.join(key, { isAdmitted, recheck });
    const unfollow = this.#authenticator.onRevocation(this.#principal, recheck);
    const stop = () => {
      leave?.();
      unfollow();
    };
    this.#ctx.res.once('close', stop);
    if (this.#ctx.res.closed) stop();
    // Something may have been revoked between the admission and this call.
    if (this.#authenticator.revocations !== this.#revocations) void check();
    return lost;
  }
}
