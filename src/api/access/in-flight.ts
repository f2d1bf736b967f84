// What requests hold while they last (bytes of bodies, bytes of uploads, open streams), counted by credential and for
// the process, so that no credential holds so much that others are refused, and all together never hold more than the
// process has.

import {
  IN_FLIGHT_LIMITS,
  type InFlightKind,
  type InFlightLimits,
} from '../../state/access/in-flight-limits.ts';
import { ApiError } from '../http/problem.ts';
import type { Principal } from './principal.ts';
import { bucketOf } from './rate-limits.ts';

const WORDS: Record<InFlightKind, string> = {
  bodies: 'bytes of request bodies',
  uploads: 'bytes of uploads',
  streams: 'event streams',
};

/** Limits that differ from `IN_FLIGHT_LIMITS`. */
export type InFlightOptions = Partial<Record<InFlightKind, InFlightLimits>>;

export class InFlight {
  readonly #limits: Record<InFlightKind, InFlightLimits>;
  readonly #held = new Map<string, number>();

  constructor(limits: InFlightOptions = {}) {
    this.#limits = { ...IN_FLIGHT_LIMITS, ...limits };
  }

  /**
   * Counts `amount` for the caller until the returned function is called; that may be called more than once.
   * @throws ApiError 429 when the credential holds too much, 503 when the process does; both with Retry-After.
   */
  hold(kind: InFlightKind, principal: Principal, amount: number): () => void {
    const { credential, process } = this.#limits[kind];
    const mine = `${kind} ${callerOf(principal)}`;
    if (this.#of(mine) + amount > credential)
      throw new ApiError(
        'rate_limited',
        `This credential has as many ${WORDS[kind]} open as it may: ${credential}.`,
        {
          headers: RETRY,
        },
      );
    if (this.#of(kind) + amount > process)
      throw new ApiError('unavailable', `This process has as many ${WORDS[kind]} open as it may.`, {
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

/** How many bytes a request may bring: what it declares, or else, and at most, `limit`. */
export function declaredBytes(headers: { [name: string]: unknown }, limit: number): number {
  if (headers['transfer-encoding'] !== undefined) return limit;
  return Math.min(Math.max(0, Number(headers['content-length'] ?? 0) || 0), limit);
}

function callerOf(principal: Principal): string {
  return 'org_id' in principal ? `${principal.org_id} ${bucketOf(principal)}` : principal.kind;
}
