// The connections of a process for BullMQ, which needs plain ones: to each server that has queues.

import { Cluster, type Redis } from 'ioredis';
import { connectNear, type Kind, whenReady } from './connection.ts';
import type { OutageLog } from './outage-log.ts';
import type { RedisClient } from './servers.ts';
import type { Topology } from './topology.ts';

export class KeyConnections {
  readonly #topology: Topology;
  readonly #shared: RedisClient;
  readonly #kind: Kind;
  readonly #outages: OutageLog;
  /** By key. */
  readonly #own = new Map<string, Redis>();

  /** @param shared serves all keys where there is one server. */
  constructor(topology: Topology, shared: RedisClient, kind: Kind, outages: OutageLog) {
    this.#topology = topology;
    this.#shared = shared;
    this.#kind = kind;
    this.#outages = outages;
  }

  /** The connection to the server that has a key; in a cluster one for each key. */
  to(key: string): Redis {
    if (!(this.#shared instanceof Cluster)) return this.#shared;
    const known = this.#own.get(key);
    if (known !== undefined) return known;
    const made = this.#outages.watch(connectNear(key, this.#topology, this.#kind, this.#outages.onError));
    this.#own.set(key, made);
    return made;
  }

  /** Resolves when all that were asked for can take commands. */
  async ready(): Promise<void> {
    await Promise.all([...this.#own.values()].map(whenReady));
  }

  /** Closes those of its own. */
  close(): void {
    for (const redis of this.#own.values()) redis.disconnect();
  }
}
