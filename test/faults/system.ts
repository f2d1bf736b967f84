// Runs the whole system as processes: a durable Redis, a web process and worker processes. Each can be killed, suspended or
// ended at any moment; as under a supervisor, it is started again.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FakeClocks, openFakeClocks } from '../support/faketime.ts';
import { freePort, startOwnRedis } from '../support/own-redis.ts';
import { type RedisProxy, startRedisProxy } from '../support/redis-proxy.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-trial';

/**
 * In the order of the kills. Worker processes come first: a killed one still holds the leases of its deliveries for 20 s
 * and the locks of its jobs for 10 s, and these expire while the other parts are killed.
 */
export const PARTS = ['worker 1', 'worker 2', 'web', 'redis'] as const;
/** The further workers are started by trials alone. */
export type Part = (typeof PARTS)[number] | 'worker 3' | 'worker 4';
type Signal = 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2';

export interface SystemOptions {
  /** The processes reach Redis through a proxy. */
  proxy?: boolean;
  /** Clients reach the web process through a proxy. */
  webProxy?: boolean;
  /** The clocks of all parts can be set; needs libfaketime. */
  clocks?: boolean;
  /** A command that starts Redis. */
  redisWrapper?: readonly string[];
  /** Variables of single processes. */
  env?: Partial<Record<Part, Record<string, string>>>;
  /** Folder of the compiled sources; default: those of this checkout. */
  dist?: string;
}

export interface System {
  url: string;
  /** A direct URL, also with a proxy. */
  redisUrl: string;
  redisDir: string;
  proxy: RedisProxy | null;
  webProxy: RedisProxy | null;
  /** Clocks by part. */
  clocks: FakeClocks | null;
  /** Kills a part with SIGKILL and starts it again; resolves when it is ready. */
  killAndRestart(part: Part): Promise<void>;
  /** Sends SIGKILL; resolves when it has ended. */
  kill(part: Part): Promise<void>;
  /** Sends SIGTERM to a process; resolves when it has ended. */
  terminate(part: Exclude<Part, 'redis'>): Promise<void>;
  /** Starts a part that has ended, again if it ends before it is ready; resolves when it is. @param dist as in the options. */
  start(part: Part, dist?: string): Promise<void>;
  signal(part: Part, signal: Signal): void;
  pid(part: Part): number;
  /** Whether all parts run. */
  isWhole(): boolean;
  stop(): Promise<void>;
}

const START_LIMIT = 60_000;
const PRELOADED = ['./test/support/shifted-date.mjs', './test/faults/suite/block-event-loop.mjs'];

/** Starts everything. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const clocks = options.clocks ? await openFakeClocks(PARTS) : null;
  const debug = [['enable-debug-command', 'local']] as const;
  const redis = await startOwnRedis(clocks?.envOf('redis'), debug, options.redisWrapper);
  const proxy = options.proxy ? await startRedisProxy(redis.url) : null;
  const port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: proxy?.url ?? redis.url,
    PORT: String(port),
    HOST: '127.0.0.1',
    SECRETS_KEY: Buffer.alloc(32, 5).toString('base64'),
    OPERATOR_TOKEN,
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    LOG_LEVEL: 'error',
  };
  const children = new Map<Part, ChildProcess>();
  const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;
  const start = async (part: Part, dist = options.dist ?? 'dist') => {
    if (part === 'redis') return redis.start();
    const child = children.get(part);
    if (child !== undefined && !hasEnded(child)) return;
    // As under a supervisor: a process ends when Redis cannot be used.
    for (const limit = performance.now() + START_LIMIT; ; await sleep(500))
      try {
        return await startProcess(part, dist);
      } catch (error) {
        if (performance.now() > limit) throw error;
      }
  };
  const startProcess = async (part: Part, dist: string) => {
    const file = part === 'web' ? 'web.js' : 'worker.js';
    const imports = PRELOADED.flatMap((module) => ['--import', module]);
    const child = spawn(process.execPath, [...imports, `${dist}/src/${file}`], {
      env: { ...env, ...clocks?.envOf(part), ...options.env?.[part] },
      stdio: ['ignore', 'pipe', process.env.FAULT_LOGS === undefined ? 'ignore' : 'inherit'],
    });
    children.set(part, child);
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"msg":"ready"')) resolve();
        else if (process.env.FAULT_LOGS !== undefined) console.log(`${part}: ${line}`);
      });
    });
    const ended = once(child, 'exit').then(() =>
      Promise.reject(new Error(`${part} ended before it was ready`)),
    );
    await Promise.race([ready, ended]);
    // After this, only a test ends it.
    ended.catch(() => undefined);
  };
  const end = async (part: Part, signal: 'SIGKILL' | 'SIGTERM') => {
    const child = children.get(part);
    if (child === undefined || hasEnded(child)) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  const kill = (part: Part) => (part === 'redis' ? redis.kill() : end(part, 'SIGKILL'));
  await Promise.all([start('web'), start('worker 1'), start('worker 2')]);
  const webUrl = `http://127.0.0.1:${port}`;
  const webProxy = options.webProxy ? await startRedisProxy(webUrl) : null;
  return {
    url: webProxy === null ? webUrl : new URL(webProxy.url).origin,
    webProxy,
    clocks,
    redisUrl: redis.url,
    redisDir: redis.dir,
    proxy,
    kill,
    start,
    terminate: (part) => end(part, 'SIGTERM'),
    async killAndRestart(part) {
      await kill(part);
      await start(part);
    },
    signal(part, signal) {
      if (part !== 'redis') children.get(part)?.kill(signal);
      else if (signal === 'SIGSTOP') redis.freeze();
      else redis.resume();
    },
    pid(part) {
      const pid = part === 'redis' ? redis.pid() : children.get(part)?.pid;
      if (pid === undefined) throw new Error(`${part} does not run`);
      return pid;
    },
    isWhole: () =>
      PARTS.every((part) => {
        if (part === 'redis') return redis.pid() !== undefined;
        const child = children.get(part);
        return child !== undefined && !hasEnded(child);
      }),
    async stop() {
      await Promise.all([...children.keys()].map(kill));
      await Promise.all([proxy?.close(), webProxy?.close()]);
      await redis.stop();
      await clocks?.remove();
    },
  };
}
