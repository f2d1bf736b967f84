// Connections to Redis, of three kinds. Commands of a `request` connection fail at once in an outage, so that API clients
// get a 503 instead of a hanging request. Commands of a `patient` connection wait for the end of the outage, for worker
// processes whose jobs can wait. A `probe` connects once, for the checks at start.

import { Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { Task } from '../../state/tasks/task.ts';
import type { TaskArchive } from './archive.ts';
import { type ClusterUse, patientCluster, probeCluster, RequestCluster } from './cluster.ts';
import { batchCommands, limitTime } from './sending.ts';
import type { RedisClient } from './servers.ts';
import { nodeOptions, slotConnector } from './slot-connector.ts';
import type { Topology } from './topology.ts';

/** The time that all processes use; see `clock.ts`. */
export interface Clock {
  /** Milliseconds since the epoch, whole. */
  now(): number;
  /** Redis' clock has jumped and the jump is not confirmed yet: nothing may expire. */
  readonly isFrozen: boolean;
  /** `now()` minus Redis' time while a jump is not confirmed, ms; otherwise 0. */
  readonly offset: number;
  /** Takes a new sample of Redis' time. */
  sync(): Promise<void>;
}

/** What every function of the store needs: the connection, the key prefix and the clock. */
export interface Db {
  redis: RedisClient;
  /** First part of every key. */
  prefix: string;
  clock: Clock;
  /** Finished tasks that have left Redis; absent in processes that have no access to the file store. */
  archive?: TaskArchive;
  /** Called for each record that was left out because it cannot be read. */
  onUnreadable?: (record: { key: string; kind: 'newer' | 'broken'; reason: string }) => void;
  /** Called after each commit that changed a task. @param before null when it was created */
  onTaskChanged?: (before: Task | null, task: Task) => void;
}

/** How commands behave in an outage; see `connect`. */
export type Kind = 'request' | 'patient' | 'probe';
type Options = Omit<RedisOptions, 'replyMapping'>;

/**
 * Opens a connection for commands that neither block nor subscribe.
 * @param kind `request`: commands reject in an outage; `patient`: they wait, as BullMQ's workers need; `probe`: neither
 *   connecting nor a command is tried again.
 * @param onError called with connection errors; each reconnect attempt may emit one.
 */
export function connect(
  topology: Topology,
  kind: Kind,
  onError: (error: Error) => void,
  use: ClusterUse = {},
): RedisClient {
  if (topology.kind !== 'cluster') return connectServer(topology, kind, onError);
  const node = {
    connectTimeout: kind === 'request' ? CONNECT_LIMIT : ANSWER_LIMIT,
    socketTimeout: SILENCE_LIMIT,
  };
  const cluster =
    kind === 'request'
      ? new RequestCluster(topology, pauseBefore, node, use)
      : kind === 'patient'
        ? patientCluster(topology, pauseBefore, node, use)
        : probeCluster(topology, { connectTimeout: ANSWER_LIMIT, commandTimeout: ANSWER_LIMIT });
  cluster.on('error', onError);
  cluster.on('node error', onError);
  return cluster;
}

/**
 * Opens a connection of its own for subscriptions to sharded channels. In a cluster it has one to each master with a channel that
 * is subscribed, and follows the slots of the channels.
 * @param kind, onError like those of `connect`. @param leader a connection with which it moves to another server
 */
export function connectSubscriber(
  topology: Topology,
  kind: 'request' | 'patient',
  onError: (error: Error) => void,
  leader?: RedisClient,
): RedisClient {
  const subscriber = connect(topology, kind, onError, { subscribes: true });
  // It sends nothing, and so does not notice by itself that another server takes the writes.
  if (topology.kind !== 'cluster')
    leader?.on('close', () => subscriber.status === 'ready' && subscriber.disconnect(true));
  return subscriber;
}

/**
 * Opens a connection of its own to the server that has a key, for commands that block, and for BullMQ.
 * In a cluster it follows the slot of the key, and commands with keys of other slots are refused.
 * @param kind, onError like those of `connect`.
 */
export function connectNear(
  key: string,
  topology: Topology,
  kind: Kind,
  onError: (error: Error) => void,
): Redis {
  return connectServer(topology, kind, onError, key);
}

function connectServer(topology: Topology, kind: Kind, onError: (error: Error) => void, key = ''): Redis {
  const options: Options = { ...serverOptions(topology, key), ...behaviour(kind) };
  const redis = topology.kind === 'single' ? new Redis(topology.url, options) : new Redis(options);
  if (kind !== 'probe') batchCommands(redis);
  if (kind === 'request') limitTime(redis);
  redis.on('error', onError);
  return redis;
}

function behaviour(kind: Kind): Options {
  if (kind === 'probe')
    return {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
      sentinelRetryStrategy: () => null,
      failoverDetector: false,
      maxRetriesPerRequest: 0,
      connectTimeout: ANSWER_LIMIT,
      commandTimeout: ANSWER_LIMIT,
    };
  const common = {
    connectTimeout: ANSWER_LIMIT,
    retryStrategy: pauseBefore,
    sentinelRetryStrategy: pauseBefore,
    reconnectOnError: reconnectOnRefusal(kind),
  };
  return kind === 'request'
    ? // Never sent twice: if a commit succeeded and its reply was lost, the repeat would fail on its own guard.
      { ...common, lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0 }
    : // Connects at once, like the duplicates of BullMQ's workers: BullMQ never repeats a lazy `connect()` that failed.
      { ...common, maxRetriesPerRequest: null };
}

/** Time limit of a connection attempt, of a sentinel's answer, and of a probe's command, ms. */
const ANSWER_LIMIT = 2000;
/** The same for a connection attempt to a node of a cluster on which commands wait: less than their own time limit, ms. */
const CONNECT_LIMIT = 1000;
/**
 * Behind sentinels and in a cluster, a connection that owes an answer and is silent for this long is closed, ms: another server may have
 * become the primary. Longer than any command blocks.
 */
const SILENCE_LIMIT = 15_000;
/** Pause before a connection to a sentinel that failed is tried again, for the news of failovers, ms. */
const SENTINEL_RETRY = 10_000;

function pauseBefore(attempt: number): number {
  return Math.min(50 * attempt, 1000);
}

/** Which server to connect to, with which credentials; a URL of one server is read by ioredis. */
function serverOptions(topology: Topology, key: string): Options {
  const tls = topology.tls && { ...topology.tls };
  if (topology.kind === 'single') return tls === undefined ? {} : { tls };
  if (topology.kind === 'cluster')
    return {
      ...nodeOptions(topology),
      Connector: slotConnector(topology, key, pauseBefore),
      socketTimeout: SILENCE_LIMIT,
    };
  const { name, sentinels, db, username, password, sentinelUsername, sentinelPassword } = topology;
  return {
    Connector: FailoverConnector,
    name,
    sentinels: [...sentinels],
    db,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    sentinelUsername,
    sentinelPassword,
    ...(tls && { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: ANSWER_LIMIT,
    sentinelReconnectStrategy: () => SENTINEL_RETRY,
    failoverDetector: true,
    socketTimeout: SILENCE_LIMIT,
  };
}

/**
 * Asks the sentinels for the primary, and leaves a server as soon as they say that another one has become the primary,
 * because the old one may be frozen or still take writes, which would be lost.
 */
class FailoverConnector extends SentinelConnector {
  /** @param options of the connection, as ioredis passes them. */
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override connect(
    ...[emit]: Parameters<SentinelConnector['connect']>
  ): ReturnType<SentinelConnector['connect']> {
    // ioredis gives up a connection for good when that news reaches it while it connects.
    const detector: { cleanup(): void } | null = Reflect.get(this, 'failoverDetector');
    detector?.cleanup();
    return super.connect(emit);
  }
}

/** Minimum time between two reconnects because a server refuses writes, ms: there may be no other server. */
const RECONNECT_EVERY = 1000;

/**
 * Reconnects after a failover has made the server a replica, or the slot has moved: a new connection reaches the new
 * primary. A refused command is not sent again, unless the connection is patient and the command belongs to another
 * server.
 */
function reconnectOnRefusal(kind: Kind): (error: Error) => boolean | 2 {
  let reconnectedAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    const refusal = refusalOf(error);
    if (refusal === 'MOVED' && kind === 'patient') return 2;
    if (refusal !== 'READONLY' && refusal !== 'UNBLOCKED' && refusal !== 'MOVED') return false;
    const now = performance.now();
    if (now - reconnectedAt < RECONNECT_EVERY) return false;
    reconnectedAt = now;
    return true;
  };
}

/** Resolves when the connection can take commands. */
export async function whenReady(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') return;
  if (redis.status === 'wait') {
    // A first refused connection is retried like any later one.
    redis.connect().catch(() => undefined);
  }
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
}

const REFUSALS =
  /^(OOM|LOADING|READONLY|MISCONF|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|MOVED|ASK|BUSY|UNBLOCKED)\b/;
const OUTAGES =
  /^(Connection is closed|Command timed out|No time sample from Redis yet|Stream isn't writeable|Reached the max retries per request|All sentinels are unreachable|None of startup nodes is available|Failed to refresh slots cache|Too many Cluster redirections|No sharded subscriber for slot|No subscriber for the cluster|Socket timeout|Not enough replicas)|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/;

/** The code of an error with which Redis refuses a command temporarily; null for other errors. */
export function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  // A transaction is refused for what one of its commands was refused for.
  const [cause = error] = 'previousErrors' in error ? (error.previousErrors as Error[]) : [];
  const text = cause.message.replace(/^.*?script: [0-9a-f]+, on @user_script:\d+: /, '').replace(/^-/, '');
  return REFUSALS.exec(text)?.[1] ?? null;
}

/** Whether the error means that Redis is unavailable or refuses the command temporarily; false for a wrong command. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The error of a host with several addresses has a code but no message.
  const code = 'code' in error ? String(error.code) : '';
  return (
    refusalOf(error) !== null ||
    OUTAGES.test(error.message) ||
    OUTAGES.test(code) ||
    error.name === 'MaxRetriesPerRequestError'
  );
}
