// A lock in Redis that expires. The holder is identified by a random token, and only the holder can renew or release
// it, so a process whose lease has expired cannot end the lease of another.

import { randomUUID } from 'node:crypto';
import { defineScript } from './scripts.ts';
import type { RedisClient } from './servers.ts';

const RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0";
const RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0";

const renewLease = defineScript<number>(RENEW);
const releaseLease = defineScript<number>(RELEASE);

export class Lease {
  readonly #redis: RedisClient;
  readonly #key: string;
  readonly #token: string;

  private constructor(redis: RedisClient, key: string, token: string) {
    this.#redis = redis;
    this.#key = key;
    this.#token = token;
  }

  /** Acquires the lock `key` for `ms`; null while another holder has it. */
  static async take(redis: RedisClient, key: string, ms: number): Promise<Lease | null> {
    const token = randomUUID();
    const isTaken = (await redis.set(key, token, 'PX', ms, 'NX')) === 'OK';
    return isTaken ? new Lease(redis, key, token) : null;
  }

  /** Extends the lease to `ms` from now. @returns false when it was lost and another process may hold it. */
  async renew(ms: number): Promise<boolean> {
    return (await renewLease(this.#redis, [this.#key], [this.#token, Math.ceil(ms)])) === 1;
  }

  /** Releases the lease, unless it was lost. */
  async release(): Promise<void> {
    await releaseLease(this.#redis, [this.#key], [this.#token]);
  }
}
