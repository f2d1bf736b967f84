// Connections to all masters of a Redis Cluster, for commands that neither block nor subscribe. A command goes to the master
// that has the slot of its key. While a slot moves, commands are redirected, and one that is refused meanwhile is tried
// again for as long as its client waits.

import { Cluster, type ClusterOptions, type Redis } from 'ioredis';
import { batchCommands, COMMAND_TIMEOUT, limitTime } from './sending.ts';
import { nodeOptions } from './slot-connector.ts';
import type { ClusterNodes } from './topology.ts';

/** How often the cluster is asked which node has which slots, ms; a redirection makes it ask at once. */
const REFRESH_EVERY_MS = 2000;
/** Pause before a command is tried again, ms. */
const RETRY_PAUSE_MS = 100;
/** Most redirections of a command with a time limit; a repeat takes two, because ioredis sends it to any node. */
const MAX_REDIRECTIONS = 40;

type Options = Omit<ClusterOptions, 'redisOptions'> & { redisOptions: NodeOptions };
/** Options of the connection to each node. */
type NodeOptions = Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'>;

/** How a connection to a cluster differs. */
export interface ClusterUse {
  /** Whether commands follow their key while its slot moves, as they do by default; see `RequestCluster`. */
  followsAsk?: boolean;
  /** Whether it is for subscriptions to sharded channels; not by default. */
  subscribes?: boolean;
}

function commonOptions(
  topology: ClusterNodes,
  node: NodeOptions,
  { subscribes = false }: ClusterUse,
): Options {
  return {
    redisOptions: { ...nodeOptions(topology), ...node },
    shardedSubscribers: subscribes,
    slotsRefreshInterval: REFRESH_EVERY_MS,
    retryDelayOnTryAgain: RETRY_PAUSE_MS,
    scaleReads: 'master',
    // Names are left to the sockets: the certificate of a node may be for its name.
    dnsLookup: (name, callback) => callback(null, name),
  };
}

/** Commands wait until they can be carried out, and are repeated after a lost connection. */
export function patientCluster(
  topology: ClusterNodes,
  clusterRetryStrategy: (attempt: number) => number,
  node: NodeOptions,
  use: ClusterUse = {},
): Cluster {
  const cluster = new Cluster([...topology.nodes], {
    ...commonOptions(topology, node, use),
    clusterRetryStrategy,
    maxRedirections: Number.POSITIVE_INFINITY,
    retryDelayOnFailover: RETRY_PAUSE_MS,
    retryDelayOnClusterDown: RETRY_PAUSE_MS,
  });
  cluster.on('+node', batchCommands);
  return cluster;
}

/** Neither connecting nor a command is tried again. */
export function probeCluster(topology: ClusterNodes, node: NodeOptions): Cluster {
  return new Cluster([...topology.nodes], {
    ...commonOptions(topology, node, {}),
    lazyConnect: true,
    // ioredis never settles `connect()` when this check fails.
    enableReadyCheck: false,
    clusterRetryStrategy: () => null,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    maxRedirections: 2,
  });
}

type Sent = Parameters<Cluster['sendCommand']>;

/**
 * Commands reject in an outage, at the latest after `COMMAND_TIMEOUT`. None is repeated after it may have been carried out.
 */
export class RequestCluster extends Cluster {
  readonly #followsAsk: boolean;

  /**
   * @param use `followsAsk`: whether to follow a command's key to the node that its slot is moving to. Without it, a command
   *   that is answered was carried out by the node that has the slot, or has it by now.
   */
  constructor(
    topology: ClusterNodes,
    clusterRetryStrategy: (attempt: number) => number,
    node: NodeOptions,
    use: ClusterUse,
  ) {
    super([...topology.nodes], {
      ...commonOptions(topology, node, use),
      clusterRetryStrategy,
      lazyConnect: true,
      maxRedirections: MAX_REDIRECTIONS,
      // A lost connection and a cluster without enough masters are outages.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
    });
    this.#followsAsk = use.followsAsk ?? true;
    this.on('+node', (one: Redis) => {
      batchCommands(one);
      limitTime(one);
    });
  }

  override sendCommand(...[command, stream, node]: Sent): unknown {
    if (this.status !== 'ready' && command.name !== 'cluster') {
      command.reject(new Error('Connection is closed.'));
      return command.promise;
    }
    const until = performance.now() + COMMAND_TIMEOUT - 2 * RETRY_PAUSE_MS;
    const fail = command.reject;
    const answer = super.sendCommand(command, stream, node);
    const redirect = command.reject;
    command.reject = (error) => {
      const isFinal =
        (error.message.startsWith('TRYAGAIN') && performance.now() > until) ||
        (error.message.startsWith('ASK ') && !this.#followsAsk);
      (isFinal ? fail : redirect)(error);
    };
    return answer;
  }
}
