// The filters with which a lead finds tasks and workers, through the API with processors.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createKey,
  createOrg,
  createPool,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { createTaskIn, createTestWorker, type TaskInStatus, taskBody } from '../../../support/workers.ts';

let api: TestApi;
let org: Org;
let late: TaskInStatus;
let submitted: TaskInStatus;
let completed: TaskInStatus;
let queued: TaskInStatus;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  late = await createTaskIn(api, org, 'started', { sla: { urgency: 'high', target_latency_seconds: 1 } });
  submitted = await createTaskIn(api, org, 'submitted');
  completed = await createTaskIn(api, org, 'completed');
  queued = await createTaskIn(api, org, 'queued');
}, 60_000);
afterAll(() => api.close());

async function found(query: string, client = org.client): Promise<string[]> {
  const { data } = await client.get<Page<TaskView>>(`/v1/tasks?order=asc&${query}`);
  return data.map((one) => one.task_id);
}

describe('GET /v1/tasks', () => {
  const ids = (...staged: TaskInStatus[]) => staged.map((one) => one.task.task_id);

  test('finds open tasks with a breached clock', async () => {
    await expect.poll(() => found('overdue=true'), { timeout: 10_000 }).toEqual([late.task.task_id]);
    expect(await found('overdue=false')).toEqual(ids(submitted, completed, queued));
    const own = await createTaskIn(api, org, 'queued', {
      sla: { urgency: 'low', target_latency_seconds: 1 },
    });
    await expect.poll(() => found('overdue=true'), { timeout: 10_000 }).toEqual(ids(late, own));
    expect(await found('overdue=true&urgency=low')).toEqual(ids(own));
    await org.client.post(`/v1/tasks/${own.task.task_id}/cancel`);
    expect(await found('overdue=true')).toEqual(ids(late));
  });

  test('finds tasks in review, until they are reviewed', async () => {
    const own = await createTaskIn(api, org, 'submitted');
    expect(await found('in_review=true')).toEqual(ids(submitted, own));
    await org.client.post(`/v1/tasks/${own.task.task_id}/review`, { decision: 'rework', feedback: 'Again.' });
    expect(await found('in_review=true')).toEqual(ids(submitted));
    await own.person.submit(own.task.task_id);
    expect(await found('in_review=true')).toEqual(ids(submitted, own));
    await org.client.post(`/v1/tasks/${own.task.task_id}/review`, { decision: 'approve' });
    await expect.poll(() => found('in_review=true')).toEqual(ids(submitted));
  });

  test('finds tasks with an open question, until it is answered', async () => {
    const path = `/tasks/${late.task.task_id}/messages`;
    const { message_id } = await late.person.client.post<{ message_id: string }>(`/v1/worker${path}`, {
      text: 'Which one?',
      question: true,
    });
    expect(await found('has_open_question=true')).toEqual(ids(late));
    await org.client.post(`/v1${path}`, { text: 'The left one.', answers: message_id });
    expect(await found('has_open_question=true')).toEqual([]);
    expect(await found('has_open_question=false')).toContain(late.task.task_id);
  });

  test('finds the tasks of a worker, also finished ones, and not those given back', async () => {
    const { person } = completed;
    expect(await found(`assigned_to=${person.worker_id}`)).toEqual(ids(completed));
    expect(await found(`assigned_to=${person.worker_id}&status=started`)).toEqual([]);
    expect(await found(`assigned_to=${person.worker_id},${late.person.worker_id}`)).toEqual(
      ids(late, completed),
    );
    const own = await createTaskIn(api, org, 'started');
    expect(await found(`assigned_to=${own.person.worker_id}`)).toEqual(ids(own));
    await own.person.client.patch('/v1/worker', { availability: 'away' });
    await own.person.client.post(`/v1/worker/tasks/${own.task.task_id}/release`);
    expect(await found(`assigned_to=${own.person.worker_id}`)).toEqual([]);
  });

  test('shows a confined key only tasks of its pools', async () => {
    const key = await createKey(api, org.client, { pools: [queued.poolId] });
    expect(await found('overdue=true', key)).toEqual([]);
    expect(await found('in_review=true', key)).toEqual([]);
    expect(await found(`assigned_to=${completed.person.worker_id}`, key)).toEqual([]);
    expect(await found('order_by=deadline', key)).toEqual([]);
  });

  test('orders open tasks by deadline, in pages bound to the order', async () => {
    const hours = [5, 1, 4, 2, 3];
    const made: { hour: number; id: string }[] = [];
    for (const hour of hours) {
      const deadline = new Date(Date.now() + hour * 3600_000).toISOString();
      const body = taskBody({ domain: 'ordered', sla: { urgency: 'low', deadline } });
      made.push({ hour, id: (await org.client.post<TaskView>('/v1/tasks', body)).task_id });
    }
    await org.client.post('/v1/tasks', taskBody({ domain: 'ordered' }));
    const gone = await org.client.post<TaskView>(
      '/v1/tasks',
      taskBody({
        domain: 'ordered',
        sla: { urgency: 'low', deadline: new Date(Date.now() + 3600_000).toISOString() },
      }),
    );
    await org.client.post(`/v1/tasks/${gone.task_id}/cancel`);
    const byHour = made.toSorted((one, other) => one.hour - other.hour).map((one) => one.id);
    const pages: string[][] = [];
    let cursor = '';
    for (;;) {
      const path = `/v1/tasks?domain=ordered&order_by=deadline&limit=2${cursor}`;
      const { data, next_cursor } = await org.client.get<Page<TaskView>>(path);
      pages.push(data.map((one) => one.task_id));
      if (next_cursor === null) break;
      const moved = await org.client.request('GET', `/v1/tasks?domain=ordered&limit=2&cursor=${next_cursor}`);
      expect(moved.outcome).toBe('400 invalid_cursor');
      cursor = `&cursor=${next_cursor}`;
    }
    expect(pages).toEqual([byHour.slice(0, 2), byHour.slice(2, 4), byHour.slice(4)]);
    expect(await found('domain=ordered&order_by=deadline')).toHaveLength(5);
    expect(await found('domain=ordered&order_by=deadline&status=cancelled')).toEqual([gone.task_id]);
  });
});

describe('GET /v1/workers', () => {
  const names = async (query: string, client = org.client) =>
    (await client.get<Page<{ worker_id: string }>>(`/v1/workers?limit=200&${query}`)).data.map(
      (one) => one.worker_id,
    );

  test('finds workers by pool, availability, skill, idle time and capacity', async () => {
    const pool = await createPool(org.client);
    const skills = ['welding', 'first aid, level 2'];
    const person = await createTestWorker(api, org.client, { pool_ids: [pool], skills });
    expect(await names(`pool=${pool}&skill=welding`)).toEqual([person.worker_id]);
    expect(await names('skill=welding&skill=first%20aid%2C%20level%202')).toEqual([person.worker_id]);
    expect(await names('skill=welding&skill=diving')).toEqual([]);
    expect(await names(`pool=${pool}`)).toEqual([person.worker_id]);
    expect(await names(`pool=${pool}&availability=away,offline`)).toEqual([]);
    expect(await names(`pool=${pool}&idle_for_seconds=0`)).toEqual([person.worker_id]);
    expect(await names(`pool=${pool}&idle_for_seconds=3600`)).toEqual([]);
    expect(await names('at_capacity=true')).toContain(late.person.worker_id);
    expect(await names(`pool=${pool}&at_capacity=true`)).toEqual([]);
    const key = await createKey(api, org.client, { pools: [pool] });
    const both = await createPool(org.client);
    await org.client.patch(`/v1/workers/${person.worker_id}`, { pool_ids: [pool, both] });
    expect(await names(`pool=${both}`, key)).toEqual([]);
  });

  test('shows when a worker was last seen', async () => {
    const person = await createTestWorker(api, org.client);
    const seenAt = async () =>
      (await org.client.get<{ last_seen_at: string | null }>(`/v1/workers/${person.worker_id}`)).last_seen_at;
    expect(await seenAt()).toBeNull();
    await person.client.get('/v1/worker');
    expect(Math.abs(Date.parse((await seenAt()) ?? '') - Date.now())).toBeLessThan(60_000);
  });
});
