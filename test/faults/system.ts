// Runs the whole system as processes: a durable Redis, a web process and two worker processes. Each can be killed at any
// moment and is restarted at once, as under a supervisor.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort, startOwnRedis } from '../support/own-redis.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-trial';

/**
 * In the order of the kills. Worker processes come first: a killed one still holds the leases of its deliveries for 20 s
 * and the locks of its jobs for 10 s, and these expire while the other parts are killed.
 */
export const PARTS = ['worker 1', 'worker 2', 'web', 'redis'] as const;
export type Part = (typeof PARTS)[number];

export interface System {
  url: string;
  redisUrl: string;
  /** Kills a part with SIGKILL and starts it again; resolves when it is ready. */
  killAndRestart(part: Part): Promise<void>;
  stop(): Promise<void>;
}

/** Starts everything. */
export async function startSystem(): Promise<System> {
  const redis = await startOwnRedis();
  const port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: redis.url,
    PORT: String(port),
    HOST: '127.0.0.1',
    SECRETS_KEY: Buffer.alloc(32, 5).toString('base64'),
    OPERATOR_TOKEN,
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    LOG_LEVEL: 'error',
  };
  const children = new Map<Part, ChildProcess>();
  const start = async (part: Exclude<Part, 'redis'>) => {
    const file = part === 'web' ? 'dist/src/web.js' : 'dist/src/worker.js';
    const child = spawn(process.execPath, [file], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.set(part, child);
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"msg":"ready"')) resolve();
      });
    });
    const ended = once(child, 'exit').then(() =>
      Promise.reject(new Error(`${part} ended before it was ready`)),
    );
    await Promise.race([ready, ended]);
    // After this, only a test ends it.
    ended.catch(() => undefined);
  };
  const kill = async (part: Part) => {
    const child = children.get(part);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  await Promise.all([start('web'), start('worker 1'), start('worker 2')]);
  return {
    url: `http://127.0.0.1:${port}`,
    redisUrl: redis.url,
    async killAndRestart(part) {
      if (part === 'redis') {
        await redis.kill();
        await redis.start();
        return;
      }
      await kill(part);
      await start(part);
    },
    async stop() {
      await Promise.all([...children.keys()].map(kill));
      await redis.stop();
    },
  };
}
