// A Redis whose memory runs short: creates are refused while there is still room, and what exists is finished. When it is
// full, nothing is repeated at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, createOrg, createPool, type Page, startApi, type TestApi } from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const SOON = { timeout: 20_000, interval: 50 };

describe('memory that runs short', { timeout: 60_000 }, () => {
  let redis: OwnRedis;
  let api: TestApi;
  let client: Client;
  let worker: TestWorker;
  beforeAll(async () => {
    redis = await startOwnRedis();
    api = await startApi({ redisUrl: redis.url, processors: true, web: { memoryHighWater: 80 } });
    ({ client } = await createOrg(api));
    const pool_id = await createPool(client);
    worker = await createTestWorker(api, client, { pool_ids: [pool_id], skills: ['looking'], capacity: 5 });
  });
  afterAll(async () => {
    await api.close();
    await redis.stop();
  });

  /** Sets `maxmemory` so that this share of it is used now; null for no limit. */
  async function fill(share: number | null): Promise<void> {
    const used = Number(/used_memory:(\d+)/.exec(await api.redis.info('memory'))?.[1]);
    await api.redis.config('SET', 'maxmemory', share === null ? 0 : Math.round(used / share));
  }
  const body = () => taskBody({ requirements: { skills: ['looking'] } });
  const readiness = async () => (await api.client(null).request('GET', '/readyz')).as<unknown>();

  it('refuses creates from the high-water mark on, and finishes what exists', async () => {
    const { task_id } = await client.post<{ task_id: string }>('/v1/tasks', body());
    await worker.accept(task_id);
    await fill(0.9);
    await expect.poll(readiness, SOON).toMatchObject({ status: 'degraded', memory: 'high' });
    const refused = await client.request('POST', '/v1/tasks', { body: body() });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(refused.as()).toMatchObject({
      code: 'unavailable',
      detail: expect.stringMatching(/^The storage/),
    });
    const batch = await client.request('POST', '/v1/tasks/batch', { body: { tasks: [body()] } });
    expect(batch.status).toBe(503);
    expect((await client.request('POST', '/v1/pools', { body: {} })).status).toBe(503);
    const { text } = await api.operator.request('GET', '/metrics');
    expect(text).toMatch(/^biolayer_creates_refused 1$/m);
    await worker.start(task_id);
    await worker.submit(task_id);
    const statusOf = async () => (await client.get<{ status: string }>(`/v1/tasks/${task_id}`)).status;
    await expect.poll(statusOf, SOON).toBe('completed');
    await fill(null);
    await expect.poll(readiness, SOON).toEqual({ status: 'ok' });
    await client.post('/v1/tasks', body());
  });

  it('does not repeat at once what a full Redis refuses, and goes on by itself', async () => {
    const { worker_id, client: own } = worker;
    const offers = async () => (await own.get<Page<unknown>>('/v1/worker/offers')).data.length;
    const before = await offers();
    // Far more than the processors have done when Redis is full.
    const timed = () => ({ ...body(), sla: { urgency: 'high', target_latency_seconds: 1 } });
    await client.post('/v1/tasks/batch', { tasks: Array.from({ length: 500 }, timed) });
    await fill(2);
    const rounds: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      await api.redis.config('RESETSTAT');
      await sleep(500);
      rounds.push(Number(/total_commands_processed:(\d+)/.exec(await api.redis.info('stats'))?.[1]));
    }
    // A worker that repeats at once sends five thousand. A look at all partitions is 256 commands within a script.
    expect(rounds.at(-1)).toBeLessThan(1000);
    await fill(null);
    await client.patch(`/v1/workers/${worker_id}`, { capacity: before + 10 });
    await expect.poll(offers, SOON).toBe(before + 10);
  });
});
