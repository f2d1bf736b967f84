// The time that all processes use: Redis' TIME, extrapolated with this process' monotonic clock between samples. The
// wall clock of the machine is not used, so it may be wrong or jump.
//
// Redis' own clock may jump too (an operator, a restored machine, a failover to a machine whose clock is off). The
// monotonic clock detects that. Then time continues as before the jump, nothing expires (`isFrozen`), and all processes
// learn of it through one record in Redis. It stays frozen until Redis' clock is back, an operator confirms the new time, or
// Redis' clock has agreed with the monotonic clock for as long as it jumped (ten minutes at most). A machine that was
// suspended for some seconds looks like a small jump, too.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptedAfter,
  type ClockJump,
  clockJumpKey,
  loadJump,
  recordJump,
  removeJump,
} from './clock-jump.ts';
import { type Clock, isUnavailable, whenReady } from './connection.ts';
import { MAX_CLOCK_DIFFERENCE_MS } from './due.ts';
import { type RedisClient, serverOf } from './servers.ts';

/** Sample interval, ms. */
const SAMPLE_EVERY_MS = 10_000;
/** Sample interval while the clock is frozen, so that a confirmation is noticed soon, ms. */
const SAMPLE_EVERY_WHILE_FROZEN_MS = 1000;
/** A process that has run for less than this takes over a jump that others recorded before its first sample, ms. */
const ADOPT_JUMP_WITHIN_MS = 30_000;
/** Pause before the first sample is retried, ms. */
const RETRY_FIRST_SAMPLE_MS = 50;

export type ClockEvent =
  | { kind: 'jumped'; by_ms: number }
  | { kind: 'confirmed'; by_ms: number; how: 'operator' | 'time' }
  | { kind: 'returned' };

interface Sample {
  /** Redis' time, ms, and the moment of `performance.now()` that it belongs to. */
  redis: number;
  moment: number;
  /** Possible error, ms. */
  error: number;
}

export interface RedisClockOptions {
  /** First part of every key; without it jumps are not shared with other processes. */
  prefix?: string;
  onEvent?: (event: ClockEvent) => void;
}

export class RedisClock implements Clock {
  readonly #redis: RedisClient;
  readonly #prefix: string | null;
  /** In a cluster, the server that has this key gives the time. */
  readonly #key: string;
  readonly #onEvent: (event: ClockEvent) => void;
  /** The clock's time at a moment of `performance.now()`; null before the first sample. */
  #anchor: { time: number; moment: number } | null = null;
  #bornAt = 0;
  /** By how much Redis' clock has jumped, and since when its samples agree with that. */
  #jump: { by: number; since: number } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  #syncing: Promise<void> | null = null;

  constructor(redis: RedisClient, { prefix, onEvent }: RedisClockOptions = {}) {
    this.#redis = redis;
    this.#prefix = prefix ?? null;
    this.#key = clockJumpKey(prefix ?? 'clock');
    this.#onEvent = onEvent ?? (() => undefined);
  }

  /** The current time, ms. @throws Error that counts as an outage before the first sample */
  now(): number {
    if (this.#anchor === null) throw new Error('No time sample from Redis yet');
    return Math.floor(this.#anchor.time + performance.now() - this.#anchor.moment);
  }

  get isFrozen(): boolean {
    return this.#jump !== null;
  }

  get offset(): number {
    return this.#jump === null ? 0 : -this.#jump.by;
  }

  /** Samples Redis' time once, corrected by half the round trip. Concurrent calls share a sample. */
  sync(): Promise<void> {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = null;
    });
    return this.#syncing;
  }

  async #sync(): Promise<void> {
    const [sample, jump] = await Promise.all([
      this.#sample(),
      this.#prefix === null ? null : loadJump(this.#redis, this.#prefix),
    ]);
    if (this.#anchor === null) {
      this.#anchor = { time: sample.redis, moment: sample.moment };
      this.#bornAt = sample.moment;
    }
    const deviation = sample.redis - (this.#anchor.time + sample.moment - this.#anchor.moment);
    if (Math.abs(deviation) <= MAX_CLOCK_DIFFERENCE_MS + sample.error)
      await this.#agree(sample, deviation, jump);
    else await this.#disagree(sample, deviation, jump);
  }

  async #sample(): Promise<Sample> {
    const before = performance.now();
    const server = serverOf(this.#redis, this.#key);
    if (server === null) throw new Error('Connection is closed.');
    const [seconds, micros] = await server.time();
    const after = performance.now();
    const redis = Number(seconds) * 1000 + Number(micros) / 1000;
    return { redis, moment: (before + after) / 2, error: Math.max(2, after - before) };
  }

  /** Handles a sample that agrees with the clock. */
  async #agree(sample: Sample, deviation: number, jump: ClockJump | null): Promise<void> {
    if (this.#jump !== null) {
      this.#jump = null;
      this.#onEvent({ kind: 'returned' });
      if (jump !== null && this.#prefix !== null) await removeJump(this.#redis, this.#prefix, jump);
    } else if (jump !== null && this.#shouldAdopt(jump, sample)) {
      // The first sample of this process was taken after the jump.
      this.#anchor = { time: sample.redis - jump.by, moment: sample.moment };
      this.#jump = { by: jump.by, since: sample.moment - (sample.redis - jump.seen_at) };
      this.#onEvent({ kind: 'jumped', by_ms: jump.by });
      return;
    }
    // A deviation within the measurement error is noise; following it would make the time jitter.
    if (Math.abs(deviation) > sample.error) this.#anchor = { time: sample.redis, moment: sample.moment };
  }

  /** Whether others recorded the jump before this process took its first sample. */
  #shouldAdopt({ by, seen_at, confirmed }: ClockJump, { redis, moment }: Sample): boolean {
    const age = redis - seen_at;
    return (
      !confirmed &&
      moment - this.#bornAt < ADOPT_JUMP_WITHIN_MS &&
      age > -MAX_CLOCK_DIFFERENCE_MS &&
      age < acceptedAfter(by)
    );
  }

  /** Handles a sample that differs from the clock. */
  async #disagree(sample: Sample, deviation: number, jump: ClockJump | null): Promise<void> {
    const isSame = (by: number) => Math.abs(by - deviation) <= MAX_CLOCK_DIFFERENCE_MS;
    if (jump?.confirmed && isSame(jump.by)) return this.#follow(sample, deviation, 'operator');
    const current = this.#jump;
    if (current !== null && isSame(current.by)) {
      if (sample.moment - current.since >= acceptedAfter(deviation)) this.#follow(sample, deviation, 'time');
      return;
    }
    const by = Math.round(deviation);
    this.#jump = { by, since: sample.moment };
    this.#onEvent({ kind: 'jumped', by_ms: by });
    if (this.#prefix !== null && !(jump !== null && isSame(jump.by)))
      await recordJump(this.#redis, this.#prefix, {
        by,
        seen_at: Math.round(sample.redis),
        confirmed: false,
      });
    this.#sampleSoon();
  }

  #follow({ redis, moment }: Sample, deviation: number, how: 'operator' | 'time'): void {
    this.#anchor = { time: redis, moment };
    this.#jump = null;
    this.#onEvent({ kind: 'confirmed', by_ms: Math.round(deviation), how });
  }

  /** Resolves with the first sample, however long Redis is unavailable, then samples until `stop`. */
  async start(): Promise<void> {
    while (!(await this.#hasSynced())) await whenReady(this.#redis);
    this.#sampleSoon();
  }

  /** Schedules the next sample; one that fails in an outage is skipped. */
  #sampleSoon(): void {
    if (this.#isStopped || this.#anchor === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        const next = () => this.#sampleSoon();
        this.sync().then(next, next);
      },
      this.#jump === null ? SAMPLE_EVERY_MS : SAMPLE_EVERY_WHILE_FROZEN_MS,
    );
    this.#timer.unref();
  }

  /** Whether a sample was taken; false when Redis was unavailable. */
  async #hasSynced(): Promise<boolean> {
    try {
      await this.sync();
      return true;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      // Redis may be connected and refuse commands, such as while it loads its data.
      await sleep(RETRY_FIRST_SAMPLE_MS);
      return false;
    }
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** A listener that logs the events of the clock. @param log with pino's arguments. */
export function logClock(log: {
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}): (event: ClockEvent) => void {
  return ({ kind, ...fields }) => {
    if (kind === 'jumped')
      log.error(
        fields,
        `Redis' clock has jumped: nothing expires until it is back, steady for as long as it jumped, or confirmed (biolayer clock confirm)`,
      );
    else if (kind === 'confirmed') log.warn(fields, "the time of Redis' clock after its jump is accepted");
    else log.warn(fields, "Redis' clock is back");
  };
}
