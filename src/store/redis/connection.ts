// Connections to Redis. Two manners: `request` connections fail at once
// when Redis is away, so that a client gets its 503 instead of a hanging request; `patient` ones wait for
// it to come back, for workers that have nobody waiting on them.

import { Redis } from 'ioredis';

/** Redis' time as this process follows it, see `clock.ts`. */
export interface Clock {
  /** Milliseconds since the epoch, whole. */
  now(): number;
  /** Redis' own clock has jumped, and nobody has confirmed it yet: nothing may end by time. */
  readonly isHeld: boolean;
  /** By how much `now()` is ahead of Redis' TIME on purpose, ms: 0 unless it is held. */
  readonly offset: number;
  /** Asks Redis for its time. */
  sync(): Promise<void>;
}

/** What every function of the store works on. */
export interface Db {
  redis: Redis;
  /** First part of every key. */
  prefix: string;
  clock: Clock;
  /** Is told of records that were left out since they cannot be read. */
  onUnreadable?: (record: { key: string; kind: 'newer' | 'broken'; reason: string }) => void;
}

/** The longest a command of a request connection may take, ms. */
export const COMMAND_TIMEOUT = 1500;

type Sent = Parameters<Redis['sendCommand']>;

/**
 * Sends what is asked for in one turn of the event loop in one piece: each request and each job makes its own
 * commands, and a write to the socket apiece costs a busy process a tenth of its time. So many commands at once
 * are one round trip without a `pipeline()`, of which ioredis gives each a hidden class of its own: it, its
 * commands and all of their answers stay in memory until the next full collection.
 */
class TurnRedis extends Redis {
  override sendCommand(...[command, stream]: Sent): unknown {
    const socket = this.stream;
    // The socket of a connection that is not made yet may be none, or one that is about to be replaced.
    if (this.status === 'ready' && socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    return super.sendCommand(command, stream);
  }
}

/**
 * Gives a command up after `COMMAND_TIMEOUT`, yet not before this process has looked whether its answer is
 * there: after a moment in which it was too busy for anything timers come first and answers second, and
 * ioredis' own `commandTimeout` takes the process' lateness for Redis'.
 */
class RequestRedis extends TurnRedis {
  /** Commands of this turn, and how many of them are not settled. */
  #turn: { commands: Sent[0][]; open: number; settled(): void } | null = null;

  override sendCommand(...[command, stream]: Sent): unknown {
    this.#turn ??= this.#begin();
    this.#turn.commands.push(command);
    this.#turn.open += 1;
    command.promise.then(this.#turn.settled, this.#turn.settled);
    return super.sendCommand(command, stream);
  }

  /** One timer for all that a turn asks. */
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
    // Its time begins when it is sent, at the end of this turn: until then nobody could have answered.
    setImmediate(() => {
      this.#turn = null;
      if (turn.open > 0) timer = setTimeout(() => setImmediate(giveUp), COMMAND_TIMEOUT);
    });
    return turn;
  }
}

/**
 * Opens a connection.
 * @param manner `request`: commands reject when Redis is away or silent; `patient`: they wait, as BullMQ's workers need.
 * @param onError is told of connection errors; each reconnect attempt may bring one.
 */
export function connect(url: string, manner: 'request' | 'patient', onError: (error: Error) => void): Redis {
  const common = {
    connectTimeout: 2000,
    retryStrategy: (times: number) => Math.min(50 * times, 1000),
    reconnectOnError: leaveReadOnly(),
    lazyConnect: true,
  };
  const redis =
    manner === 'request'
      ? // Never sent twice: a commit whose answer was lost would come back as a conflict with itself.
        new RequestRedis(url, { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 0 })
      : new TurnRedis(url, { ...common, maxRetriesPerRequest: null });
  redis.on('error', onError);
  return redis;
}

/** A connection leaves a server that refuses writes at most this often, ms: there may be no other. */
const LEAVE_EVERY = 1000;

/**
 * A connection stays with its server after a failover has made that a replica: it must be opened anew to reach the
 * new primary behind the same name. The refused command is not sent again; whoever sent it repeats it, or its client does.
 */
function leaveReadOnly(): (error: Error) => boolean {
  let leftAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    const refusal = refusalOf(error);
    if (refusal !== 'READONLY' && refusal !== 'UNBLOCKED') return false;
    const now = performance.now();
    if (now - leftAt < LEAVE_EVERY) return false;
    leftAt = now;
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
  /^(Connection is closed|Command timed out|Redis has not told the time yet|Stream isn't writeable|Reached the max retries per request)|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/;

/** The code with which Redis refuses a command that it could take at another time; null when the error is none of these. */
export function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const text = error.message.replace(/^.*?script: [0-9a-f]+, on @user_script:\d+: /, '').replace(/^-/, '');
  return REFUSALS.exec(text)?.[1] ?? null;
}

/** Whether the error says that Redis is away or cannot take the command now, rather than that the command is wrong. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // A host with several addresses fails with an error that has a code and no message.
  const code = 'code' in error ? String(error.code) : '';
  return (
    refusalOf(error) !== null ||
    OUTAGES.test(error.message) ||
    OUTAGES.test(code) ||
    error.name === 'MaxRetriesPerRequestError'
  );
}
