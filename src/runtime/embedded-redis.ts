/**
 * A private Redis for a process that was given none: found on PATH, started on loopback with a random
 * password, durable, and gone when its owner is gone, however the owner ends.
 *
 * Under `<dir>/redis`: the AOF, `redis.conf`, `redis.log` and the lock of the owner.
 * Under `<dir>`: `secrets.json`, what the environment would else have to give.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';

const SECOND = 1000;
/** Loading a large AOF counts into this. */
const READY_LIMIT = 60 * SECOND;
const STOP_LIMIT = 10 * SECOND;
const PORT_TRIES = 5;
const OLDEST_MAJOR = 7;

export interface EmbeddedRedisOptions {
  /** The data directory (`DATA_DIR`); Redis keeps to its folder `redis`. */
  readonly dir: string;
  readonly appendfsync?: 'always' | 'everysec' | 'no' | undefined;
  /** A random free port unless given. */
  readonly port?: number | undefined;
}

export interface EmbeddedRedis {
  /** With its password. */
  readonly url: string;
  readonly pid: number;
  /** Resolves once Redis has ended and its directory is free again, whoever ended it. */
  readonly ended: Promise<void>;
  /** Lets Redis write out its AOF and end. May be called more than once. */
  stop(): Promise<void>;
}

export interface EmbeddedSecrets {
  /** Base64 of 32 bytes, as `SECRETS_KEY` is. */
  readonly secretsKey: string;
  readonly operatorToken: string;
}

export class EmbeddedRedisError extends Error {
  override readonly name = 'EmbeddedRedisError';
}

/**
 * Starts a private Redis on the data of `dir` and resolves when it answers. It does not keep the calling
 * process alive. Throws an `EmbeddedRedisError` when none is installed or, with the end of its log, when
 * it does not come up, and a `DirectoryInUseError` when another process runs one on the same directory.
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
      // Between our finding a free port and Redis' binding it, somebody else may have taken it.
      if (isPortTaken && options.port === undefined && attempt < PORT_TRIES) continue;
      await lock.release();
      throw error;
    }
  }
}

/** The secrets of an embedded installation: made on the first call for `dir`, the same ever after. */
export async function embeddedSecrets(dir: string): Promise<EmbeddedSecrets> {
  const path = resolve(dir, 'secrets.json');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const fresh: EmbeddedSecrets = {
    secretsKey: randomBytes(32).toString('base64'),
    operatorToken: randomBytes(24).toString('base64url'),
  };
  // A link never replaces: of two first starts one wins, and both go on with the winner's secrets.
  const transition = `${path}.${randomUUID()}`;
  await writeFile(transition, `${JSON.stringify(fresh, null, 2)}\n`, { mode: 0o600 });
  try {
    await link(transition, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(transition);
  }
  return parseSecrets(await readFile(path, 'utf8'), path);
}

function parseSecrets(text: string, path: string): EmbeddedSecrets {
  try {
    const { secretsKey, operatorToken }: Partial<EmbeddedSecrets> = JSON.parse(text);
    if (secretsKey && operatorToken) return { secretsKey, operatorToken };
  } catch {
    // Said below. The parser's own message would quote what it read.
  }
  throw new EmbeddedRedisError(
    `${path} is damaged. Restore it from a backup: without its key the stored secrets cannot be read.`,
  );
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
      'Install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis), ' +
      'or set REDIS_URL to name a Redis that runs already.',
  );
}

/**
 * Forks a watchdog, then becomes Redis, so that Redis is our own child and the watchdog its shadow. The
 * watchdog reads from a pipe (fd 3) into which we write nothing while Redis runs: its end means that we
 * are gone, even by SIGKILL, and Redis is told to end. A line in it means that Redis has ended already,
 * and its pid, perhaps soon another process', is to be left alone.
 */
const RUN_WATCHED = `
  (read -r _ <&3 || kill -TERM $$) &
  exec "$0" "$1" 3<&-
`;

async function launch(
  binary: string,
  home: string,
  lock: DirectoryLock,
  { appendfsync = 'everysec', port: wanted }: EmbeddedRedisOptions,
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
  ];
  const conf = join(home, 'redis.conf');
  await rm(conf, { force: true }); // The mode below counts for a new file alone.
  await writeFile(conf, `${settings.join('\n')}\n`, { mode: 0o600 });

  const log = join(home, 'redis.log');
  const logFd = openSync(log, 'w', 0o600);
  // Detached: a Ctrl-C in the terminal is for us to handle, and we need Redis until we are done.
  const child = spawn('sh', ['-c', RUN_WATCHED, binary, conf], {
    stdio: ['ignore', logFd, logFd, 'pipe'],
    detached: true,
  });
  closeSync(logFd);
  const leash = child.stdio[3];
  if (child.pid === undefined || !(leash instanceof Socket)) {
    const [error] = await once(child, 'error');
    throw new EmbeddedRedisError(`sh, which starts Redis, could not be run: ${error}`);
  }
  lock.addServer(child.pid, url);
  leash.on('error', () => {}); // The watchdog is gone: there is nobody left to tell.
  const exited = once(child, 'exit').then(() => {
    leash.end('\n');
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
  leash.unref();
  const ended = exited.then(() => lock.release());
  return { url, pid: child.pid, ended, stop: () => stop(child, ended) };
}

/** Throws, saying what Redis did instead, unless it answers before it exits or the time is up. */
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

/** Not while it loads its data, and not for a stranger on the same port, who has another password. */
async function answers(url: string): Promise<boolean> {
  const { hostname, port, password } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  socket.setTimeout(SECOND, () => socket.destroy());
  socket.write(`AUTH ${password}\r\nPING\r\nQUIT\r\n`);
  let reply = '';
  try {
    for await (const chunk of socket) reply += chunk;
  } catch {
    return false; // Refused: it does not listen yet.
  }
  return reply.startsWith('+OK\r\n+PONG\r\n');
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.ref();
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT);
  await ended;
  clearTimeout(patience);
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
