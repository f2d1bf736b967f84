// Rate limits of credentials and orgs. The token buckets are in Redis, shared by all processes. A process draws a batch of
// tokens, about as many as the caller will use within 50 ms, so that a busy caller costs about twenty draws a second and
// most requests need no round trip. For a slow caller each batch is one token. The headers follow
// draft-ietf-httpapi-ratelimit-headers.

import type { Context } from 'koa';
import { LRUCache } from 'lru-cache';
import { type Quota, stepOf } from '../../state/access/token-bucket.ts';
import { atMost } from '../../state/cache-entries.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ContendedError } from '../../store/redis/contention.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import { type BucketView, draw } from '../../store/redis/rate-buckets.ts';
import { ApiError } from '../http/problem.ts';
import type { Principal } from './principal.ts';

/** How long a batch of tokens should last, ms. */
const BATCH_MS = 50;
/** Unused tokens of a batch are discarded after this, ms. */
const BATCH_MAX_AGE = 1000;
const MAX_CALLERS = 10_000;
/** Draws that one request waits for. A draw asks for as many tokens as requests wait, so more than two are exceptional. */
const MAX_DRAWS = 10;
/** Shortest time before an empty bucket is asked again, ms. */
const MIN_EMPTY_MS = 1;

/** Rate limits of each credential and of the org as a whole; null for none. */
export interface Quotas {
  key: Quota | null;
  org: Quota | null;
}

type OrgCaller = Extract<Principal, { org_id: string }>;
type Bucket = { name: string; key: string; quota: Quota };

/** The tokens that a process holds for one caller. */
interface LocalTokenBatch {
  quotas: Quotas;
  buckets: Bucket[];
  policies: string;
  views: BucketView[];
  left: number;
  used: number;
  drawnAt: number;
  /** Requests that wait for a draw. */
  waiting: number;
  /** The draw in progress. */
  drawing: Promise<void> | null;
  /** The buckets are known to be empty until this time, by the monotonic clock. */
  emptyUntil: number;
}

export class RateLimits {
  readonly #db: Db;
  readonly #batches = new LRUCache<string, LocalTokenBatch>(atMost(MAX_CALLERS));

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Takes a token for a request and sets the RateLimit headers of its response.
   * @throws ApiError 429 if there is none; errors of Redis
   */
  async count(ctx: Context, caller: OrgCaller, quotas: Quotas): Promise<void> {
    if (quotas.key === null && quotas.org === null) return;
    const batch = this.#batchOf(caller, quotas);
    const taken = take(batch) || (await this.#wait(batch, ctx));
    ctx.res.setHeader('RateLimit-Policy', batch.policies);
    ctx.res.setHeader('RateLimit', remaining(batch));
    if (!taken) throw limited(batch);
  }

  #batchOf(caller: OrgCaller, quotas: Quotas): LocalTokenBatch {
    const name = bucketOf(caller);
    const id = `${caller.org_id} ${name}`;
    const known = this.#batches.get(id);
    if (known !== undefined && isSame(known.quotas.key, quotas.key) && isSame(known.quotas.org, quotas.org))
      return known;
    const keys = orgKeysOf(this.#db.prefix, caller.org_id);
    const bucket = (kind: string, owner: string, quota: Quota | null): Bucket[] =>
      // Changed quotas use a new bucket, which is full.
      quota === null
        ? []
        : [{ name: kind, key: keys.rate(`${owner}:${quota.requests}/${quota.seconds}`), quota }];
    const buckets = [...bucket('key', name, quotas.key), ...bucket('org', 'org', quotas.org)];
    const made: LocalTokenBatch = {
      quotas,
      buckets,
      policies: policies(buckets),
      views: [],
      left: 0,
      used: 0,
      drawnAt: Number.NEGATIVE_INFINITY,
      waiting: 0,
      drawing: null,
      emptyUntil: Number.NEGATIVE_INFINITY,
    };
    this.#batches.set(id, made);
    return made;
  }

  /**
   * Draws tokens until this request gets one, or the buckets are empty.
   * @throws ContendedError if other requests took all tokens of each draw, or the client has disconnected
   */
  async #wait(batch: LocalTokenBatch, ctx: Context): Promise<boolean> {
    batch.waiting += 1;
    try {
      for (let draws = 0; draws < MAX_DRAWS && !ctx.req.socket.destroyed; draws += 1) {
        if (batch.emptyUntil > performance.now()) return false;
        batch.drawing ??= this.#draw(batch);
        await batch.drawing;
        if (take(batch)) return true;
      }
      throw new ContendedError('rate bucket');
    } finally {
      batch.waiting -= 1;
    }
  }

  async #draw(batch: LocalTokenBatch): Promise<void> {
    const now = performance.now();
    try {
      const { granted, buckets } = await draw(this.#db.redis, batch.buckets, wanted(batch, now));
      batch.views = buckets;
      batch.left = granted;
      batch.used = 0;
      batch.drawnAt = now;
      if (granted < 1)
        batch.emptyUntil = performance.now() + Math.max(MIN_EMPTY_MS, ...buckets.map((one) => one.wait));
    } finally {
      batch.drawing = null;
    }
  }
}

/** Name of the caller's own bucket. */
export function bucketOf(caller: OrgCaller): string {
  switch (caller.kind) {
    case 'api_key':
      return `key:${caller.key_id}`;
    case 'worker':
      return `worker:${caller.worker_id}`;
  }
}

function isSame(one: Quota | null, other: Quota | null): boolean {
  return one === other || (one?.requests === other?.requests && one?.seconds === other?.seconds);
}

function take(batch: LocalTokenBatch): boolean {
  if (batch.left < 1 || performance.now() - batch.drawnAt > BATCH_MAX_AGE) return false;
  batch.left -= 1;
  batch.used += 1;
  return true;
}

/**
 * Tokens to draw: one for each waiting request, or as many as will be used in `BATCH_MS` at the rate of the last batch,
 * but at most twice the last batch.
 */
function wanted(batch: LocalTokenBatch, now: number): number {
  const soon = Math.ceil((batch.used * BATCH_MS) / Math.max(1, now - batch.drawnAt));
  const most = Math.min(...batch.buckets.map(({ quota }) => BATCH_MS / stepOf(quota)));
  return Math.max(1, batch.waiting, Math.floor(Math.min(soon, 2 * batch.used, most)));
}

/** `RateLimit-Policy`: `"key";q=100;w=60`. */
function policies(buckets: readonly { name: string; quota: Quota }[]): string {
  return buckets.map(({ name, quota }) => `"${name}";q=${quota.requests};w=${quota.seconds}`).join(', ');
}

/** `RateLimit`: `"key";r=99;t=1`. The tokens of the local batch still count as remaining. */
function remaining({ buckets, views, left }: LocalTokenBatch): string {
  return buckets
    .map(({ name }, index) => {
      const view = views[index];
      return `"${name}";r=${(view?.left ?? 0) + left};t=${Math.ceil((view?.full_in ?? 0) / 1000)}`;
    })
    .join(', ');
}

function limited({ buckets, emptyUntil, views }: LocalTokenBatch): ApiError {
  const empty = buckets.find((_, index) => (views[index]?.wait ?? 0) > 0) ?? buckets[0];
  const subject = empty?.name === 'org' ? 'The org calls' : 'This credential calls';
  return rateLimited(subject, empty?.quota, emptyUntil - performance.now());
}

/** 429. @param subject start of the message, such as `The org calls`. @param wait time until the next token, ms. */
export function rateLimited(subject: string, quota: Quota | undefined, wait: number): ApiError {
  const most = quota === undefined ? '' : `: at most ${quota.requests} requests in ${quota.seconds} s`;
  return new ApiError('rate_limited', `${subject} too often${most}.`, {
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(wait / 1000))) },
  });
}
