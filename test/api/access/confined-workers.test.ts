// A key that is confined to pools cannot reach more through the workers and tokens that it creates than it can see itself.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type OfferView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { listen } from '../../support/events.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

let api: TestApi;
let org: Org;
let own: string;
let other: string;
let confined: Client;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  [own, other] = [await createPool(org.client), await createPool(org.client)];
  confined = await createKey(api, org.client, { pools: [own] });
});

afterAll(() => api.close());

const create = (requirements: object) => org.client.post<TaskView>('/v1/tasks', taskBody({ requirements }));

test('a worker made by a confined key gets tasks of its pool and none without a pool', async () => {
  const person = await createTestWorker(api, confined, { pool_ids: [own] });
  const unpooled = await create({});
  const pooled = await create({ worker_pool_id: own });
  await person.offerOf(pooled.task_id);
  const { status } = await org.client.get<TaskView>(`/v1/tasks/${unpooled.task_id}`);
  expect(status).toBe('queued');
  const { requirements } = await org.client.get<{ requirements: unknown[] }>(
    `/v1/tasks/${unpooled.task_id}/match`,
  );
  expect(requirements).toEqual([{ requirement: 'unpooled_tasks', wanted: true, rules_out: 1 }]);
  const body = { name: 'x', pool_ids: [own], unpooled_tasks: true };
  const refused = await confined.request('POST', '/v1/workers', { body });
  expect(refused.outcome).toBe('403 pool_forbidden');
  // An unconfined key then makes the worker eligible for them.
  await org.client.patch(`/v1/workers/${person.worker_id}`, { unpooled_tasks: true, capacity: 5 });
  await expect
    .poll(async () => (await org.client.get<TaskView>(`/v1/tasks/${unpooled.task_id}`)).status)
    .toBe('offered');
  // The token created by the confined key still does not show it.
  const { data } = await person.client.get<Page<OfferView>>('/v1/worker/offers');
  expect(data.map((one) => one.task_id)).toEqual([pooled.task_id]);
});

test('a token made by a confined key shows no task of another pool that the worker holds', async () => {
  const person = await createTestWorker(api, org.client, { pool_ids: [other] });
  const task = await create({ worker_pool_id: other });
  await person.accept(task.task_id);
  await org.client.patch(`/v1/workers/${person.worker_id}`, { pool_ids: [own] });
  const { token } = await confined.post<{ token: string }>(`/v1/workers/${person.worker_id}/tokens`);
  const theirs = api.client(token);
  expect((await theirs.get<Page<TaskView>>('/v1/worker/tasks')).data).toEqual([]);
  for (const [method, step] of [
    ['GET', ''],
    ['POST', '/start'],
    ['POST', '/release'],
  ] as const)
    expect((await theirs.request(method, `/v1/worker/tasks/${task.task_id}${step}`)).outcome).toBe(
      '404 not_found',
    );
  expect((await person.start(task.task_id)).task_id).toBe(task.task_id);
});

test('a worker whose task is moved to another pool goes on, until it is taken from them', async () => {
  const former = await createPool(org.client);
  const key = await createKey(api, org.client, { pools: [former] });
  const person = await createTestWorker(api, key, { pool_ids: [former], capacity: 3 });
  const move = ({ task_id }: TaskView) =>
    org.client.patch(`/v1/tasks/${task_id}`, { requirements: { worker_pool_id: other } });
  const tasks = async () =>
    (await person.client.get<Page<TaskView>>('/v1/worker/tasks')).data.map((one) => one.task_id);
  const [finished, taken, offered] = [
    await create({ worker_pool_id: former }),
    await create({ worker_pool_id: former }),
    await create({ worker_pool_id: former }),
  ];
  for (const { task_id } of [finished, taken]) {
    await person.accept(task_id);
    await person.start(task_id);
  }
  const { offer_id } = await person.offerOf(offered.task_id);
  const stream = await listen(person.client, '/v1/worker/stream');
  onTestFinished(() => stream.close());
  await stream.next('worker');

  for (const task of [finished, taken, offered]) await move(task);
  expect((await stream.next('task')).data).toMatchObject({ task_id: finished.task_id, status: 'started' });
  expect((await stream.next('task')).data).toMatchObject({ task_id: taken.task_id });
  expect((await stream.next('offer_ended')).data).toMatchObject({ offer_id, status: 'revoked' });
  expect((await tasks()).sort()).toEqual([finished.task_id, taken.task_id].sort());
  // The key that made the token sees them no longer.
  expect((await key.request('GET', `/v1/tasks/${finished.task_id}`)).outcome).toBe('404 not_found');
  await person.submit(finished.task_id);
  const done = await org.client.get<TaskView>(`/v1/tasks/${finished.task_id}?wait=20`);
  expect(done).toMatchObject({ status: 'completed', result: { worker_id: person.worker_id } });

  await org.client.post(`/v1/tasks/${taken.task_id}/requeue`, { reason: 'moved' });
  await expect
    .poll(async () => (await stream.next('task_gone')).data, { timeout: 10_000 })
    .toEqual({ task_id: taken.task_id });
  const lost = await person.client.request('GET', `/v1/worker/tasks/${taken.task_id}`);
  expect(lost.outcome).toBe('404 not_found');
});
