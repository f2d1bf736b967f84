// Redis that is away when a process starts, or drops a first connection: BullMQ keeps the failure of its first connection
// for good, so that none of ours may fail.

import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startProcessors } from '../../src/processors/processors.ts';
import { createLog } from '../../src/runtime/log.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { startApi } from '../support/api.ts';
import { openTestDb } from '../support/db.ts';
import { deferred } from '../support/deferred.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { ERRORS_ONLY, sealer } from '../support/processors.ts';
import { testRedisUrl } from '../support/redis.ts';

/** A way to Redis that drops every other connection as soon as it is made. @returns its URL */
async function droppingProxy(): Promise<string> {
  const url = new URL(testRedisUrl());
  const [port, host] = [Number(url.port), url.hostname];
  let connections = 0;
  const proxy = createServer((near) => {
    near.on('error', () => undefined);
    connections += 1;
    if (connections % 2 === 1) return near.destroy();
    const far = createConnection(port, host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one
        .on('error', () => undefined)
        .on('close', () => other.destroy())
        .pipe(other);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => void proxy.close());
  url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return url.href;
}

test('a web process whose Redis comes up after it shows its queues', async () => {
  const redis = await startOwnRedis();
  onTestFinished(() => redis.stop());
  await redis.kill();
  const away = deferred();
  const log = createLog('info', 'test', { write: () => away.open() });
  const starting = startApi({ redisUrl: redis.url, log });
  await away.opened;
  await redis.start();
  const api = await starting;
  onTestFinished(() => api.close());
  const metrics = await api.operator.request('GET', '/metrics');
  expect(metrics.status).toBe(200);
  expect(metrics.text).toContain('biolayer_jobs{queue="lifecycle",state="wait"}');
  expect((await api.operator.request('GET', '/admin/queues/api/queues')).status).toBe(200);
});

test('a worker process whose connections are dropped at first runs the jobs of every queue', async () => {
  const db = await openTestDb();
  const { queues, ...processors } = await startProcessors({
    redis: readTopology(await droppingProxy()),
    prefix: db.prefix,
    sealer,
    webhookAllowedNetworks: [],
    concurrency: 2,
    log: ERRORS_ONLY,
  });
  onTestFinished(() => processors.close());
  for (const queue of Object.values(queues.shards[0].all)) {
    const job = await queue.add('no job', { form: 1 });
    await expect.poll(() => job.getState(), { timeout: 15_000 }).toBe('failed');
  }
});
