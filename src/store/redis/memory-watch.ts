// Watches the memory of Redis, so that what adds records can be refused before Redis refuses every write. The room above the
// high-water mark is kept for what finishes work: submissions, deliveries, expiries.

import type { Redis } from 'ioredis';
import { readInfo } from './info.ts';
import { type RedisClient, serversOf } from './servers.ts';

/** Pause between two samples, ms. At the highest rate of creates, Redis grows by a few MB in that time. */
const SAMPLE_EVERY_MS = 500;

/** Memory must fall by this share of the limit below the mark before creates are taken again. */
const RECOVERY = 0.02;

interface MemorySample {
  /** Bytes that Redis uses. */
  used: number;
  /** `maxmemory` in bytes; null when Redis has no limit. */
  limit: number | null;
}

/** What changes when the memory crosses the mark. */
export interface MemoryEvent extends MemorySample {
  isHigh: boolean;
}

/** Used and available memory. @throws the client's error in an outage */
async function sampleMemory(server: Redis): Promise<MemorySample> {
  const info = await readInfo(server, 'memory');
  const limit = Number(info.get('maxmemory'));
  return { used: Number(info.get('used_memory')), limit: limit === 0 ? null : limit };
}

/** The server with the least room, of those that answer. @throws the client's error when none does */
async function sampleFullest(redis: RedisClient): Promise<MemorySample> {
  const samples = await Promise.allSettled(serversOf(redis).map(sampleMemory));
  const known = samples.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const shareOf = ({ used, limit }: MemorySample) => (limit === null ? 0 : used / limit);
  const [fullest] = known.sort((one, other) => shareOf(other) - shareOf(one) || other.used - one.used);
  if (fullest === undefined) throw new Error('no server answers');
  return fullest;
}

/** Whether the memory is above the mark now. @param wasHigh whether it was at the sample before */
function isAbove({ used, limit }: MemorySample, highWater: number, wasHigh: boolean): boolean {
  return limit !== null && used >= limit * (wasHigh ? highWater - RECOVERY : highWater);
}

/** Samples the memory of Redis twice a second, in a cluster that of its fullest master, from `start` to `stop`. */
export class MemoryWatch {
  readonly #redis: RedisClient;
  readonly #highWater: number;
  readonly #onChange: (event: MemoryEvent) => void;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  #isHigh = false;
  #last: MemorySample | null = null;

  /** @param highWater share of `maxmemory`, 0 to 1 */
  constructor(redis: RedisClient, highWater: number, onChange: (event: MemoryEvent) => void) {
    this.#redis = redis;
    this.#highWater = highWater;
    this.#onChange = onChange;
  }

  /** Whether what adds records must be refused. Never, when Redis has no limit. */
  get isHigh(): boolean {
    return this.#isHigh;
  }

  /** The last sample; null before the first. */
  get last(): MemorySample | null {
    return this.#last;
  }

  /** Takes the first sample, and goes on. */
  async start(): Promise<void> {
    await this.#sample();
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.start(), SAMPLE_EVERY_MS).unref();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #sample(): Promise<void> {
    // In an outage the last sample stays: every request that needs Redis fails anyway.
    const sample = await sampleFullest(this.#redis).catch(() => null);
    if (sample === null) return;
    this.#last = sample;
    const isHigh = isAbove(sample, this.#highWater, this.#isHigh);
    if (isHigh === this.#isHigh) return;
    this.#isHigh = isHigh;
    this.#onChange({ ...sample, isHigh });
  }
}
