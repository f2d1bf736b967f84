// Connections to Redis, of three kinds. Commands of a `request` connection fail at once in an outage, so that API clients
// get a 503 instead of a hanging request. Commands of a `patient` connection wait for the end of the outage, for worker
// processes whose jobs can wait. A `probe` connects once, for the checks at start.

import { Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { Task } from '../../state/tasks/task.ts';
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
  redis: Redis;
  /** First part of every key. */
  prefix: string;
  clock: Clock;
  /** Called for each record that was left out because it cannot be read. */
  onUnreadable?: (record: { key: string; kind: 'newer' | 'broken'; reason: string }) => void;
  /** Called after each commit that changed a task. @param before null when it was created */
  onTaskChanged?: (before: Task | null, task: Task) => void;
}

/** A command of a request connection times out after this, ms. */
export const COMMAND_TIMEOUT = 1500;

type Sent = Parameters<Redis['sendCommand']>;

/**
 * A client that sends all commands of one turn of the event loop in one write to the socket; a write for each command costs
 * a busy process a tenth of its time. So concurrent commands share a round trip without a `pipeline()`, whose objects and
 * replies ioredis keeps in memory until the next full garbage collection.
 */
class BatchingRedis extends Redis {
  override sendCommand(...[command, stream]: Sent): unknown {
    const socket = this.stream;
    // Before the connection is ready, its socket may be missing or about to be replaced.
    if (this.status === 'ready' && socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    return super.sendCommand(command, stream);
  }
}

/**
 * A client that rejects a command after `COMMAND_TIMEOUT`, but only after this process has read the replies that have
 * arrived: when the event loop was blocked, timers run before sockets are read, and ioredis' own `commandTimeout` would
 * reject commands that Redis has answered in time.
 */
class RequestRedis extends BatchingRedis {
  /** Commands of this turn of the event loop, and how many of them are not settled. */
  #turn: { commands: Sent[0][]; open: number; settled(): void } | null = null;

  override sendCommand(...[command, stream]: Sent): unknown {
    this.#turn ??= this.#begin();
    this.#turn.commands.push(command);
    this.#turn.open += 1;
    command.promise.then(this.#turn.settled, this.#turn.settled);
    return super.sendCommand(command, stream);
  }

  /** One timer for all commands of a turn. */
  #begin() {
    const giveUp = () => {
      for (const command of turn.commands)
        if (!command.isResolved) command.reject(new Error('Command timed out'));
    };
    let timer: NodeJS.Timeout | undefined;
    const turn = {
      commands: [] as Sent[0][],
      open: 0,
      settled() {
        turn.open -= 1;
        if (turn.open === 0) clearTimeout(timer);
      },
    };
    // The timer starts when the commands are sent, at the end of this turn.
    setImmediate(() => {
      this.#turn = null;
      if (turn.open > 0) timer = setTimeout(() => setImmediate(giveUp), COMMAND_TIMEOUT);
    });
    return turn;
  }
}

type Kind = 'request' | 'patient' | 'probe';
type Options = Omit<RedisOptions, 'replyMapping'>;

/**
 * Opens a connection.
 * @param kind `request`: commands reject in an outage; `patient`: they wait, as BullMQ's workers need; `probe`: neither
 *   connecting nor a command is tried again.
 * @param onError called with connection errors; each reconnect attempt may emit one.
 */
export function connect(topology: Topology, kind: Kind, onError: (error: Error) => void): Redis {
  const Client = CLIENTS[kind];
  const options: Options = { ...serverOptions(topology), ...behaviour(kind) };
  const redis = topology.kind === 'single' ? new Client(topology.url, options) : new Client(options);
  redis.on('error', onError);
  return redis;
}

const CLIENTS: Record<Kind, typeof Redis> = { request: RequestRedis, patient: BatchingRedis, probe: Redis };

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
    reconnectOnError: reconnectOnReadOnly(),
  };
  return kind === 'request'
    ? // Never sent twice: if a commit succeeded and its reply was lost, the repeat would fail on its own guard.
      { ...common, lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0 }
    : // Connects at once, like the duplicates of BullMQ's workers: BullMQ never repeats a lazy `connect()` that failed.
      { ...common, maxRetriesPerRequest: null };
}

/** Time limit of a connection attempt, of a sentinel's answer, and of a probe's command, ms. */
const ANSWER_LIMIT = 2000;
/**
 * Behind sentinels, a connection that owes an answer and is silent for this long is closed, ms: another server may have
 * become the primary. Longer than any command blocks.
 */
const SILENCE_LIMIT = 15_000;
/** Pause before a connection to a sentinel that failed is tried again, for the news of failovers, ms. */
const SENTINEL_RETRY = 10_000;

function pauseBefore(attempt: number): number {
  return Math.min(50 * attempt, 1000);
}

/** Which server to connect to, with which credentials; a URL of one server is read by ioredis. */
function serverOptions(topology: Topology): Options {
  const tls = topology.tls && { ...topology.tls };
  if (topology.kind === 'single') return tls === undefined ? {} : { tls };
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
 * Reconnects after a failover has made the server a replica: a new connection reaches the new primary behind the same
 * name. The refused command is not sent again.
 */
function reconnectOnReadOnly(): (error: Error) => boolean {
  let reconnectedAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    const refusal = refusalOf(error);
    if (refusal !== 'READONLY' && refusal !== 'UNBLOCKED') return false;
    const now = performance.now();
    if (now - reconnectedAt < RECONNECT_EVERY) return false;
    reconnectedAt = now;
    return true;
  };
}

/** Resolves when the connection can take commands. */
export async function whenReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  if (redis.status === 'wait') {
    // A first refused connection is retried like any later one.
    redis.connect().catch(() => undefined);
  }
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
}

const REFUSALS =
  /^(OOM|LOADING|READONLY|MISCONF|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|BUSY|UNBLOCKED)\b/;
const OUTAGES =
  /^(Connection is closed|Command timed out|No time sample from Redis yet|Stream isn't writeable|Reached the max retries per request|All sentinels are unreachable|Socket timeout|Not enough replicas)|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/;

/** The code of an error with which Redis refuses a command temporarily; null for other errors. */
export function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const text = error.message.replace(/^.*?script: [0-9a-f]+, on @user_script:\d+: /, '').replace(/^-/, '');
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
