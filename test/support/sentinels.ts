// A primary with replicas and three sentinels on loopback, as processes that a test can freeze and kill.
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

const GROUP = 'mymaster';
const READY_LIMIT = 15_000;

interface RedisNode {
  readonly port: number;
  /** Sends SIGSTOP: connections stay open, and nothing is answered until `resume`. */
  freeze(): void;
  resume(): void;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts it again on the same data and settings. */
  start(): Promise<void>;
}

export interface SentinelSystem {
  /** A `REDIS_URL`, without credentials. */
  readonly url: string;
  readonly replicas: number;
  readonly nodes: readonly RedisNode[];
  readonly sentinels: readonly RedisNode[];
  /** The node that the sentinels name as the primary. */
  primary(): Promise<RedisNode>;
  /** Makes a replica the primary by hand. */
  failOver(): Promise<void>;
  /** Ends all processes and deletes their data. */
  stop(): Promise<void>;
}

export interface SentinelOptions {
  replicas?: number;
  /** Lines for the configuration of every data node, and of every sentinel. */
  settings?: readonly string[];
  sentinelSettings?: readonly string[];
  /** PEM files with which all serve TLS alone, and ask for a certificate of the same authority. */
  tls?: { cert: string; key: string };
  /** User and password of the sentinels, for the helper itself. */
  sentinelUser?: { username: string; password: string };
}

/** Starts them; resolves when all sentinels know the replicas and each other. */
export async function startSentinels(options: SentinelOptions = {}): Promise<SentinelSystem> {
  const { replicas = 2, settings = [], sentinelSettings = [], tls } = options;
  const connection: Omit<RedisOptions, 'replyMapping'> = {
    ...(tls && {
      tls: { ca: readFileSync(tls.cert), cert: readFileSync(tls.cert), key: readFileSync(tls.key) },
    }),
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    commandTimeout: 1000,
  };
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-sentinels-'));
  const children = new Set<ChildProcess>();
  const killAll = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', killAll);

  const node = async (lines: (port: number) => readonly string[], ...flags: string[]): Promise<RedisNode> => {
    const port = await freePort();
    const file = join(dir, `${port}.conf`);
    const listen = tls
      ? [
          `port 0`,
          `tls-port ${port}`,
          `tls-cert-file ${tls.cert}`,
          `tls-key-file ${tls.key}`,
          `tls-ca-cert-file ${tls.cert}`,
          'tls-replication yes',
        ]
      : [`port ${port}`];
    const own = [`bind 127.0.0.1`, ...listen, `dir ${dir}`, `appenddirname aof-${port}`];
    await writeFile(file, [...own, `dbfilename dump-${port}.rdb`, ...lines(port), ''].join('\n'));
    let child: ChildProcess | null = null;
    const start = async () => {
      child = spawn('redis-server', [file, ...flags], { stdio: 'ignore' });
      children.add(child);
      await listens(port);
    };
    await start();
    return {
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
  };

  const durable = ['appendonly yes', 'save ""', 'maxmemory-policy noeviction', 'repl-diskless-sync-delay 0'];
  const first = await node(() => [...durable, ...settings]);
  const nodes = [first];
  for (let count = 0; count < replicas; count += 1)
    nodes.push(await node(() => [...durable, `replicaof 127.0.0.1 ${first.port}`, ...settings]));
  const sentinels: RedisNode[] = [];
  for (let count = 0; count < 3; count += 1)
    sentinels.push(
      await node(
        () => [
          `sentinel monitor ${GROUP} 127.0.0.1 ${first.port} 2`,
          `sentinel down-after-milliseconds ${GROUP} 1000`,
          `sentinel failover-timeout ${GROUP} 3000`,
          `sentinel parallel-syncs ${GROUP} 2`,
          ...sentinelSettings,
        ],
        '--sentinel',
      ),
    );
  const ask = async <T>(port: number, ...command: [string, ...string[]]): Promise<T> => {
    const client = new Redis(port, '127.0.0.1', { ...connection, ...options.sentinelUser });
    client.on('error', () => undefined);
    try {
      return (await client.call(...command)) as T;
    } finally {
      client.disconnect();
    }
  };
  const until = async (isSo: () => Promise<boolean>) => {
    const end = performance.now() + READY_LIMIT;
    while (!(await isSo().catch(() => false))) {
      if (performance.now() > end) throw new Error('the sentinels are not ready in time');
      await sleep(50);
    }
  };
  await Promise.all(
    sentinels.map(({ port }) =>
      until(async () => {
        const fields = await ask<string[]>(port, 'SENTINEL', 'MASTER', GROUP);
        const of = (name: string) => Number(fields[fields.indexOf(name) + 1]);
        if (of('num-slaves') < replicas || of('num-other-sentinels') < 2) return false;
        const known = await ask<string[][]>(port, 'SENTINEL', 'REPLICAS', GROUP);
        return known.every((one) => one[one.indexOf('master-link-status') + 1] === 'ok');
      }),
    ),
  );

  const addressOfPrimary = async () => {
    // The first one may be frozen.
    for (const { port } of sentinels.toReversed()) {
      const address = await ask<string[]>(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP).catch(
        () => null,
      );
      if (address !== null) return Number(address[1]);
    }
    throw new Error('no sentinel answers');
  };
  return {
    url: `${tls ? 'rediss' : 'redis'}+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${GROUP}`,
    replicas,
    nodes,
    sentinels,
    async primary() {
      const port = await addressOfPrimary();
      const found = nodes.find((one) => one.port === port);
      if (found === undefined) throw new Error(`no node has port ${port}`);
      return found;
    },
    async failOver() {
      const before = await addressOfPrimary();
      await ask(sentinels.at(-1)?.port ?? 0, 'SENTINEL', 'FAILOVER', GROUP);
      await until(async () => (await addressOfPrimary()) !== before);
    },
    async stop() {
      for (const one of [...nodes, ...sentinels]) one.resume();
      await Promise.all([...nodes, ...sentinels].map((one) => one.kill()));
      process.removeListener('exit', killAll);
      await rm(dir, { recursive: true, force: true });
    },
  };
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
