// A Redis of the test's own, a wire to it that can be pinched, and real worker processes, to be killed or frozen.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PREFIX } from '../../src/runtime/process.ts';
import { newWebhookSecret, orgWrites, webhookSecretContext } from '../../src/store/identity/orgs.ts';
import { RedisClock } from '../../src/store/redis/clock.ts';
import { commit } from '../../src/store/redis/commit.ts';
import { connect, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { freshOrg } from '../support/db.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { sealer, secretsKey } from '../support/processors.ts';
import { type RedisProxy, startRedisProxy } from '../support/redis-proxy.ts';

export interface Stage {
  redis: OwnRedis;
  wire: RedisProxy;
  /** The store, by a connection of the test's own. */
  db: Db;
  /** A worker process that is ready; `url` of the wire, should that be pinched. */
  startWorker(url?: string): Promise<ChildProcess>;
  /** Those that were started and have not been killed. */
  workers(): ChildProcess[];
  /** SIGKILL; resolves when it is gone. */
  kill(child: ChildProcess): Promise<void>;
  /** An org whose deliveries to callback URLs are signed. */
  signingOrg(): Promise<string>;
  /** Ends all of it. */
  close(): Promise<void>;
}

/** Starts a Redis; the rest as it is asked for. */
export async function openStage(): Promise<Stage> {
  const redis = await startOwnRedis();
  const wire = await startRedisProxy(redis.url);
  const own = connect(redis.url, 'patient', () => undefined);
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
    wire,
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
      await wire.close();
      await redis.stop();
    },
  };
}
