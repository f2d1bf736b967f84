// `requirements.worker_ids`, `excluded_worker_ids` and `excluded_tasks` over HTTP: what a body may name, every way by which
// work reaches a worker, and what the explanations say.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { createTestWorker, OUTPUT, type TestWorker, taskBody } from '../../../support/workers.ts';

let api: TestApi;
let client: Client;

beforeAll(async () => {
  api = await startApi({ processors: true });
  client = (await createOrg(api)).client;
});
afterAll(() => api.close());

type Named = { worker_pool_id: string; [requirement: string]: unknown };
const create = (requirements: Named, fields: Record<string, unknown> = {}) =>
  client.post<TaskView>('/v1/tasks', taskBody({ requirements, ...fields }));
const get = (id: string) => client.get<TaskView>(`/v1/tasks/${id}`);
const offersOf = async (by: TestWorker) =>
  (await by.client.get<Page<OfferView>>('/v1/worker/offers')).data.map((one) => one.task_id);
const acceptAs = (by: TestWorker, offer: OfferView) =>
  by.client.request('POST', `/v1/worker/offers/${offer.offer_id}/accept`);
const assign = (id: string, body: Record<string, unknown>) =>
  client.request('POST', `/v1/tasks/${id}/assign`, { body });
const everAssigned = async (id: string) =>
  (await client.get<Page<EventView>>(`/v1/tasks/${id}/events`)).data
    .filter((one) => one.type === 'task.accepted')
    .map((one) => one.data.worker_id);
const faultsOf = async (answer: ReturnType<Client['request']>) =>
  (await answer).problem.errors?.map((one) => one.pointer);

/** A pool with so many workers. */
async function team(count: number, fields: Record<string, unknown> = {}): Promise<[string, ...TestWorker[]]> {
  const poolId = await createPool(client);
  const given = { pool_ids: [poolId], capacity: 3, ...fields };
  const people: TestWorker[] = [];
  for (let made = 0; made < count; made += 1) people.push(await createTestWorker(api, client, given));
  return [poolId, ...people];
}

test('a second task reaches only workers who did not have the first one (four eyes)', async () => {
  const [worker_pool_id, ada, bob] = await team(2);
  if (ada === undefined || bob === undefined) throw new Error('no team');
  const first = await create({ worker_pool_id, worker_ids: [ada.worker_id] });
  await ada.accept(first.task_id);
  await ada.start(first.task_id);
  await ada.submit(first.task_id);
  const second = await create({ worker_pool_id, excluded_tasks: [first.task_id] });
  expect(second.requirements).toEqual({ worker_pool_id, excluded_tasks: [first.task_id] });
  const offer = await bob.offerOf(second.task_id);
  expect(offer.task).toMatchObject({ requirements: { worker_pool_id } });
  expect(JSON.stringify(offer)).not.toContain(first.task_id);
  expect((await acceptAs(bob, offer)).outcome).toBe('200');
  await bob.client.post(`/v1/worker/tasks/${second.task_id}/release`);
  // Released: the same rule holds for the next match. Ada is the only one left, and does not get it.
  await bob.client.patch('/v1/worker', { availability: 'away' });
  await expect
    .poll(async () => (await client.get<TaskView>(`/v1/tasks/${second.task_id}/match`)).reason)
    .toBe('away');
  expect(await offersOf(ada)).toEqual([]);
  const refused = await assign(second.task_id, { worker_id: ada.worker_id, mode: 'assign', force: true });
  expect(refused.outcome).toBe('409 worker_not_eligible');
  expect(refused.as<{ reasons: unknown }>().reasons).toEqual([
    { reason: 'excluded_tasks', wanted: [first.task_id] },
  ]);
  expect(await client.get(`/v1/tasks/${second.task_id}/match`)).toMatchObject({
    workers: { considered: expect.any(Number), qualified: 1 },
    requirements: expect.arrayContaining([
      { requirement: 'excluded_tasks', wanted: [first.task_id], rules_out: 1 },
    ]),
  });
  expect(await everAssigned(second.task_id)).toEqual([bob.worker_id]);
});

test('of accepts of both tasks at once by the same worker, one wins, and the other task goes to another worker', async () => {
  const [worker_pool_id, ada, bob] = await team(2);
  if (ada === undefined || bob === undefined) throw new Error('no team');
  await bob.client.patch('/v1/worker', { availability: 'away' });
  for (let round = 0; round < 3; round += 1) {
    const first = await create({ worker_pool_id });
    const second = await create({ worker_pool_id, excluded_tasks: [first.task_id] });
    await client.patch(`/v1/tasks/${first.task_id}`, { requirements: { excluded_tasks: [second.task_id] } });
    const offers = [await ada.offerOf(first.task_id), await ada.offerOf(second.task_id)];
    const answers = await Promise.all(offers.map((offer) => acceptAs(ada, offer)));
    expect(answers.map((one) => one.outcome).sort()).toEqual(['200', '409 offer_not_pending']);
    const [won, lost] = answers[0]?.status === 200 ? [first, second] : [second, first];
    expect(await everAssigned(lost.task_id)).toEqual([]);
    expect((await get(lost.task_id)).status).toBe('queued');
    await bob.client.patch('/v1/worker', { availability: 'available' });
    await bob.accept(lost.task_id);
    await bob.client.patch('/v1/worker', { availability: 'away' });
    for (const { task_id } of [won, lost]) await client.post(`/v1/tasks/${task_id}/cancel`);
  }
});

test('a task for named workers waits for them, and for its new ones after a change', async () => {
  const [worker_pool_id, ada, bob, cleo] = await team(3);
  if (ada === undefined || bob === undefined || cleo === undefined) throw new Error('no team');
  await bob.client.patch('/v1/worker', { availability: 'away' });
  const { task_id } = await create({ worker_pool_id, worker_ids: [bob.worker_id] });
  const match = await client.get<TaskView>(`/v1/tasks/${task_id}/match`);
  expect(match).toMatchObject({ reason: 'away', workers: { qualified: 1 } });
  await bob.client.patch('/v1/worker', { availability: 'available' });
  await bob.offerOf(task_id);
  await client.patch(`/v1/tasks/${task_id}`, { requirements: { worker_ids: [cleo.worker_id] } });
  expect(await offersOf(bob)).toEqual([]);
  await cleo.offerOf(task_id);
  // A named worker who is removed: the task waits, as for any that nobody may do.
  await client.delete(`/v1/workers/${cleo.worker_id}`);
  await expect.poll(async () => (await get(task_id)).status).toBe('queued');
  expect(await client.get(`/v1/tasks/${task_id}/match`)).toMatchObject({ reason: 'nobody_qualifies' });
  expect((await assign(task_id, { worker_id: ada.worker_id })).outcome).toBe('409 worker_not_eligible');
  expect((await assign(task_id, { worker_id: ada.worker_id, force: true })).outcome).toBe('200');
});

test('an exclusion outlives relaxation, rework and requeue', async () => {
  const [worker_pool_id, ada, bob] = await team(2);
  if (ada === undefined || bob === undefined) throw new Error('no team');
  const steps = [{ after_seconds: 1, requirements: {} }];
  const output = {
    expected_format: 'structured_json',
    schema: { seen: 'boolean' },
    review: { mode: 'manual' },
  };
  const asked = { worker_pool_id, skills: ['rare'], steps, excluded_worker_ids: [ada.worker_id] };
  const { task_id } = await create(asked, { output });
  await bob.accept(task_id);
  await client.post(`/v1/tasks/${task_id}/requeue`, { reason: 'again' });
  await bob.accept(task_id);
  await bob.start(task_id);
  await bob.submit(task_id);
  await client.patch(`/v1/tasks/${task_id}`, {
    requirements: { excluded_worker_ids: [ada.worker_id, bob.worker_id] },
  });
  const review = { decision: 'rework', feedback: 'Look again.' };
  // Its worker is excluded by now, so the rework is for another.
  expect(await client.post(`/v1/tasks/${task_id}/review`, review)).toMatchObject({
    status: 'queued',
    assignment: null,
    submission: { output: OUTPUT },
  });
  expect(await everAssigned(task_id)).not.toContain(ada.worker_id);
});

describe('a body', () => {
  test('that names unknown workers and tasks, or leaves nobody, is refused with their pointers', async () => {
    const [worker_pool_id, ada] = await team(1, { availability: 'away' });
    const worker = ada?.worker_id ?? '';
    const unknown = '018f0000-0000-7000-8000-000000000000';
    const known = await create({ worker_pool_id, excluded_worker_ids: ['never_seen'] });
    const foreign = await (await createOrg(api)).client.post<TaskView>('/v1/tasks', taskBody());
    const cases: [Record<string, unknown>, string[]][] = [
      [{ worker_ids: [worker, 'nobody'] }, ['/requirements/worker_ids/1']],
      [{ worker_ids: [] }, ['/requirements/worker_ids']],
      [{ worker_ids: [worker, worker] }, ['/requirements/worker_ids']],
      [{ worker_ids: ['no worker'] }, ['/requirements/worker_ids/0']],
      [{ worker_ids: [worker], excluded_worker_ids: [worker] }, ['/requirements/worker_ids']],
      [
        { excluded_worker_ids: Array.from({ length: 101 }, (_, at) => `w${at}`) },
        ['/requirements/excluded_worker_ids'],
      ],
      [
        { excluded_tasks: [unknown, known.task_id, foreign.task_id] },
        ['/requirements/excluded_tasks/0', '/requirements/excluded_tasks/2'],
      ],
      [{ excluded_tasks: ['x'] }, ['/requirements/excluded_tasks/0']],
      [{ excluded_tasks: Array.from({ length: 21 }, () => unknown) }, ['/requirements/excluded_tasks']],
    ];
    const { task_id, version } = known;
    for (const [requirements, pointers] of cases) {
      const body = taskBody({ requirements });
      expect(await faultsOf(client.request('POST', '/v1/tasks', { body }))).toEqual(pointers);
      expect(await faultsOf(client.request('POST', '/v1/tasks/preview', { body }))).toEqual(pointers);
      const change = { body: { requirements } };
      expect(await faultsOf(client.request('PATCH', `/v1/tasks/${task_id}`, change))).toEqual(
        expect.arrayContaining(pointers),
      );
      const batch = await client.post<{ results: { error?: { errors: { pointer: string }[] } }[] }>(
        '/v1/tasks/batch',
        { tasks: [taskBody({ requirements: { worker_pool_id } }), body] },
      );
      const errors = batch.results.map((one) => one.error?.errors.map(({ pointer }) => pointer));
      expect(errors).toEqual([undefined, pointers.map((one) => `/tasks/1${one}`)]);
    }
    const itself = { body: { requirements: { excluded_tasks: [task_id] } } };
    expect(await faultsOf(client.request('PATCH', `/v1/tasks/${task_id}`, itself))).toEqual([
      '/requirements/excluded_tasks/0',
    ]);
    expect((await get(task_id)).version).toBe(version);
  });

  test('of a key that is confined to pools names only what the key may see', async () => {
    const [own, ada] = await team(1);
    const [other, bob] = await team(1);
    const confined = await createKey(api, client, { pools: [own] });
    const [mine, theirs] = [await create({ worker_pool_id: own }), await create({ worker_pool_id: other })];
    const requirements = {
      worker_pool_id: own,
      worker_ids: [ada?.worker_id, bob?.worker_id],
      excluded_tasks: [theirs.task_id, mine.task_id],
    };
    const body = taskBody({ requirements });
    expect(await faultsOf(confined.request('POST', '/v1/tasks', { body }))).toEqual([
      '/requirements/worker_ids/1',
      '/requirements/excluded_tasks/0',
    ]);
  });
});

test('a preview counts whom each name rules out', async () => {
  const [worker_pool_id, ada, bob] = await team(3);
  const requirements = {
    worker_pool_id,
    worker_ids: [ada?.worker_id, bob?.worker_id],
    excluded_worker_ids: [ada?.worker_id],
  };
  const preview = await client.post<TaskView>('/v1/tasks/preview', taskBody({ requirements }));
  expect(preview).toMatchObject({ reason: 'eligible', workers: { qualified: 1, eligible: 1 } });
  expect(preview.requirements).toEqual(
    expect.arrayContaining([{ requirement: 'excluded_worker_ids', wanted: [ada?.worker_id], rules_out: 1 }]),
  );
});
