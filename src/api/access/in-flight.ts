// Limits what concurrent requests hold (bytes of bodies, bytes of uploads, open streams), for each credential and for the
// process: one credential cannot starve the others, and all together cannot exhaust the process.

import { ApiError } from '../http/problem.ts';
import { IN_FLIGHT_LIMITS, type InFlightKind, type InFlightLimits } from './in-flight-limits.ts';
import type { Principal } from './principal.ts';
import { bucketOf } from './rate-limits.ts';

const NOUNS: Record<InFlightKind, string> = {
  bodies: 'bytes of request bodies',
  uploads: 'bytes of uploads',
  streams: 'streams and MCP messages',
};

/** Limits that override `IN_FLIGHT_LIMITS`. */
export type InFlightOptions = Partial<Record<InFlightKind, InFlightLimits>>;

export class InFlight {
  readonly #limits: Record<InFlightKind, InFlightLimits>;
  readonly #held = new Map<string, number>();

  constructor(limits: InFlightOptions = {}) {
    this.#limits = { ...IN_FLIGHT_LIMITS, ...limits };
  }

  /**
   * Adds `amount` to what the caller holds.
   * @returns a function that releases it; calling it again has no effect.
   * @throws ApiError 429 beyond the limit of the credential, 503 beyond that of the process; both with Retry-After
   */
  hold(kind: InFlightKind, principal: Principal, amount: number): () => void {
    const { credential, process } = this.#limits[kind];
    const mine = `${kind} ${callerOf(principal)}`;
    if (this.#of(mine) + amount > credential)
      throw new ApiError(
        'rate_limited',
        `This credential already holds too many ${NOUNS[kind]}: the limit is ${credential}.`,
        {
          headers: RETRY,
        },
      );
    if (this.#of(kind) + amount > process)
      throw new ApiError('unavailable', `This process already holds too many ${NOUNS[kind]}.`, {
        headers: RETRY,
      });
    this.#add(mine, amount);
    this.#add(kind, amount);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#add(mine, -amount);
      this.#add(kind, -amount);
    };
  }

  #of(name: string): number {
    return this.#held.get(name) ?? 0;
  }

  #add(name: string, amount: number): void {
    const held = this.#of(name) + amount;
    if (held === 0) this.#held.delete(name);
    else this.#held.set(name, held);
  }
}

const RETRY = { 'Retry-After': '2' };

/** Largest number of bytes that a request can send: its Content-Length, but at most `limit`. */
export function declaredBytes(headers: { [name: string]: unknown }, limit: number): number {
  if (headers['transfer-encoding'] !== undefined) return limit;
  return Math.min(Math.max(0, Number(headers['content-length'] ?? 0) || 0), limit);
}

function callerOf(principal: Principal): string {
  return 'org_id' in principal ? `${principal.org_id} ${bucketOf(principal)}` : principal.kind;
}
