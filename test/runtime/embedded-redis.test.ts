// The embedded Redis on real servers: its settings, what its data survive, that it never outlives its owner, and that two
// servers never use the same data.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  watch,
  writeFile,
} from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DirectoryInUseError } from '../../src/runtime/directory-lock.ts';
import {
  type EmbeddedRedis,
  EmbeddedRedisError,
  type EmbeddedRedisOptions,
  startEmbeddedRedis,
} from '../../src/runtime/embedded-redis.ts';
import { type EmbeddedOwner, startEmbeddedOwner } from '../support/embedded-owner.ts';

let dir: string;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'biolayer-embedded-'));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await expectNoProcesses();
  await rm(dir, { recursive: true });
});

async function start(options: Partial<EmbeddedRedisOptions> = {}): Promise<EmbeddedRedis> {
  const redis = await startEmbeddedRedis({ dir, ...options });
  cleanups.push(redis.stop);
  return redis;
}

async function connect(url: string): Promise<Redis> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {});
  cleanups.push(() => client.disconnect());
  await client.connect();
  return client;
}

async function setting(client: Redis, name: string): Promise<unknown> {
  const reply = await client.config('GET', name);
  return Array.isArray(reply) ? reply[1] : undefined;
}

/** `lost` resolves when the server has ended; it also works while the server is stopped. */
async function connectionTo(url: string): Promise<{ lost: Promise<unknown> }> {
  const socket = createConnection(Number(new URL(url).port), '127.0.0.1').resume();
  await once(socket, 'connect');
  return { lost: once(socket, 'close') };
}

/** Expects that neither Redis nor its watchdog runs; both write to the log under `dir`. */
async function expectNoProcesses(): Promise<void> {
  if (!existsSync('/proc')) return;
  await vi.waitFor(async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const open = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/fd/1`).catch(() => '')));
    expect(open.filter((path) => path.startsWith(dir))).toEqual([]);
  }, 10_000);
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already, as expected.
  }
}

/** Resolves after `times` events (creation or deletion) of files with that prefix in Redis' folder. */
async function appearances(prefix: string, times: number): Promise<void> {
  let seen = 0;
  for await (const { filename } of watch(join(dir, 'redis'))) {
    if (filename?.startsWith(prefix) && ++seen === times) return;
  }
}

/** Starts another process with a Redis on `dir`; killed at the end of the test. */
async function own(rest?: string): Promise<EmbeddedOwner> {
  const owner = await startEmbeddedOwner(dir, rest);
  cleanups.push(() => owner.process.kill('SIGKILL'));
  return owner;
}

async function lockFiles(): Promise<string[]> {
  return (await readdir(join(dir, 'redis'))).filter((name) => name.startsWith('lock-'));
}

describe('an embedded Redis', () => {
  it('is durable, evicts nothing and fires timers on time', async () => {
    const client = await connect((await start()).url);
    expect(await setting(client, 'appendonly')).toBe('yes');
    expect(await setting(client, 'appendfsync')).toBe('no'); // Its owner syncs; see aof-sync.ts.
    expect(await setting(client, 'save')).toBe('');
    expect(await setting(client, 'maxmemory-policy')).toBe('noeviction');
    expect(await setting(client, 'hz')).toBe('100');
    expect(await setting(client, 'hash-max-listpack-value')).toBe('4096');
    expect(await setting(client, 'bind')).toBe('127.0.0.1');
    expect(await setting(client, 'dir')).toBe(join(dir, 'redis'));
  });

  it('accepts a port and an fsync policy', async () => {
    const { url } = await start();
    const port = Number(new URL(url).port);
    const other = join(dir, 'other');
    await expect(startEmbeddedRedis({ dir: other, port })).rejects.toThrow(/address already in use/i);

    const second = await start({ dir: other, appendfsync: 'always' });
    expect(await setting(await connect(second.url), 'appendfsync')).toBe('always');
  });

  it('requires its password, which neither the command line nor other users can see', async () => {
    const { url, pid } = await start();
    const { hostname, port, password } = new URL(url);
    const client = createConnection(Number(port), hostname).setEncoding('utf8');
    client.write('GET key\r\nQUIT\r\n');
    expect((await client.toArray()).join('')).toMatch(/^-NOAUTH/);
    expect((await stat(join(dir, 'redis', 'redis.conf'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, 'redis'))).mode & 0o777).toBe(0o700);
    for (const name of await lockFiles())
      expect((await stat(join(dir, 'redis', name))).mode & 0o777).toBe(0o600);
    if (existsSync('/proc')) expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password);
  });
});

describe('the data', () => {
  it('survive a stop', async () => {
    const first = await start();
    await (await connect(first.url)).set('kept', 'yes');
    await first.stop();
    expect(await (await connect((await start()).url)).get('kept')).toBe('yes');
  });

  it('survive a kill -9 of Redis', async () => {
    const first = await start();
    const client = await connect(first.url);
    for (let i = 0; i < 1000; i++) await client.set(`kept:${i}`, i);
    process.kill(first.pid, 'SIGKILL');
    await first.ended;

    const second = await connect((await start()).url);
    expect(await second.dbsize()).toBe(1000);
    expect(await second.get('kept:999')).toBe('999');
  });

  it('survive a kill -9 of the owner', async () => {
    const killed = await own();
    await (await connect(killed.redis.url)).set('kept', 'yes');
    killed.process.kill('SIGKILL');
    expect(await (await connect((await start()).url)).get('kept')).toBe('yes');
  });
});

describe('its end', () => {
  it('can be requested twice, and leaves no process and no lock', async () => {
    const redis = await start();
    await Promise.all([redis.stop(), redis.stop()]);
    await redis.stop();
    await redis.ended;
    expect(await lockFiles()).toEqual([]);
    await expectNoProcesses();
  });

  it('by kill -9 of Redis leaves no process and no lock', async () => {
    const redis = await start();
    process.kill(redis.pid, 'SIGKILL');
    await redis.ended;
    expect(await lockFiles()).toEqual([]);
    await expectNoProcesses();
    await redis.stop();
  });

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('follows the end of its owner by %s', async (signal) => {
    const owner = await own();
    const { lost } = await connectionTo(owner.redis.url);
    owner.process.kill(signal);
    await lost;
    await expectNoProcesses();
    expect(await readFile(join(dir, 'redis', 'redis.log'), 'utf8')).toMatch(/ready to exit/);
  });

  it('does not follow a Ctrl-C that its owner handles', async () => {
    const owner = await own(
      "process.on('SIGINT', () => redis.stop().then(() => console.log('stopped'))); setInterval(() => {}, 60_000);",
    );
    const printed = once(owner.output, 'line');
    process.kill(-owner.pid, 'SIGINT'); // As a terminal does: the whole group at once.
    expect(await printed).toEqual(['stopped']);
    const log = await readFile(join(dir, 'redis', 'redis.log'), 'utf8');
    expect(log).toMatch(/Received SIGTERM/);
    expect(log).not.toMatch(/Received SIGINT/);
  });

  it('does not delay the exit of an owner with nothing left to do', async () => {
    const owner = await own('');
    expect(await once(owner.process, 'exit')).toEqual([0, null]);
  });

  it('can be awaited by an owner with nothing else to do', async () => {
    const owner = await own('await redis.stop();');
    expect(await once(owner.process, 'exit')).toEqual([0, null]);
    expect(await lockFiles()).toEqual([]);
  });
});

describe('a second embedded Redis on the same data', () => {
  it('is refused with the pid of the owner', async () => {
    const owner = await own();
    const refused = startEmbeddedRedis({ dir });
    await expect(refused).rejects.toThrow(DirectoryInUseError);
    await expect(refused).rejects.toThrow(`in use by another BioLayer (process ${owner.pid})`);
    expect(await (await connect(owner.redis.url)).ping()).toBe('PONG');
  });

  it('takes over a stale lock', async () => {
    const owner = await own();
    const stale = await lockFiles();
    const died = once(owner.process, 'exit');
    owner.process.kill('SIGKILL');
    await died;
    await start();
    expect(stale).toHaveLength(1);
    expect(await lockFiles()).toEqual([expect.stringContaining(`lock-${process.pid}-`)]);
  });

  it('waits for the Redis of a killed owner to end', async () => {
    const owner = await own();
    const { lost } = await connectionTo(owner.redis.url);
    process.kill(owner.redis.pid, 'SIGSTOP'); // It cannot end, although its owner is dead.
    cleanups.push(() => trySignal(owner.redis.pid, 'SIGCONT'));
    const died = once(owner.process, 'exit');
    owner.process.kill('SIGKILL');
    await died;

    const order: string[] = [];
    const checkedTwice = appearances(`lock-${process.pid}-`, 3);
    const next = start().then(() => order.push('second started'));
    const first = lost.then(() => order.push('first ended'));
    await checkedTwice;
    order.push('checked twice');
    process.kill(owner.redis.pid, 'SIGCONT');
    await Promise.all([first, next]);
    expect(order).toEqual(['checked twice', 'first ended', 'second started']);
  });
});

describe('an embedded Redis that cannot start', () => {
  it('reports the end of its log, and releases the directory', async () => {
    const manifest = join(dir, 'redis', 'appendonlydir', 'appendonly.aof.manifest');
    await mkdir(join(manifest, '..'), { recursive: true });
    await writeFile(manifest, 'nonsense\n');
    const failed = startEmbeddedRedis({ dir });
    await expect(failed).rejects.toThrow(EmbeddedRedisError);
    await expect(failed).rejects.toThrow(/ended while starting.*redis\.log.*AOF manifest/is);
    expect(await lockFiles()).toEqual([]);

    await rm(manifest);
    await start();
  });

  it.each([
    ['there is none', undefined, /none was found on PATH.*apt-get install redis-server.*REDIS_URL/],
    ['there is only an old one', 'Redis server v=6.0.16 sha=0', /only redis-server 6\.0\.16 was found/],
    ['its version is not readable', 'hello', /only redis-server 0 was found/],
  ])('reports the remedy when %s', async (_, version, message) => {
    const bin = join(dir, 'bin');
    await mkdir(bin);
    if (version) {
      await writeFile(join(bin, 'redis-server'), `#!/bin/sh\necho '${version}'\n`);
      await chmod(join(bin, 'redis-server'), 0o755);
    }
    vi.stubEnv('PATH', bin);
    cleanups.push(() => vi.unstubAllEnvs());
    await expect(startEmbeddedRedis({ dir })).rejects.toThrow(message);
  });
});
