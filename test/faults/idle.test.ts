// What an idle worker process asks of Redis: at most 100 commands a second with the queues in 16 shards.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';

const SECONDS = 30;

test('an idle worker process of 16 shards sends at most 100 commands a second', async () => {
  const own = await startOwnRedis();
  const worker = startProcess(process.execPath, ['dist/src/worker.js'], {
    REDIS_URL: own.url,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    QUEUE_SHARDS: '16',
  });
  await worker.ready;
  const redis = new Redis(own.url);
  // Until the workers have found their queues empty.
  await sleep(5000);
  const monitor = await redis.monitor();
  let sent = 0;
  // The commands that scripts call are not sent by the process.
  monitor.on('monitor', (_time: string, _args: string[], source: string) => {
    if (source !== 'lua') sent += 1;
  });
  await sleep(SECONDS * 1000);
  monitor.disconnect();
  redis.disconnect();
  await own.stop();
  expect(sent / SECONDS).toBeGreaterThan(10);
  expect(sent / SECONDS).toBeLessThan(100);
}, 90_000);
