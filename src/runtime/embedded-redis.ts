/**
 * A private Redis for a process without REDIS_URL: found on PATH, started on loopback with a random password, durable,
 * and stopped when its owner ends, even if the owner is killed.
 *
 * Under `<dir>/redis`: the AOF, `redis.conf`, `redis.log` and the lock of the owner.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { keepSynced } from './aof-sync.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';

const SECOND = 1000;
/** Longest time from the start to the first answer, ms; loading a large AOF is part of it. */
const READY_LIMIT = 60 * SECOND;
/** After this, ms, Redis is killed. */
const STOP_LIMIT = 10 * SECOND;
const PORT_TRIES = 5;
const OLDEST_MAJOR = 7;

export interface EmbeddedRedisOptions {
  /** The data directory (`DATA_DIR`); Redis uses its folder `redis`. */
  readonly dir: string;
  /** Default: `no`, and the owner syncs the file every second (see aof-sync.ts). */
  readonly appendfsync?: 'always' | 'everysec' | 'no' | undefined;
  /** Default: any free port. */
  readonly port?: number | undefined;
}

export interface EmbeddedRedis {
  /** Includes the password. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when Redis has ended, for whatever reason, and its directory is unlocked. */
  readonly ended: Promise<void>;
  /** Ends Redis after it has written its AOF. May be called more than once. */
  stop(): Promise<void>;
}

/** The embedded Redis cannot run. */
export class EmbeddedRedisError extends Error {
  override readonly name = 'EmbeddedRedisError';
}

/**
 * Starts a private Redis on the data of `dir` and resolves when it answers. It does not keep the calling process alive.
 * @throws EmbeddedRedisError when no server is installed or, with the end of its log, when it does not start.
 * @throws DirectoryInUseError when another process runs one on the same directory.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const home = resolve(options.dir, 'redis');
  const binary = await findServer();
  await mkdir(home, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(home);
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(binary, home, lock, options);
    } catch (error) {
      const isPortTaken = error instanceof Error && /address already in use/i.test(error.message);
      // Another process may bind the port after we found it free and before Redis binds it.
      if (isPortTaken && options.port === undefined && attempt < PORT_TRIES) continue;
      await lock.release();
      throw error;
    }
  }
}

async function findServer(): Promise<string> {
  const tooOld: string[] = [];
  for (const binary of ['redis-server', 'valkey-server']) {
    const shown = await promisify(execFile)(binary, ['--version']).catch(() => undefined);
    if (shown === undefined) continue;
    const [, version = '0'] = /\bv=(\S+)/.exec(shown.stdout) ?? [];
    if (Number.parseInt(version, 10) >= OLDEST_MAJOR) return binary;
    tooOld.push(`${binary} ${version}`);
  }
  const found = tooOld.length > 0 ? `only ${tooOld.join(' and ')} was found` : 'none was found on PATH';
  throw new EmbeddedRedisError(
    `BioLayer needs redis-server or valkey-server ${OLDEST_MAJOR} or newer, and ${found}. ` +
      'Install one (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis), ' +
      'or set REDIS_URL to use a running Redis.',
  );
}

/**
 * Starts a watchdog in the background and then replaces the shell with Redis, so that Redis is our own child. The
 * watchdog reads a pipe (fd 3). The pipe ends when this process ends, even by SIGKILL; the watchdog then terminates
 * Redis. A line in the pipe means that Redis has ended already, so its pid, which may be reused, is not signalled.
 */
const RUN_WATCHED = `
  (read -r _ <&3 || kill -TERM $$) &
  exec "$0" "$1" 3<&-
`;

async function launch(
  binary: string,
  home: string,
  lock: DirectoryLock,
  { appendfsync = 'no', port: wanted }: EmbeddedRedisOptions,
): Promise<EmbeddedRedis> {
  const port = wanted ?? (await freePort());
  const password = randomBytes(24).toString('hex');
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const settings = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(home)}`,
    'appendonly yes',
    `appendfsync ${appendfsync}`,
    'save ""',
    'maxmemory-policy noeviction',
    'hz 100',
    'hash-max-listpack-value 4096',
  ];
  const conf = join(home, 'redis.conf');
  await rm(conf, { force: true }); // The mode below applies only to a new file.
  await writeFile(conf, `${settings.join('\n')}\n`, { mode: 0o600 });

  const log = join(home, 'redis.log');
  const logFd = openSync(log, 'w', 0o600);
  // Detached: Ctrl-C in the terminal must reach only this process, which needs Redis during its shutdown.
  const child = spawn('sh', ['-c', RUN_WATCHED, binary, conf], {
    stdio: ['ignore', logFd, logFd, 'pipe'],
    detached: true,
  });
  closeSync(logFd);
  const watchdogPipe = child.stdio[3];
  if (child.pid === undefined || !(watchdogPipe instanceof Socket)) {
    const [error] = await once(child, 'error');
    throw new EmbeddedRedisError(`Redis could not be started through sh: ${error}`);
  }
  lock.addServer(child.pid);
  watchdogPipe.on('error', () => {}); // The watchdog has ended, so nothing needs to be written.
  const exited = once(child, 'exit').then(() => {
    watchdogPipe.end('\n');
  });

  try {
    await untilReady(url, exited);
  } catch (error) {
    await stop(child, exited);
    const tail = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-15).join('\n');
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedRedisError(`The embedded Redis ${reason}. The end of ${log}:\n${tail}`);
  }
  child.unref();
  watchdogPipe.unref();
  const stopSyncing = appendfsync === 'no' ? keepSynced(join(home, 'appendonlydir')) : () => {};
  const ended = exited.then(() => {
    stopSyncing();
    return lock.release();
  });
  return { url, pid: child.pid, ended, stop: () => stop(child, ended) };
}

/** Resolves when Redis answers. @throws Error that says whether Redis ended or the time was up. */
async function untilReady(url: string, exited: Promise<void>): Promise<void> {
  const decided = new AbortController();
  const { signal } = decided;
  const answering = async () => {
    while (!signal.aborted && !(await answers(url))) await sleep(20);
  };
  try {
    await Promise.race([
      answering(),
      exited.then(() => Promise.reject(new Error('ended while starting'))),
      sleep(READY_LIMIT, undefined, { signal }).then(() =>
        Promise.reject(new Error(`did not answer within ${READY_LIMIT / SECOND} s`)),
      ),
    ]);
  } finally {
    decided.abort();
  }
}

/** Whether our Redis answers: false while it loads its data, and for another server on the port, whose password differs. */
async function answers(url: string): Promise<boolean> {
  const { hostname, port, password } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  socket.setTimeout(SECOND, () => socket.destroy());
  socket.write(`AUTH ${password}\r\nPING\r\nQUIT\r\n`);
  let reply = '';
  try {
    for await (const chunk of socket) reply += chunk;
  } catch {
    return false; // Connection refused: it does not listen yet.
  }
  return reply.startsWith('+OK\r\n+PONG\r\n');
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.ref();
  child.kill('SIGTERM');
  const killTimer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT);
  await ended;
  clearTimeout(killTimer);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return address.port;
}
