// `POST /v1/tasks/{task_id}/assign`: as an offer or into the hands of a worker, from every state that allows it, with and
// without force.
import { describe, expect, test } from 'vitest';
import {
  type Client,
  createKey,
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { listen } from '../../../support/events.ts';
import { createTaskIn, createTestWorker, taskBody } from '../../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

const assign = (id: string, body: Record<string, unknown>, by = client) =>
  by.request('POST', `/v1/tasks/${id}/assign`, { body });
const eventsOf = async (id: string) => (await client.get<Page<EventView>>(`/v1/tasks/${id}/events`)).data;
const typesOf = async (id: string) => (await eventsOf(id)).map((one) => one.type.slice('task.'.length));
const offersOf = async (by: Client) => (await by.get<Page<OfferView>>('/v1/worker/offers')).data;

describe('an assignment', () => {
  test('as an offer goes to the named worker, who may decline', async () => {
    const poolId = await createPool(client);
    const [first, second] = [
      await createTestWorker(api, client, { pool_ids: [poolId] }),
      await createTestWorker(api, client, { pool_ids: [poolId] }),
    ];
    const { task_id } = await client.post<TaskView>(
      '/v1/tasks',
      taskBody({ requirements: { worker_pool_id: poolId } }),
    );
    await first.offerOf(task_id);
    const after = (await assign(task_id, { worker_id: second.worker_id })).as<TaskView>();
    expect(after).toMatchObject({ status: 'offered', assignment: null, attempt: 1 });
    expect(await offersOf(first.client)).toEqual([]);
    const { offer_id } = await second.offerOf(task_id);
    expect((await eventsOf(task_id)).slice(-5)).toMatchObject([
      { type: 'task.requeued', data: { reason: 'assigned', worker_id: null } },
      { type: 'task.queued', data: { reason: 'requeued' } },
      {
        type: 'task.assigned',
        status: 'queued',
        previous_status: 'queued',
        data: { worker_id: second.worker_id, mode: 'offer', forced: false },
      },
      { type: 'task.matched', data: { worker_id: second.worker_id } },
      { type: 'task.offered', data: { offer_id, worker_id: second.worker_id } },
    ]);
    await second.client.post(`/v1/worker/offers/${offer_id}/decline`);
    await first.accept(task_id);
  });

  test('into their hands makes the task accepted, and tells the worker', async () => {
    const { task, poolId } = await createTaskIn(api, org, 'queued');
    const person = await createTestWorker(api, client, { pool_ids: [poolId], availability: 'away' });
    const stream = await listen(person.client, '/v1/worker/stream');
    await stream.next('worker');
    const body = { worker_id: person.worker_id, mode: 'assign', force: true };
    const after = (await assign(task.task_id, body)).as<TaskView>();
    expect(after).toMatchObject({ status: 'accepted', assignment: { worker_id: person.worker_id } });
    expect((await stream.next('task')).data).toMatchObject({ task_id: task.task_id, status: 'accepted' });
    stream.close();
    expect((await typesOf(task.task_id)).slice(-4)).toEqual(['assigned', 'matched', 'offered', 'accepted']);
    await person.start(task.task_id);
    expect((await person.submit(task.task_id)).status).toBe('submitted');
    // It was not their answer, so it does not count as one.
    const worker = await client.get<Record<string, unknown>>(`/v1/workers/${person.worker_id}`);
    expect(worker.acceptance_rate).toBeNull();
  });

  test.each(['accepted', 'started'] as const)(
    'takes a task that is %s over in one commit',
    async (status) => {
      for (const mode of ['offer', 'assign'] as const) {
        const { task, person, poolId } = await createTaskIn(api, org, status);
        const other = await createTestWorker(api, client, { pool_ids: [poolId] });
        const after = (await assign(task.task_id, { worker_id: other.worker_id, mode })).as<TaskView>();
        expect(after).toMatchObject({ version: task.version + 1, attempt: 2 });
        expect(after.status).toBe(mode === 'offer' ? 'offered' : 'accepted');
        const lost = await person.client.request('POST', `/v1/worker/tasks/${task.task_id}/submit`, {
          body: { output: { seen: true } },
        });
        expect(lost.outcome).toBe('404 not_found');
        if (mode === 'offer') await other.accept(task.task_id);
        await other.start(task.task_id);
        expect((await eventsOf(task.task_id)).find((one) => one.type === 'task.requeued')?.data).toEqual({
          reason: 'assigned',
          worker_id: person.worker_id,
        });
      }
    },
  );

  test('replaces a pending offer to the same worker', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const before = await person.offerOf(task.task_id);
    expect((await assign(task.task_id, { worker_id: person.worker_id })).outcome).toBe('200');
    expect((await person.offerOf(task.task_id)).offer_id).not.toBe(before.offer_id);
    expect((await assign(task.task_id, { worker_id: person.worker_id, mode: 'assign' })).outcome).toBe('200');
    expect(await offersOf(person.client)).toEqual([]);
    await person.start(task.task_id);
  });

  test('to a worker who has just accepted, or to two workers at once, leaves one holder', async () => {
    const poolId = await createPool(client);
    const people = await Promise.all(
      Array.from({ length: 3 }, () => createTestWorker(api, client, { pool_ids: [poolId] })),
    );
    const body = taskBody({ requirements: { worker_pool_id: poolId } });
    const { task_id } = await client.post<TaskView>('/v1/tasks', body);
    await expect
      .poll(async () => (await client.get<TaskView>(`/v1/tasks/${task_id}`)).status)
      .toBe('offered');
    const answers = await Promise.all(
      people.map((one) => assign(task_id, { worker_id: one.worker_id, mode: 'assign' })),
    );
    expect(answers.map((one) => one.outcome)).toEqual(['200', '200', '200']);
    const { assignment } = await client.get<TaskView>(`/v1/tasks/${task_id}`);
    const holders = await Promise.all(
      people.map(async (one) => (await one.client.get<Page<TaskView>>('/v1/worker/tasks')).data.length),
    );
    expect(holders.reduce((sum, one) => sum + one, 0)).toBe(1);
    expect(people[holders.indexOf(1)]?.worker_id).toBe(assignment?.worker_id);
  });
});

describe('a worker who is not eligible', () => {
  test('is refused with all reasons, and gets the task with force, but not above their capacity', async () => {
    const poolId = await createPool(client);
    const requirements = { worker_pool_id: poolId, skills: ['diving'], min_rating: 5, trust_level: 2 };
    const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    const person = await createTestWorker(api, client, {
      trust_level: 1,
      rating: 4,
      availability: 'offline',
    });
    const { worker_id } = person;
    const refused = await assign(task_id, { worker_id });
    expect(refused.outcome).toBe('409 worker_not_eligible');
    expect(refused.as<{ reasons: unknown }>().reasons).toEqual([
      { reason: 'worker_pool_id', wanted: poolId },
      { reason: 'skills', wanted: 'diving' },
      { reason: 'trust_level', wanted: 2, has: 1 },
      { reason: 'min_rating', wanted: 5, has: 4 },
      { reason: 'offline' },
    ]);
    expect(await typesOf(task_id)).toEqual(['created', 'queued']);
    expect((await assign(task_id, { worker_id, force: true })).as<TaskView>().status).toBe('offered');
    // A change of the worker revokes offers that do not fit, but not a forced one.
    await client.patch(`/v1/workers/${worker_id}`, { skills: ['singing'], trust_level: 0 });
    expect((await person.accept(task_id)).status).toBe('accepted');
    const next = await client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    const full = await assign(next.task_id, { worker_id, force: true, mode: 'assign' });
    expect(full.outcome).toBe('409 worker_not_eligible');
    expect(full.as<{ reasons: unknown }>().reasons).toEqual([{ reason: 'at_capacity' }]);
  });

  test('by a cool-down is named so', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    await person.client.post(`/v1/worker/offers/${offer_id}/decline`, { retry_after_seconds: 600 });
    const refused = await assign(task.task_id, { worker_id: person.worker_id });
    expect(refused.as<{ reasons: unknown }>().reasons).toEqual([{ reason: 'cooling_down' }]);
    expect((await assign(task.task_id, { worker_id: person.worker_id, force: true })).outcome).toBe('200');
  });
});

test('an assignment is refused in other states, to unknown workers, and beyond the pools of the key', async () => {
  for (const status of ['submitted', 'completed', 'cancelled'] as const) {
    const { task, poolId } = await createTaskIn(api, org, status);
    const other = await createTestWorker(api, client, { pool_ids: [poolId] });
    const body = { worker_id: other.worker_id, mode: 'assign' };
    expect((await assign(task.task_id, body)).outcome).toBe('409 invalid_transition');
  }
  const { task, person, poolId } = await createTaskIn(api, org, 'started');
  expect((await assign(task.task_id, { worker_id: person.worker_id })).outcome).toBe(
    '409 invalid_transition',
  );
  expect((await assign(task.task_id, { worker_id: 'nobody' })).problem.errors).toEqual([
    { pointer: '/worker_id', message: 'is not a worker of this org' },
  ]);
  const stranger = await createTestWorker(api, client);
  const confined = await createKey(api, client, { pools: [poolId] });
  const body = { worker_id: stranger.worker_id, force: true };
  expect((await assign(task.task_id, body, confined)).outcome).toBe('422 validation_failed');
  const elsewhere = await createKey(api, client, { pools: [await createPool(client)] });
  expect((await assign(task.task_id, body, elsewhere)).outcome).toBe('404 not_found');
});
