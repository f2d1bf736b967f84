// Batches of tasks: each task is created independently and results keep the order; a repeat with the same
// Idempotency-Key gets the same answer; and no task is created twice, wherever an earlier request was interrupted.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSealer } from '../../../../src/store/redis/sealing.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Page,
  type Problem,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { freshPrefix, testRedisUrl } from '../../../support/redis.ts';
import { type RedisProxy, startRedisProxy } from '../../../support/redis-proxy.ts';
import { taskBody } from '../../../support/workers.ts';

interface Result {
  status: number;
  task?: TaskView;
  error?: Problem;
}

let proxy: RedisProxy;
let api: TestApi;
let pinched: TestApi;
beforeAll(async () => {
  const same = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
  proxy = await startRedisProxy(testRedisUrl());
  [api, pinched] = await Promise.all([startApi(same), startApi({ ...same, redisUrl: proxy.url })]);
});
afterAll(async () => {
  await Promise.all([api.close(), pinched.close()]);
  await proxy.close();
});

const bodies = (count: number, mark: string) =>
  Array.from({ length: count }, (_, index) =>
    taskBody({ origin: { product: 'p', request_id: `${mark}-${index}.` } }),
  );
const send = (client: Client, tasks: unknown, key?: string) =>
  client.request('POST', '/v1/tasks/batch', {
    body: { tasks },
    headers: key === undefined ? {} : { 'Idempotency-Key': key },
  });
const marks = (results: Result[]) => results.map((one) => one.task?.origin.request_id);

async function all(client: Client): Promise<TaskView[]> {
  const tasks: TaskView[] = [];
  for (let cursor = ''; ; ) {
    const page = await client.get<Page<TaskView>>(`/v1/tasks?limit=200&order=asc${cursor}`);
    tasks.push(...page.data);
    if (page.next_cursor === null) return tasks;
    cursor = `&cursor=${page.next_cursor}`;
  }
}

test('creates 500 tasks in order, equal to tasks created alone', async () => {
  const { client } = await createOrg(api);
  const given = bodies(500, 'many');
  const answer = await send(client, given);
  expect(answer.status).toBe(200);
  const { results } = answer.as<{ results: Result[] }>();
  expect(results.every((one) => one.status === 201)).toBe(true);
  expect(marks(results)).toEqual(given.map((_, index) => `many-${index}.`));
  const there = await all(client);
  expect(there.map((one) => one.task_id)).toEqual(results.map((one) => one.task?.task_id));
  expect(there[7]).toEqual(results[7]?.task);
  expect((await client.get<Page<unknown>>(`/v1/tasks/${there[7]?.task_id}/events`)).data).toHaveLength(2);
});

test('creates the valid tasks, and reports invalid ones with their pointers in the body', async () => {
  const { client } = await createOrg(api);
  const pool = await createPool(client);
  const confined = await createKey(api, client, { pools: [pool] });
  const inPool = { requirements: { worker_pool_id: pool } };
  const big = { context: { background: 'x'.repeat(262_144) } };
  const given = [
    taskBody(inPool),
    taskBody({ ...inPool, title: '', sla: { urgency: 'high', deadline: '2001-01-01T00:00:00Z' } }),
    taskBody(),
    null,
    taskBody({ ...inPool, origin: { product: 'p', request_id: 'r', org_id: freshName('org') } }),
    taskBody({ ...inPool, ...big }),
    taskBody(inPool),
  ];
  const answer = await send(confined, given);
  expect(answer.status).toBe(200);
  const { results } = answer.as<{ results: Result[] }>();
  expect(results.map((one) => `${one.status} ${one.error?.code ?? one.task?.status}`)).toEqual([
    '201 queued',
    '422 validation_failed',
    '403 pool_forbidden',
    '422 validation_failed',
    '403 org_mismatch',
    '413 body_too_large',
    '201 queued',
  ]);
  expect(results[1]?.error?.errors?.map((one) => one.pointer)).toEqual([
    '/tasks/1/title',
    '/tasks/1/sla/deadline',
  ]);
  expect(results[3]?.error?.errors?.map((one) => one.pointer)).toEqual(['/tasks/3']);
  expect(results[1]?.error?.request_id).toBe(answer.headers.get('request-id'));
  expect(await all(client)).toHaveLength(2);
});

test.each<[string, unknown, string]>([
  ['none', { tasks: [] }, '/tasks'],
  ['501', { tasks: Array(501).fill({}) }, '/tasks'],
  ['no list', { tasks: {} }, '/tasks'],
  ['nothing', {}, '/tasks'],
  ['a field beside', { tasks: [taskBody()], all_or_none: true }, '/all_or_none'],
])('refuses a whole batch of %s', async (_what, body, pointer) => {
  const { client } = await createOrg(api);
  const answer = await client.request('POST', '/v1/tasks/batch', { body });
  expect(answer.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
  expect(await all(client)).toEqual([]);
});

test('replays the first response byte for byte for its key, and refuses another body', async () => {
  const { client } = await createOrg(api);
  const given = [...bodies(60, 'again'), { title: 'wrong' }];
  const first = await send(client, given, 'k');
  const again = await send(client, given, 'k');
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(again.text).toBe(first.text);
  expect((await send(client, bodies(1, 'other'), 'k')).outcome).toBe('422 idempotency_key_reused');
  // Task ids depend on the key: the same body with another key creates other tasks.
  await send(client, given, 'k2');
  expect(await all(client)).toHaveLength(120);
});

test('creates each task once for twenty concurrent requests with one key', async () => {
  const { client } = await createOrg(api);
  const given = bodies(20, 'race');
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(client, given, 'k')));
  expect(new Set(answers.map((one) => one.outcome))).not.toContain('500 internal_error');
  for (const one of answers) expect(['200', '409 idempotency_in_flight']).toContain(one.outcome);
  expect(await all(client)).toHaveLength(20);
});

test('completes a half-finished batch on its repeat, without duplicates', async () => {
  const { client } = await createOrg(api);
  const near = pinched.client(client.credential);
  await expect.poll(async () => (await near.request('GET', '/v1/org')).status).toBe(200);
  const given = bodies(180, 'dies');
  // Replies of Redis are lost from the commit of this task on: some tasks exist, but the API does not know which.
  const cut = proxy.cutReply('dies-70.').then(() => proxy.disturb(() => 'break'));
  expect((await send(near, given, 'k')).outcome).toBe('503 unavailable');
  await cut;
  proxy.disturb(null);
  const made = await all(client);
  expect(made.length).toBeGreaterThan(0);
  expect(made.length).toBeLessThan(180);
  // Simulates the expiry of the claim.
  for (const key of await api.redis.keys(`${api.prefix}:*:idempotency:*`))
    if ((await api.redis.get(key))?.includes('"token"')) await api.redis.del(key);

  const { results } = (await send(client, given, 'k')).as<{ results: Result[] }>();
  expect(results.map((one) => one.status)).toEqual(Array(180).fill(201));
  expect(marks(results)).toEqual(given.map((_, index) => `dies-${index}.`));
  const there = await all(client);
  expect(there.map((one) => one.task_id).sort()).toEqual(results.map((one) => one.task?.task_id).sort());
  expect(there.map((one) => one.task_id)).toEqual(expect.arrayContaining(made.map((one) => one.task_id)));
});
