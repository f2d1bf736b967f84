// What an idle worker process asks of Redis: at most 100 commands a second with the queues in 16 shards, also on a cluster.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { startCluster } from '../support/cluster.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';

const SECONDS = 30;

/** Commands a second that an idle worker process sends to these servers. */
async function sentBySecond(url: string, servers: readonly string[]): Promise<number> {
  const worker = startProcess(process.execPath, ['dist/src/worker.js'], {
    REDIS_URL: url,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    QUEUE_SHARDS: '16',
  });
  await worker.ready;
  // Until the workers have found their queues empty.
  await sleep(5000);
  let sent = 0;
  for (const server of servers) {
    const redis = new Redis(server);
    const monitor = await redis.monitor();
    // The commands that scripts call are not sent by the process.
    monitor.on('monitor', (_time: string, _args: string[], source: string) => {
      if (source !== 'lua') sent += 1;
    });
    onTestFinished(() => {
      monitor.disconnect();
      redis.disconnect();
    });
  }
  await sleep(SECONDS * 1000);
  return sent / SECONDS;
}

test('an idle worker process of 16 shards sends at most 100 commands a second', async () => {
  const own = await startOwnRedis();
  onTestFinished(() => own.stop());
  const sent = await sentBySecond(own.url, [own.url]);
  expect(sent).toBeGreaterThan(10);
  expect(sent).toBeLessThan(100);
}, 90_000);

test('on a cluster too', async () => {
  const cluster = await startCluster({ replicas: 0 });
  onTestFinished(() => cluster.stop());
  const servers = cluster.nodes.map(({ port }) => `redis://127.0.0.1:${port}`);
  const sent = await sentBySecond(cluster.url, servers);
  expect(sent).toBeGreaterThan(10);
  expect(sent).toBeLessThan(100);
}, 120_000);
