// `POST /v1/tasks/{task_id}/requeue`: from every state in which someone may hold a task, what the worker sees, and what
// is refused.
import { describe, expect, test } from 'vitest';
import {
  createKey,
  createPool,
  type EventView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { listen } from '../../../support/events.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker } from '../../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

const requeue = (id: string, reason = 'shift ends', by = client) =>
  by.request('POST', `/v1/tasks/${id}/requeue`, { body: { reason } });
const eventsOf = async (id: string) => (await client.get<Page<EventView>>(`/v1/tasks/${id}/events`)).data;

test('runs the walk-through of the document', async () => {
  const { task, person, poolId } = await createTaskIn(api, org, 'started');
  const { worker_id: colleague } = await createTestWorker(api, client, { pool_ids: [poolId], capacity: 2 });
  // So that nobody gets the task between the steps.
  await person.client.patch('/v1/worker', { availability: 'away' });
  const names = { task_id: task.task_id, pool_id: poolId, colleague };
  await walk(walkThrough('supervision.md', 'Supervise'), { lead: client }, names);
});

describe('a requeue', () => {
  test.each(['accepted', 'started', 'submitted'] as const)(
    'takes a task that is %s from its worker',
    async (status) => {
      const { task, person } = await createTaskIn(api, org, status);
      // So that the task stays in the queue.
      await person.client.patch('/v1/worker', { availability: 'away' });
      const stream = await listen(person.client, '/v1/worker/stream');
      await stream.next('worker');
      const after = (await requeue(task.task_id)).as<TaskView>();
      expect(after).toMatchObject({
        status: 'queued',
        assignment: null,
        attempt: 2,
        submission: task.submission,
        version: task.version + 1,
      });
      expect((await stream.next('task_gone')).data).toEqual({ task_id: task.task_id });
      stream.close();
      expect((await eventsOf(task.task_id)).slice(-2)).toMatchObject([
        {
          type: 'task.requeued',
          status,
          previous_status: status,
          data: { reason: 'shift ends', worker_id: person.worker_id },
        },
        { type: 'task.queued', data: { reason: 'requeued', worker_id: person.worker_id } },
      ]);
      const path = `/v1/worker/tasks/${task.task_id}`;
      expect((await person.client.request('GET', path)).outcome).toBe('404 not_found');
      const worker = await client.get<Record<string, unknown>>(`/v1/workers/${person.worker_id}`);
      expect(worker).toMatchObject({ availability: 'away' });
      // No cool-down: the worker gets it again as soon as they are available.
      await person.client.patch('/v1/worker', { availability: 'available' });
      expect((await person.accept(task.task_id)).attempt).toBe(2);
    },
  );

  test('revokes pending offers, and the worker may get another at once', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    expect((await requeue(task.task_id)).as<TaskView>()).toMatchObject({ status: 'queued', attempt: 1 });
    expect((await eventsOf(task.task_id)).find((one) => one.type === 'task.requeued')?.data).toEqual({
      reason: 'shift ends',
      worker_id: null,
    });
    const accept = await person.client.request('POST', `/v1/worker/offers/${offer_id}/accept`);
    expect(accept.outcome).toBe('409 offer_not_pending');
    await person.accept(task.task_id);
  });

  test('keeps the draft of the worker for them', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const path = `/v1/worker/tasks/${task.task_id}/draft`;
    await person.client.request('PUT', path, { body: { notes: 'half done' } });
    await requeue(task.task_id);
    await person.accept(task.task_id);
    expect(await person.client.get(path)).toMatchObject({ notes: 'half done' });
  });

  test('and a submission at the same time: one of them is refused', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => createTaskIn(api, org, 'started')));
    for (const { person } of all) await person.client.patch('/v1/worker', { availability: 'away' });
    const answers = await Promise.all(
      all.map(({ task, person }) =>
        Promise.all([
          person.client.request('POST', `/v1/worker/tasks/${task.task_id}/submit`, {
            body: { output: { seen: true } },
          }),
          requeue(task.task_id),
        ]),
      ),
    );
    for (const [index, [submit, back]] of answers.entries()) {
      expect(back.outcome).toBe('200');
      const { task_id = '' } = all[index]?.task ?? {};
      const types = (await eventsOf(task_id)).map((one) => one.type);
      // Submitted first and taken back then, or taken back first.
      expect(submit.outcome).toBe(types.includes('task.submitted') ? '200' : '404 not_found');
      expect(types.at(-1)).toBe('task.queued');
    }
  });

  test('is refused in other states, without a reason, and for a task of another pool', async () => {
    for (const status of ['queued', 'completed', 'cancelled'] as const) {
      const { task } = await createTaskIn(api, org, status);
      expect((await requeue(task.task_id)).outcome).toBe('409 invalid_transition');
    }
    const { task } = await createTaskIn(api, org, 'accepted');
    const empty = await client.request('POST', `/v1/tasks/${task.task_id}/requeue`, { body: {} });
    expect(empty.outcome).toBe('422 validation_failed');
    const confined = await createKey(api, client, { pools: [await createPool(client)] });
    expect((await requeue(task.task_id, 'x', confined)).outcome).toBe('404 not_found');
  });

  test('lets a worker with capacity for one task have the next at once', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'started');
    const requirements = { worker_pool_id: poolId };
    const next = await createTaskIn(api, org, 'queued', { requirements, sla: { urgency: 'critical' } });
    await requeue(task.task_id);
    await person.accept(next.task.task_id);
  });
});
