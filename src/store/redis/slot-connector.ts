// Connects one plain connection to the master of a Redis Cluster that has the slot of a key, for what needs a connection of
// its own: commands that block, subscriptions, and BullMQ. When it reconnects, after a failover or when the slot has moved,
// it asks the cluster again.

import { connect as connectTcp } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import { slotOf } from './servers.ts';
import type { ClusterNodes, Host } from './topology.ts';

/** Time limit of a node's answer, ms. */
const ANSWER_LIMIT_MS = 2000;
const DISCONNECT_LIMIT_MS = 2000;

type Emit = Parameters<AbstractConnector['connect']>[0];

/** What all connections to nodes of a cluster have in common. */
export function nodeOptions({ username, password, tls }: ClusterNodes): Omit<RedisOptions, 'replyMapping'> {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: { ...tls } }),
  };
}

/** The class of connectors that reach the master that has `key`. @param pauseBefore the n-th repeated attempt, ms */
export function slotConnector(
  topology: ClusterNodes,
  key: string,
  pauseBefore: (attempt: number) => number,
): new () => AbstractConnector {
  const slot = slotOf(key);
  const { tls } = topology;
  const table = tables.get(topology) ?? new SlotTable(topology);
  tables.set(topology, table);
  return class SlotConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_LIMIT_MS);
    }

    /** ioredis calls this for each of the commands that are refused because the slot has moved. */
    override disconnect(): void {
      if (this.stream?.writableEnded === true) this.connecting = false;
      else super.disconnect();
    }

    override async connect(emit: Emit) {
      this.connecting = true;
      // ioredis gives up a connection for good when its connector fails.
      for (let attempt = 1; ; attempt += 1) {
        const master = await table.masterOf(slot).catch((error: Error) => {
          emit('error', error);
          return null;
        });
        if (!this.connecting) throw new Error('Connection is closed.');
        if (master !== null) {
          this.stream = tls ? connectTls({ ...master, ...tls }) : connectTcp(master);
          this.stream.once('error', (error) => {
            this.firstError = error;
          });
          return this.stream;
        }
        await sleep(pauseBefore(attempt));
      }
    }
  };
}

/** An answer is used for this long, ms, so that the connections of a process do not all ask when a node is lost. */
const FRESH_MS = 200;

/** Of the clusters of this process, which are one as a rule. */
const tables = new WeakMap<ClusterNodes, SlotTable>();

/** Which node of a cluster has which slots. */
class SlotTable {
  readonly #topology: ClusterNodes;
  /** The nodes of the cluster as far as they are known, those to ask first at the front. */
  #nodes: Host[];
  #answer: ReturnType<typeof askSlots> | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(topology: ClusterNodes) {
    this.#topology = topology;
    this.#nodes = [...topology.nodes];
  }

  /** The master that has a slot. @throws the last error when no node answers, and an error when none has the slot */
  async masterOf(slot: number): Promise<Host> {
    const now = performance.now();
    if (this.#answer === null || now - this.#askedAt > FRESH_MS) {
      this.#askedAt = now;
      this.#answer = this.#ask();
    }
    const { masterOf } = await this.#answer;
    const master = masterOf(slot);
    if (master === null) throw new Error('CLUSTERDOWN Hash slot not served');
    return master;
  }

  async #ask(): ReturnType<typeof askSlots> {
    // Each time another node is asked first, because one may be frozen, or cut off from the others.
    this.#nodes.push(...this.#nodes.splice(0, 1));
    let failure: unknown;
    for (const node of this.#nodes)
      try {
        const answer = await askSlots(this.#topology, node);
        const isKnown = (one: Host) =>
          answer.nodes.some(({ host, port }) => host === one.host && port === one.port);
        this.#nodes = [...answer.nodes, ...this.#topology.nodes.filter((one) => !isKnown(one))];
        return answer;
      } catch (error) {
        failure = error;
      }
    throw failure;
  }
}

/** Which node has which slots, as one node says; the address of a node that it does not know is that of `node`. */
async function askSlots(topology: ClusterNodes, node: Host) {
  const redis = new Redis({
    ...nodeOptions(topology),
    ...node,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: ANSWER_LIMIT_MS,
    commandTimeout: ANSWER_LIMIT_MS,
  });
  let failure: Error | undefined;
  redis.on('error', (error) => {
    failure = error;
  });
  try {
    const ranges = await redis.cluster('SLOTS');
    const hostOf = ([host, port]: readonly [host: string, port: number, ...unknown[]]): Host => ({
      host: host || node.host,
      port,
    });
    return {
      nodes: [
        ...new Map(
          ranges.flatMap(([, , ...all]) => all.map(hostOf)).map((one) => [`${one.host}:${one.port}`, one]),
        ).values(),
      ],
      /** The master that has a slot; null when none has it. */
      masterOf(slot: number): Host | null {
        const [, , master] = ranges.find(([from, to]) => slot >= from && slot <= to) ?? [];
        return master === undefined ? null : hostOf(master);
      },
    };
  } catch (error) {
    throw failure ?? error;
  } finally {
    redis.disconnect();
  }
}
