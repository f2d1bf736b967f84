// Redis processes on loopback that belong together, as sentinels or nodes of a cluster do. A test can freeze and kill each of
// them and start it again on its data.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { freePort } from './own-redis.ts';

/** Long, because others may keep the machine busy. */
const READY_LIMIT = 60_000;

/** Settings of a data node that keeps what it has acknowledged. */
export const DURABLE: readonly string[] = [
  'appendonly yes',
  'save ""',
  'maxmemory-policy noeviction',
  'repl-diskless-sync-delay 0',
];

/** PEM files with which all nodes serve TLS alone, and ask for a certificate of the same authority. */
export interface NodeTls {
  cert: string;
  key: string;
}

export interface RedisNode {
  readonly port: number;
  /** Sends SIGSTOP: connections stay open, and nothing is answered until `resume`. */
  freeze(): void;
  resume(): void;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts it again on the same data and settings. */
  start(): Promise<void>;
}

export interface RedisNodes {
  /** Starts one more. @param lines of its configuration, by its port. @param flags after the configuration */
  add(lines: (port: number) => readonly string[], ...flags: string[]): Promise<RedisNode>;
  /** Sends a command to the node with this port. */
  ask<T>(port: number, ...command: [string, ...(string | number)[]]): Promise<T>;
  /** Ends all of them and deletes their data. */
  stop(): Promise<void>;
}

/** Makes a folder for their data. @param user of the nodes that `ask` asks */
export async function openRedisNodes(
  name: string,
  { tls, user }: { tls?: NodeTls | undefined; user?: { username: string; password: string } | undefined },
): Promise<RedisNodes> {
  const dir = await mkdtemp(join(tmpdir(), `biolayer-${name}-`));
  const connection: Omit<RedisOptions, 'replyMapping'> = {
    ...(tls && {
      tls: { ca: readFileSync(tls.cert), cert: readFileSync(tls.cert), key: readFileSync(tls.key) },
    }),
    ...user,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    commandTimeout: 5000,
  };
  const children = new Set<ChildProcess>();
  const nodes: RedisNode[] = [];
  const clients = new Map<number, Redis>();
  const killAll = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', killAll);
  return {
    async add(lines, ...flags) {
      const port = await freePort();
      const file = join(dir, `${port}.conf`);
      const listen = tls
        ? [
            'port 0',
            `tls-port ${port}`,
            `tls-cert-file ${tls.cert}`,
            `tls-key-file ${tls.key}`,
            `tls-ca-cert-file ${tls.cert}`,
            'tls-replication yes',
          ]
        : [`port ${port}`];
      const own = ['bind 127.0.0.1', ...listen, `dir ${dir}`, `appenddirname aof-${port}`];
      await writeFile(file, [...own, `dbfilename dump-${port}.rdb`, ...lines(port), ''].join('\n'));
      let child: ChildProcess | null = null;
      const start = async () => {
        child = spawn('redis-server', [file, ...flags], { stdio: 'ignore' });
        children.add(child);
        await listens(port);
      };
      await start();
      const node: RedisNode = {
        port,
        freeze: () => void child?.kill('SIGSTOP'),
        resume: () => void child?.kill('SIGCONT'),
        async kill() {
          const dying = child;
          child = null;
          if (dying === null) return;
          children.delete(dying);
          const gone = once(dying, 'exit');
          dying.kill('SIGKILL');
          await gone;
        },
        start,
      };
      nodes.push(node);
      return node;
    },
    async ask<T>(port: number, ...command: [string, ...(string | number)[]]) {
      const client = clients.get(port) ?? new Redis(port, '127.0.0.1', connection);
      if (!clients.has(port)) {
        client.on('error', () => undefined);
        client.once('end', () => clients.delete(port));
        clients.set(port, client);
      }
      return (await client.call(...command)) as T;
    },
    async stop() {
      for (const client of clients.values()) client.disconnect();
      for (const one of nodes) one.resume();
      await Promise.all(nodes.map((one) => one.kill()));
      process.removeListener('exit', killAll);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Resolves when `isSo` does to true; an error counts as false. @throws Error when that takes too long */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_LIMIT;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > end) throw new Error(`${what} in time`);
    await sleep(50);
  }
}

/** Resolves when the server accepts connections. */
async function listens(port: number): Promise<void> {
  const end = performance.now() + READY_LIMIT;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    if (performance.now() > end) throw new Error('redis-server did not answer in time');
    await sleep(20);
  }
}
