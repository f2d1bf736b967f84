// A separate Redis, a proxy for it that can hold commands, and worker processes that can be killed or suspended.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PREFIX } from '../../src/runtime/process.ts';
import { newWebhookSecret, orgWrites, webhookSecretContext } from '../../src/store/identity/orgs.ts';
import { RedisClock } from '../../src/store/redis/clock.ts';
import { commit } from '../../src/store/redis/commit.ts';
import { connect, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { freshOrg } from '../support/db.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { sealer, secretsKey } from '../support/processors.ts';
import { type RedisProxy, startRedisProxy } from '../support/redis-proxy.ts';

export interface Stage {
  redis: OwnRedis;
  proxy: RedisProxy;
  /** The store, over a connection of the test. */
  db: Db;
  /** Starts a worker process and waits until it is ready. @param url that of the proxy to hold its commands. */
  startWorker(url?: string): Promise<ChildProcess>;
  /** Processes that were started and not killed. */
  workers(): ChildProcess[];
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(child: ChildProcess): Promise<void>;
  /** An org whose deliveries to callback URLs are signed. */
  signingOrg(): Promise<string>;
  /** Ends everything. */
  close(): Promise<void>;
}

/** Starts Redis and the proxy. */
export async function openStage(): Promise<Stage> {
  const redis = await startOwnRedis();
  const proxy = await startRedisProxy(redis.url);
  const own = connect(readTopology(redis.url), 'patient', () => undefined);
  await whenReady(own);
  const clock = new RedisClock(own);
  await clock.start();
  const db: Db = { redis: own, prefix: PREFIX, clock };
  const children = new Set<ChildProcess>();
  const kill = async (child: ChildProcess) => {
    children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    redis,
    proxy,
    db,
    kill,
    workers: () => [...children],
    async startWorker(url = redis.url) {
      const child = spawn(process.execPath, ['dist/src/worker.js'], {
        env: {
          ...process.env,
          REDIS_URL: url,
          SECRETS_KEY: secretsKey.toString('base64'),
          WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
          LOG_LEVEL: 'error',
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.add(child);
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (line.includes('"msg":"ready"')) resolve();
        });
        child.once('exit', () => reject(new Error('the worker ended before it was ready')));
      });
      return child;
    },
    async signingOrg() {
      const org_id = freshOrg(db);
      const created_at = db.clock.now();
      const sealed = sealer.seal(newWebhookSecret(), webhookSecretContext(org_id));
      const webhook_secrets = [{ sealed, created_at, expires_at: null }];
      const stamps = { created_at, updated_at: created_at };
      await commit(
        db.redis,
        orgWrites(db, 0, {
          org_id,
          version: 1,
          name: 'Org',
          webhook_secrets,
          ...stamps,
        }),
      );
      return org_id;
    },
    async close() {
      await Promise.all([...children].map(kill));
      clock.stop();
      own.disconnect();
      await proxy.close();
      await redis.stop();
    },
  };
}
