// How often a credential and its org may call. The buckets lie in Redis, for all processes together; a process
// takes from them by the handful, as many as its caller is about to use within a twentieth of a second, so a
// busy caller costs some twenty draws a second and no round trip on most requests. A slow one is counted one by one.
// What is left is told as draft-ietf-httpapi-ratelimit-headers has it.

import type { Context } from 'koa';
import { type Quota, stepOf } from '../../state/access/token-bucket.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ContendedError } from '../../store/redis/contention.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import { type BucketView, draw } from '../../store/redis/rate-buckets.ts';
import { ApiError } from '../http/problem.ts';
import type { Principal } from './principal.ts';

/** For how long a handful should last, ms. */
const BATCH = 50;
/** What a process has taken and not used is forgotten after this, ms. */
const KEPT = 1000;
const CALLERS_MOST = 10_000;
/** Draws that one request waits for: each gives as many as wait, so more than two are due to another request each time. */
const DRAWS_MOST = 10;
/** An empty bucket is asked again after this at the earliest, ms: one that said otherwise was not understood. */
const EMPTY_LEAST = 1;

/** Quotas of each credential and of the org as a whole; null for none. */
export interface Quotas {
  key: Quota | null;
  org: Quota | null;
}

type OrgCaller = Extract<Principal, { org_id: string }>;
type Bucket = { name: string; key: string; quota: Quota };

/** What a process holds for one caller. */
interface LocalTokenBatch {
  quotas: Quotas;
  buckets: Bucket[];
  policies: string;
  views: BucketView[];
  left: number;
  spent: number;
  drawnAt: number;
  waiting: number;
  drawing: Promise<void> | null;
  /** Until when it is known that there is none. */
  emptyUntil: number;
}

export class RateLimits {
  readonly #db: Db;
  readonly #hands = new Map<string, LocalTokenBatch>();

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Counts a request, and says in its answer what is left.
   * @throws ApiError 429 when there is none; what Redis throws when it is away.
   */
  async count(ctx: Context, caller: OrgCaller, quotas: Quotas): Promise<void> {
    if (quotas.key === null && quotas.org === null) return;
    const hand = this.#handOf(caller, quotas);
    const taken = take(hand) || (await this.#wait(hand, ctx));
    ctx.res.setHeader('RateLimit-Policy', hand.policies);
    ctx.res.setHeader('RateLimit', standings(hand));
    if (!taken) throw limited(hand);
  }

  #handOf(caller: OrgCaller, quotas: Quotas): LocalTokenBatch {
    const name = bucketOf(caller);
    const id = `${caller.org_id} ${name}`;
    const known = this.#hands.get(id);
    if (known !== undefined && isSame(known.quotas.key, quotas.key) && isSame(known.quotas.org, quotas.org))
      return known;
    const keys = orgKeysOf(this.#db.prefix, caller.org_id);
    const bucket = (kind: string, whose: string, quota: Quota | null): Bucket[] =>
      // With other quotas it is another bucket, and full.
      quota === null
        ? []
        : [{ name: kind, key: keys.rate(`${whose}:${quota.requests}/${quota.seconds}`), quota }];
    const buckets = [...bucket('key', name, quotas.key), ...bucket('org', 'org', quotas.org)];
    const made: LocalTokenBatch = {
      quotas,
      buckets,
      policies: policies(buckets),
      views: [],
      left: 0,
      spent: 0,
      drawnAt: Number.NEGATIVE_INFINITY,
      waiting: 0,
      drawing: null,
      emptyUntil: Number.NEGATIVE_INFINITY,
    };
    if (this.#hands.size >= CALLERS_MOST) this.#hands.clear();
    this.#hands.set(id, made);
    return made;
  }

  /**
   * Draws until there is one for this request, or none for anybody.
   * @throws ContendedError when other requests were first each time, or the client is gone.
   */
  async #wait(hand: LocalTokenBatch, ctx: Context): Promise<boolean> {
    hand.waiting += 1;
    try {
      for (let draws = 0; draws < DRAWS_MOST && !ctx.req.socket.destroyed; draws += 1) {
        if (hand.emptyUntil > performance.now()) return false;
        hand.drawing ??= this.#draw(hand);
        await hand.drawing;
        if (take(hand)) return true;
      }
      throw new ContendedError('rate bucket');
    } finally {
      hand.waiting -= 1;
    }
  }

  async #draw(hand: LocalTokenBatch): Promise<void> {
    const now = performance.now();
    try {
      const { granted, buckets } = await draw(this.#db.redis, hand.buckets, wanted(hand, now));
      hand.views = buckets;
      hand.left = granted;
      hand.spent = 0;
      hand.drawnAt = now;
      if (granted < 1)
        hand.emptyUntil = performance.now() + Math.max(EMPTY_LEAST, ...buckets.map((one) => one.wait));
    } finally {
      hand.drawing = null;
    }
  }
}

/** What a caller is counted by. */
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

function take(hand: LocalTokenBatch): boolean {
  if (hand.left < 1 || performance.now() - hand.drawnAt > KEPT) return false;
  hand.left -= 1;
  hand.spent += 1;
  return true;
}

/** As many as wait; or as will be used soon by how fast the last handful went, at most twice as many as that. */
function wanted(hand: LocalTokenBatch, now: number): number {
  const soon = Math.ceil((hand.spent * BATCH) / Math.max(1, now - hand.drawnAt));
  const most = Math.min(...hand.buckets.map(({ quota }) => BATCH / stepOf(quota)));
  return Math.max(1, hand.waiting, Math.floor(Math.min(soon, 2 * hand.spent, most)));
}

/** `RateLimit-Policy`: `"key";q=100;w=60`. */
function policies(buckets: readonly { name: string; quota: Quota }[]): string {
  return buckets.map(({ name, quota }) => `"${name}";q=${quota.requests};w=${quota.seconds}`).join(', ');
}

/** `RateLimit`: `"key";r=99;t=1`. What this process holds is still the caller's. */
function standings({ buckets, views, left }: LocalTokenBatch): string {
  return buckets
    .map(({ name }, index) => {
      const view = views[index];
      return `"${name}";r=${(view?.left ?? 0) + left};t=${Math.ceil((view?.full_in ?? 0) / 1000)}`;
    })
    .join(', ');
}

function limited({ buckets, emptyUntil, views }: LocalTokenBatch): ApiError {
  const empty = buckets.find((_, index) => (views[index]?.wait ?? 0) > 0) ?? buckets[0];
  const whose = empty?.name === 'org' ? 'The org calls' : 'This credential calls';
  return rateLimited(whose, empty?.quota, emptyUntil - performance.now());
}

/** 429. @param wait until the next request may pass, ms. */
export function rateLimited(whose: string, quota: Quota | undefined, wait: number): ApiError {
  const most = quota === undefined ? '' : `: at most ${quota.requests} requests in ${quota.seconds} s`;
  return new ApiError('rate_limited', `${whose} too often${most}.`, {
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(wait / 1000))) },
  });
}
