// A separate, durable Redis that a test can stop, kill and restart on the same port and data. Acknowledged writes survive
// a SIGKILL.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface OwnRedis {
  readonly url: string;
  readonly port: number;
  /** The folder of its data. */
  readonly dir: string;
  /** Undefined while it does not run. */
  pid(): number | undefined;
  /** Sends SIGSTOP: connections stay open, and nothing is answered until `resume`. */
  freeze(): void;
  resume(): void;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts it again on the same data; resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and deletes its data. */
  stop(): Promise<void>;
}

const READY_LIMIT = 30_000;

/** A free port of loopback. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return address.port;
}

/**
 * Starts a Redis with AOF.
 * @param env variables in addition to those of this process. @param more settings besides those that all tests need.
 * @param wrapper a command, with its arguments, that executes the command line after it.
 */
export async function startOwnRedis(
  env: Readonly<Record<string, string>> = {},
  more: readonly (readonly [name: string, value: string])[] = [],
  wrapper: readonly string[] = [],
): Promise<OwnRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-own-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;

  const killAtExit = () => {
    child?.kill('SIGKILL');
  };
  process.once('exit', killAtExit);

  const settings = [
    ['bind', '127.0.0.1'],
    ['port', String(port)],
    ['dir', dir],
    ['appendonly', 'yes'],
    ['save', ''],
    ['maxmemory-policy', 'noeviction'],
    ['hz', '100'],
    ['hash-max-listpack-value', '4096'],
    ['tcp-backlog', '128'],
    ...more,
  ];
  const start = async () => {
    const flags = settings.flatMap(([name, value]) => [`--${name}`, value ?? '']);
    const [command = 'redis-server', ...args] = [...wrapper, 'redis-server', ...flags];
    const started = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } });
    child = started;
    const probe = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    probe.on('error', () => undefined);
    try {
      const ready = (async () => {
        // While it loads its data it answers PING with an error.
        while ((await probe.ping().catch(() => null)) !== 'PONG') await sleep(20);
      })();
      const ended = once(started, 'exit').then(() => Promise.reject(new Error('redis-server ended')));
      const late = sleep(READY_LIMIT, undefined, { ref: false }).then(() =>
        Promise.reject(new Error('redis-server did not answer in time')),
      );
      await Promise.race([ready, ended, late]);
    } finally {
      probe.disconnect();
    }
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    const dying = child;
    child = null;
    if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = once(dying, 'exit');
    dying.kill(signal);
    await gone;
  };

  await start();
  return {
    url,
    port,
    dir,
    pid: () => child?.pid,
    freeze: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      child?.kill('SIGCONT');
      await end('SIGKILL');
      process.removeListener('exit', killAtExit);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
