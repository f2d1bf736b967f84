// A request that takes longer than a moment (a slow body, a wait for news, a stream, a download) is for callers who
// would be admitted at its end too. A revocation in this process is noticed at once, one in another process by
// looking again every moment.

import type { Context } from 'koa';
import type { Authenticator } from './authenticate.ts';
import type { Access, Principal } from './principal.ts';

/** How long an admission is relied on without looking again, ms: with what is remembered, within a second. */
const MOMENT = 750;

/** The admission of one request, renewed while it goes on. */
export class Reauthorization {
  readonly #ctx: Context;
  readonly #authenticator: Authenticator;
  readonly #access: Access;
  readonly #principal: Principal;
  #lookedAt = performance.now();
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
    // Read first: a revocation may overtake the look-up.
    const { revocations } = authenticator;
    const principal = await authenticator.admit(ctx, access);
    return new Reauthorization(ctx, authenticator, access, principal, revocations);
  }

  /** Who was admitted. */
  get principal(): Principal {
    return this.#principal;
  }

  /**
   * Looks again whether the caller is admitted, unless that was done a moment ago and nothing was revoked since.
   * @throws ApiError 401, 403 or 429; 409 when the credential may something else by now.
   */
  async renew(): Promise<void> {
    const { revocations } = this.#authenticator;
    const isRecent = performance.now() - this.#lookedAt < MOMENT && revocations === this.#revocations;
    if (isRecent && this.#lost?.signal.aborted !== true) return;
    await this.#authenticator.reauthorize(this.#ctx, this.#access, this.#principal);
    this.#lookedAt = performance.now();
    this.#revocations = revocations;
  }

  /** Aborts when the caller is not admitted any more; watched from the first use until the answer is out. */
  get lost(): AbortSignal {
    this.#lost ??= this.#watch();
    return this.#lost.signal;
  }

  /** Whether `lost` was used and has aborted. */
  get isLost(): boolean {
    return this.#lost?.signal.aborted === true;
  }

  #watch(): AbortController {
    const lost = new AbortController();
    const look = async () => {
      // That it cannot be asked now is no answer: Redis may be away for a moment.
      if (await this.#authenticator.stillAdmits(this.#ctx, this.#principal).catch(() => true)) return;
      stop();
      lost.abort();
    };
    // Spread out: thousands of streams may have begun at once.
    const timer = setInterval(() => void look(), MOMENT + Math.random() * 100);
    const ignore = this.#authenticator.onRevocation(this.#principal, () => void look());
    const stop = () => {
      clearInterval(timer);
      ignore();
    };
    this.#ctx.res.once('close', stop);
    if (this.#ctx.res.closed) stop();
    // What was revoked between the admission and this moment is noticed too.
    if (this.#authenticator.revocations !== this.#revocations) void look();
    return lost;
  }
}
