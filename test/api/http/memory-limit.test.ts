// Redis at its memory limit: writes are rejected with 503 and leave nothing half-written, reads continue, and writes work
// again once there is room.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUOTAS } from '../../../src/config.ts';
import {
  type Client,
  createOrg,
  createPool,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { snapshot } from '../../support/snapshot.ts';
import { taskBody } from '../../support/workers.ts';

let redis: OwnRedis;
let api: TestApi;
let client: Client;

beforeAll(async () => {
  redis = await startOwnRedis();
  // Without processors, so that only requests write. Nothing is refused by the API before Redis refuses it.
  api = await startApi({ redisUrl: redis.url, web: { quotas: QUOTAS, memoryHighWater: 1e6 } });
  client = (await createOrg(api)).client;
});

afterAll(async () => {
  await api.close();
  await redis.stop();
});

test('writes return 503 and write nothing, reads continue, and writes recover', async () => {
  const poolId = await createPool(client);
  const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody());
  const { paths } = await client.get<{ paths: Record<string, { get?: unknown }> }>('/openapi.json');
  const reads = Object.keys(paths)
    .filter((path) => paths[path]?.get !== undefined && !path.endsWith('/stream'))
    .map((path) => path.replace('{task_id}', task_id).replace('{pool_id}', poolId))
    .filter((path) => !path.includes('{'));
  const statusOf = async (path: string) => {
    const caller = path.startsWith('/admin/') ? api.operator : client;
    return `${path} ${(await caller.request('GET', path)).status}`;
  };
  const readBefore = await Promise.all(reads.map(statusOf));
  expect(readBefore).toEqual(expect.arrayContaining(['/v1/stats 200', '/v1/tasks 200', '/admin/orgs 200']));
  const before = await snapshot(api.redis, api.prefix);
  await api.redis.config('SET', 'maxmemory', '1mb');

  const key = { headers: { 'Idempotency-Key': 'full' } };
  const writes = [
    () => client.request('POST', '/v1/tasks', { body: taskBody() }),
    () => client.request('POST', '/v1/tasks', { body: taskBody(), ...key }),
    () => client.request('POST', '/v1/pools', { body: { name: 'p' } }),
    () => client.request('PATCH', `/v1/pools/${poolId}`, { body: { name: 'p' } }),
    () => client.request('POST', '/v1/workers', { body: { name: 'w' } }),
    () => client.request('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['*'] } }),
    () => client.request('PATCH', '/v1/org', { body: { name: 'o' } }),
    () => client.request('POST', '/v1/webhook-secret/rotate', { body: {} }),
    () => api.operator.request('POST', '/admin/orgs', { body: { name: 'o' } }),
  ];
  const answers = await Promise.all([...writes, ...writes, ...writes].map((write) => write()));
  expect([...new Set(answers.map((one) => one.outcome))]).toEqual(['503 unavailable']);
  expect(await snapshot(api.redis, api.prefix)).toEqual(before);

  expect(await Promise.all(reads.map(statusOf))).toEqual(readBefore);
  // An invalid body is rejected as such with or without room.
  expect((await client.request('POST', '/v1/tasks', { body: {} })).outcome).toBe('422 validation_failed');

  await api.redis.config('SET', 'maxmemory', '0');
  for (const write of writes) expect((await write()).status).toBeLessThan(300);
});

test('a task is stored completely or not at all whenever the memory runs out', async () => {
  const fill = { background: 'x'.repeat(20_000) };
  const { used_memory: used } = Object.fromEntries(
    (await api.redis.info('memory')).split('\r\n').map((line) => line.split(':') as [string, string]),
  );
  await api.redis.config('SET', 'maxmemory', String(Number(used) + 1_500_000));
  const outcomes: string[] = [];
  const made: string[] = [];
  while (outcomes.filter((one) => one !== '201').length < 30 && outcomes.length < 2000) {
    const batch = Array.from({ length: 20 }, () =>
      client.request('POST', '/v1/tasks', { body: taskBody({ context: fill }) }),
    );
    for (const answer of await Promise.all(batch)) {
      outcomes.push(answer.outcome);
      if (answer.status === 201) made.push(answer.as<TaskView>().task_id);
    }
  }
  await api.redis.config('SET', 'maxmemory', '0');
  expect(new Set(outcomes)).toEqual(new Set(['201', '503 unavailable']));
  const there: string[] = [];
  let cursor = '';
  do {
    const page = await client.get<{ data: TaskView[]; next_cursor: string | null }>(
      `/v1/tasks?limit=200${cursor}`,
    );
    there.push(
      ...page.data
        .filter((one) => (one.context as typeof fill | undefined)?.background)
        .map((one) => one.task_id),
    );
    cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
  } while (cursor !== '');
  expect(there.sort()).toEqual(made.sort());
  for (const id of made.slice(-5)) {
    const { data } = await client.get<{ data: unknown[] }>(`/v1/tasks/${id}/events`);
    expect(data).toHaveLength(2);
  }
});
