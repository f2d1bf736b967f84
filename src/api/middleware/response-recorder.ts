// What a request does with its claim on an Idempotency-Key, from the claim to the stored response.

import { type Change, commit, EMPTY_CHANGE } from '../../store/redis/commit.ts';
import { type Db, isUnavailable } from '../../store/redis/connection.ts';
import {
  CLAIM_RENEWED_EVERY,
  type Claim,
  dropClaim,
  idSeedOf,
  isHeld,
  releaseClaim,
  renewClaim,
} from '../../store/redis/idempotency.ts';
import { newId } from '../../store/redis/ids.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import type { Principal } from '../access/principal.ts';
import type { Usage } from '../access/usage.ts';
import { ApiError } from '../http/problem.ts';
import type { HttpResponse } from '../http/response.ts';
import { responseWrites } from './idempotency.ts';

interface RecorderDeps {
  db: Db;
  sealer: Sealer;
  usage: Usage;
}

/** Stores the response for the request's Idempotency-Key, or releases the key. Without a key it does nothing. */
export class ResponseRecorder {
  readonly #deps: RecorderDeps;
  readonly #tenantId: string | null;
  #isRecorded = false;
  #renewal: NodeJS.Timeout | null = null;
  /** Null until the key is claimed. */
  claim: Claim | null = null;

  constructor(deps: RecorderDeps, principal: Principal) {
    this.#deps = deps;
    this.#tenantId = 'org_id' in principal ? principal.org_id : null;
  }

  /** Holds the claim until `end`, however long the request takes. */
  hold(claim: Claim): void {
    this.claim = claim;
    // One that fails in an outage is followed by the next.
    const renew = () => void renewClaim(this.#deps.db, claim).catch(() => undefined);
    this.#renewal = setInterval(renew, CLAIM_RENEWED_EVERY);
  }

  /** The request has ended: what is left of its claim expires. */
  end(): void {
    if (this.#renewal !== null) clearInterval(this.#renewal);
  }

  /** Guards and writes that store the response, for the commit of the effect; see `Call.recordResponse`. */
  record(given: HttpResponse | (() => HttpResponse)): Change {
    if (this.claim === null) return EMPTY_CHANGE;
    this.#isRecorded = true;
    const response = typeof given === 'function' ? given() : given;
    const { bytes, ...change } = responseWrites(this.claim, this.#deps.sealer, response);
    if (this.#tenantId !== null) this.#deps.usage.addResponse(this.#tenantId, bytes);
    return change;
  }

  /** See `Call.seedForKey`. */
  async seedForKey(): Promise<string | null> {
    const { db } = this.#deps;
    return this.claim === null ? null : idSeedOf(db, this.claim, newId(db.clock.now()));
  }

  /** See `Call.onceForKey`. */
  async onceForKey<T>(make: () => T): Promise<T> {
    const made = make();
    if (this.claim === null) return made;
    const { db, sealer } = this.#deps;
    const context = `plan ${this.claim.key}`;
    const first = await idSeedOf(db, this.claim, sealer.seal(JSON.stringify(made), context));
    return JSON.parse(sealer.open(first, context)) as T;
  }

  /** Requires that the claim is still held; otherwise a repeated request may be running. @throws ApiError 409 */
  async requireClaim(): Promise<void> {
    if (this.claim === null || (await isHeld(this.#deps.db, this.claim))) return;
    const detail =
      'This request was held up, and its Idempotency-Key was released. It changed nothing. Send it again.';
    throw new ApiError('idempotency_in_flight', detail, { headers: { 'Retry-After': '1' } });
  }

  /** Stores the response, unless the commit of the effect has stored it. */
  async finish(response: HttpResponse): Promise<void> {
    if (this.claim === null || this.#isRecorded) return;
    await commit(this.#deps.db.redis, this.record(response));
  }

  /** Releases the key without a stored response, because nothing was created. */
  async drop(): Promise<void> {
    if (this.claim !== null) await dropClaim(this.#deps.db, this.claim);
  }

  /** Releases the key after an error, so that a corrected request can use it. If this fails, the claim times out. */
  async release(error: unknown): Promise<void> {
    if (this.claim === null) return;
    const released = releaseClaim(this.#deps.db, this.claim).catch(() => undefined);
    // If Redis is unavailable, the release may hang, and the client has already waited.
    if (!isUnavailable(error)) await released;
  }
}
