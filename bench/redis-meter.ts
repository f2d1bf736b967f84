// Counts what Redis does, exactly: commands (those within scripts included), socket reads (round trips), bytes and CPU
// time, without what the meter itself costs.

import type { Redis } from 'ioredis';
import type { Cost } from './measures.ts';
import { isRunning } from './processes.ts';

interface Reading extends Cost {
  /** CPU microseconds of the Redis process. */
  cpu_us: number;
  /** Connections that wait in a blocking command: all of them, in an idle system. */
  blocked: number;
}

export type Used = Omit<Reading, 'blocked'>;

const SECTIONS = ['stats', 'clients', 'cpu'] as const;
const REQUEST = Buffer.byteLength(
  `*${SECTIONS.length + 1}\r\n${['info', ...SECTIONS].map((one) => `$${one.length}\r\n${one}\r\n`).join('')}`,
);
/** A system is idle when nothing changed in this many readings in a row, this many milliseconds apart. */
const STILL = 3;
const PAUSE_MS = 6;
const LIMIT_MS = 20_000;

export class RedisMeter {
  readonly #redis: Redis;
  readonly #pids: readonly number[];
  /** What the readings so far have cost, as the next reading will find it. */
  #own: Used = { commands: 0, round_trips: 0, bytes_in: 0, bytes_out: 0, cpu_us: 0 };
  #idleBlocked = 0;
  #cpuOfReading = 0;

  private constructor(redis: Redis, pids: readonly number[]) {
    this.#redis = redis;
    this.#pids = pids;
  }

  /**
   * A meter for a system that is idle now, on a connection that nothing else uses.
   * @param pids the processes of the system
   */
  static async start(redis: Redis, pids: readonly number[]): Promise<RedisMeter> {
    const meter = new RedisMeter(redis, pids);
    // The highest number is that of an idle system: periodic tasks unblock some connections for a moment.
    const before = await meter.#read();
    const readings = 50;
    let last = before;
    for (let count = 0; count < readings; count += 1) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      last = await meter.#read();
      meter.#idleBlocked = Math.max(meter.#idleBlocked, last.blocked);
    }
    meter.#cpuOfReading = (last.cpu_us - before.cpu_us) / readings;
    return meter;
  }

  /**
   * What `work` costs, and all that follows from it until the system is idle again.
   * @param isStopped whether a process is stopped, so that its connections do not wait again
   */
  async measure(work: () => unknown, isStopped: boolean): Promise<Used> {
    const before = await this.#read();
    await work();
    const after = await this.idle(isStopped);
    const of = (name: keyof Used) => after[name] - before[name];
    return {
      commands: of('commands'),
      round_trips: of('round_trips'),
      bytes_in: of('bytes_in'),
      bytes_out: of('bytes_out'),
      cpu_us: of('cpu_us'),
    };
  }

  /** Waits until the system is idle: no process runs, and Redis has nothing to do. @throws Error after 20 seconds. */
  async idle(isStopped = false): Promise<Used> {
    let last = await this.#read();
    let still = 0;
    for (const end = performance.now() + LIMIT_MS; performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const running = await Promise.all(this.#pids.map(isRunning));
      const now = await this.#read();
      const waits = isStopped || now.blocked >= this.#idleBlocked;
      still = waits && !running.includes(true) && now.commands === last.commands ? still + 1 : 0;
      last = now;
      if (still === STILL) return last;
    }
    throw new Error('the system did not become idle within 20 seconds');
  }

  async #read(): Promise<Reading> {
    // A reading finds its own request, but not yet its command and its reply.
    this.#own.round_trips += 1;
    this.#own.bytes_in += REQUEST;
    const text = await this.#redis.info(...SECTIONS);
    const read = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? 0);
    const reading: Reading = {
      commands: read('total_commands_processed') - this.#own.commands,
      round_trips: read('total_reads_processed') - this.#own.round_trips,
      bytes_in: read('total_net_input_bytes') - this.#own.bytes_in,
      bytes_out: read('total_net_output_bytes') - this.#own.bytes_out,
      cpu_us: (read('used_cpu_user') + read('used_cpu_sys')) * 1e6 - this.#own.cpu_us,
      blocked: read('blocked_clients'),
    };
    const size = Buffer.byteLength(text);
    this.#own.commands += 1;
    this.#own.bytes_out += size + `$${size}\r\n\r\n`.length;
    this.#own.cpu_us += this.#cpuOfReading;
    return reading;
  }
}
