// How commands leave this process: those of one turn of the event loop together, and with a time limit where a client waits.

import type { Redis } from 'ioredis';

/** A command of a request connection times out after this, ms. */
export const COMMAND_TIMEOUT = 1500;

type Command = Parameters<Redis['sendCommand']>[0];

/**
 * From now on, sends all commands of one turn of the event loop in one write to the socket; a write for each command costs
 * a busy process a tenth of its time. So concurrent commands share a round trip without a `pipeline()`, whose objects and
 * replies ioredis keeps in memory until the next full garbage collection.
 */
export function batchCommands(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    const socket = redis.stream;
    // Before the connection is ready, its socket may be missing or about to be replaced.
    if (redis.status === 'ready' && socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    return send(command, stream);
  };
}

/**
 * From now on, rejects a command after `COMMAND_TIMEOUT`, but only after this process has read the replies that have
 * arrived: when the event loop was blocked, timers run before sockets are read, and ioredis' own `commandTimeout` would
 * reject commands that Redis has answered in time.
 */
export function limitTime(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  /** Commands of this turn of the event loop. */
  let current: Turn | null = null;
  redis.sendCommand = (command, stream) => {
    if (current === null) {
      const turn = new Turn();
      current = turn;
      // The timer starts when the commands are sent, at the end of this turn.
      setImmediate(() => {
        current = null;
        turn.startTimer();
      });
    }
    current.add(command);
    return send(command, stream);
  };
}

/** One timer for all commands of a turn. */
class Turn {
  readonly #commands: Command[] = [];
  /** How many of them are not settled. */
  #open = 0;
  #timer: NodeJS.Timeout | undefined;

  add(command: Command): void {
    this.#commands.push(command);
    this.#open += 1;
    const settled = () => {
      this.#open -= 1;
      if (this.#open === 0) clearTimeout(this.#timer);
    };
    command.promise.then(settled, settled);
  }

  startTimer(): void {
    if (this.#open > 0) this.#timer = setTimeout(() => setImmediate(() => this.#giveUp()), COMMAND_TIMEOUT);
  }

  #giveUp(): void {
    for (const command of this.#commands)
      if (!command.isResolved) command.reject(new Error('Command timed out'));
  }
}
