// Reports of workers: the task goes to no worker until a reviewer has decided.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Changed, changeTask } from '../../../../src/store/commands/change.ts';
import { RedisClock } from '../../../../src/store/redis/clock.ts';
import {
  createOrg,
  type EventView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker, type TaskInStatus, taskBody } from '../../../support/workers.ts';

let api: TestApi;
let org: Org;
let clock: RedisClock;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  clock = new RedisClock(api.redis);
  await clock.start();
});
afterAll(async () => {
  clock?.stop();
  await api?.close();
});

const report = ({ task, person }: TaskInStatus) =>
  person.client.request('POST', `/v1/worker/tasks/${task.task_id}/report`, { body: { reason: 'abusive' } });
const review = ({ task }: TaskInStatus, body: object) =>
  org.client.request('POST', `/v1/tasks/${task.task_id}/review`, { body });
const taskOf = ({ task }: TaskInStatus) => org.client.get<TaskView>(`/v1/tasks/${task.task_id}`);
/** Matches the task as a processor would that has not seen the report. */
const match = ({ task }: TaskInStatus, worker_id: string): Promise<Changed> =>
  changeTask(
    { redis: api.redis, prefix: api.prefix, clock },
    org.org_id,
    task.task_id,
    [{ name: 'match', worker_ids: [worker_id] }],
    { actor: 'system' },
  );

test('runs the walk-through of the document', async () => {
  const { task, person } = await createTaskIn(api, org, 'started');
  const clients = { worker: person.client, requester: org.client };
  await walk(walkThrough('supervision.md', 'Reports'), clients, { task_id: task.task_id });
});

test('a reported task is in review until a reviewer has decided', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const inReview = async () => (await org.client.get<Page<TaskView>>('/v1/tasks?in_review=true')).data;
  const isListed = async () => (await inReview()).some(({ task_id }) => task_id === staged.task.task_id);
  expect(await isListed()).toBe(false);
  expect((await report(staged)).status).toBe(204);
  expect(await isListed()).toBe(true);
  expect((await review(staged, { decision: 'reject', feedback: 'not for us' })).status).toBe(200);
  expect(await isListed()).toBe(false);
});

test('a reported task is offered to no worker until it is returned, and then to another first', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const { task_id } = staged.task;
  const before = await staged.person.client.get<Record<string, unknown>>('/v1/worker');
  expect((await report(staged)).status).toBe(204);
  const { acceptance_rate, lapse_rate, availability } = before;
  expect(await staged.person.client.get('/v1/worker')).toMatchObject({
    acceptance_rate,
    lapse_rate,
    availability,
    active_tasks: 0,
  });
  const other = await createTestWorker(api, org.client, { pool_ids: [staged.poolId] });
  // A later task of the pool is matched first, so the reported one had its turn.
  const body = taskBody({ requirements: { worker_pool_id: staged.poolId } });
  const later = await org.client.post<TaskView>('/v1/tasks', body);
  const taken = await Promise.race([other.offerOf(later.task_id), staged.person.offerOf(later.task_id)]);
  expect(taken.task_id).toBe(later.task_id);
  expect(await taskOf(staged)).toMatchObject({
    status: 'queued',
    report: { decision: null, worker_id: staged.person.worker_id },
  });
  expect(await match(staged, other.worker_id)).toMatchObject({ ok: false, code: 'invalid_transition' });
  expect(await org.client.get(`/v1/tasks/${task_id}/match`)).toMatchObject({
    reason: 'not_waiting',
    queue: null,
  });
  await org.client.post(`/v1/tasks/${later.task_id}/cancel`);
  expect((await review(staged, { decision: 'reassign' })).status).toBe(200);
  await other.offerOf(task_id);
  expect(await taskOf(staged)).toMatchObject({ report: { decision: 'reassign' } });
  const { data } = await org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
  expect(data.slice(6)).toMatchObject([
    {
      type: 'task.reported',
      status: 'started',
      previous_status: 'started',
      data: { reason: 'abusive', text: null },
    },
    { type: 'task.queued', data: { reason: 'reported' } },
    { type: 'task.queued', data: { reason: 'reassigned' } },
    { type: 'task.matched' },
    { type: 'task.offered' },
  ]);
});

test('a review needs a report, and an approval a submission', async () => {
  const queued = await createTaskIn(api, org, 'queued');
  expect((await review(queued, { decision: 'reassign' })).outcome).toBe('409 invalid_transition');
  const staged = await createTaskIn(api, org, 'accepted');
  await report(staged);
  expect((await review(staged, { decision: 'approve' })).outcome).toBe('409 invalid_transition');
  expect((await review(staged, { decision: 'rework', feedback: 'x' })).outcome).toBe(
    '409 invalid_transition',
  );
  expect((await review(staged, { decision: 'reject' })).outcome).toBe('422 validation_failed');
  expect((await report(staged)).outcome).toBe('404 not_found');
  expect((await org.client.request('POST', `/v1/tasks/${staged.task.task_id}/cancel`)).status).toBe(200);
});

test('of a report and a submission at the same time one wins', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const submit = staged.person.client.request('POST', `/v1/worker/tasks/${staged.task.task_id}/submit`, {
    body: { output: { seen: true } },
  });
  const [reported, submitted] = await Promise.all([report(staged), submit]);
  const { status } = await taskOf(staged);
  expect([reported.status === 204, submitted.status === 200]).toEqual(
    status === 'queued' ? [true, false] : [false, true],
  );
});
