// Tasks that start later, by REST and webhooks: `created` until their `not_before`, then queued like any other.
import { describe, expect, test } from 'vitest';
import {
  createPool,
  type EventView,
  freshName,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTestWorker, taskBody } from '../../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();
const create = (fields: Record<string, unknown>) => org.client.post<TaskView>('/v1/tasks', taskBody(fields));
const now = ({ task_id }: TaskView) => org.client.get<TaskView>(`/v1/tasks/${task_id}`);
const typesOf = async ({ task_id }: TaskView) =>
  (await org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`)).data.map((one) => one.type);
const faults = async (method: string, path: string, body: unknown) => {
  const answer = await org.client.request(method, path, { body });
  return answer.status === 422 ? answer.problem.errors?.map((one) => one.pointer) : answer.status;
};

test('runs the walk-through of the document', async () => {
  const names = {
    request: freshName('request'),
    tomorrow: inMs(DAY),
    this_evening: inMs(HOUR),
    soon: inMs(1500),
  };
  await walk(walkThrough('supervision.md', 'Start later'), { requester: org.client }, names);
});

test('a scheduled task is queued at its time, and its clocks and numbers count from then', async () => {
  const receiver = await startCallbackReceiver();
  const pool = await createPool(org.client);
  const person = await createTestWorker(api, org.client, { pool_ids: [pool] });
  const not_before = inMs(2500);
  const task = await create({
    not_before,
    requirements: { worker_pool_id: pool },
    sla: { urgency: 'normal', target_latency_seconds: 1 },
    handoff: { callback_url: receiver.url, events: ['task.created', 'task.queued', 'task.sla_breached'] },
  });
  expect(task).toMatchObject({ status: 'created', not_before, version: 1 });
  await expect.poll(() => receiver.received.map((one) => one.type)).toEqual(['task.created']);
  const listed = await org.client.get<Page<TaskView>>('/v1/tasks?status=created');
  expect(listed.data.map((one) => one.task_id)).toContain(task.task_id);
  expect((await person.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
  // The worker is ready, and yet it is not offered.
  expect(await org.client.get(`/v1/tasks/${task.task_id}/match`)).toMatchObject({
    reason: 'scheduled',
    workers: { eligible: 1 },
  });

  const offer = await person.offerOf(task.task_id);
  expect(offer).toMatchObject({ task: { not_before } });
  await person.accept(task.task_id);
  await person.start(task.task_id);
  await expect
    .poll(async () => (await now(task)).sla, { timeout: 10_000 })
    .toMatchObject({ breaches: [{ due_at: new Date(Date.parse(not_before) + 1000).toISOString() }] });
  await person.submit(task.task_id);
  await org.client.get(`/v1/tasks/${task.task_id}?wait=20`);
  await expect
    .poll(() => receiver.received.map((one) => one.type))
    .toEqual(['task.created', 'task.queued', 'task.sla_breached']);
  const [, queued] = receiver.received.map((one) => JSON.parse(one.body) as { timestamp: string });
  expect(Date.parse(queued?.timestamp ?? '')).toBeGreaterThanOrEqual(Date.parse(not_before));
  const { totals } = await org.client.get<{ totals: { waiting_seconds: { p99: number } }[] }>(
    `/v1/stats?group_by=pool`,
  );
  const row = totals.find((one) => 'group' in one && one.group === pool);
  expect(row?.waiting_seconds.p99).toBeLessThan(2);
});

test('a time in the past is as if there were none', async () => {
  const task = await create({ not_before: '2020-01-01T00:00:00+01:00' });
  expect(task).toMatchObject({ status: 'queued', not_before: '2019-12-31T23:00:00.000Z' });
  expect(await typesOf(task)).toEqual(['task.created', 'task.queued']);
});

describe('until its time, a scheduled task', () => {
  const scheduled = (fields: object = {}) => create({ not_before: inMs(HOUR), ...fields });

  test('can be cancelled', async () => {
    const task = await scheduled();
    const ended = await org.client.post<TaskView>(`/v1/tasks/${task.task_id}/cancel`, { reason: 'sooner' });
    expect(ended.status).toBe('cancelled');
    expect(await typesOf(task)).toEqual(['task.created', 'task.cancelled']);
  });

  test('can be changed, but not to a deadline before it starts', async () => {
    const task = await scheduled();
    const path = `/v1/tasks/${task.task_id}`;
    const changed = await org.client.patch<TaskView>(path, {
      sla: { urgency: 'high', deadline: inMs(2 * HOUR) },
      requirements: { skills: ['other'] },
    });
    expect(changed).toMatchObject({ status: 'created', sla: { urgency: 'high' } });
    const answer = await org.client.request('PATCH', path, { body: { sla: { deadline: inMs(HOUR / 2) } } });
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors).toEqual([
      { pointer: '/sla/deadline', message: 'must be later than not_before' },
    ]);
    expect(await faults('PATCH', path, { sla: { deadline: task.not_before } })).toEqual(['/sla/deadline']);
    expect(await faults('PATCH', path, { sla: { deadline: null } })).toBe(200);
    expect(await faults('PATCH', path, { not_before: inMs(2 * HOUR) })).toEqual(['/not_before']);
  });

  test('cannot be taken back or given to a worker', async () => {
    const { task_id } = await scheduled();
    const { worker_id } = await createTestWorker(api, org.client, { skills: ['skill_of_nobody'] });
    for (const [action, body] of [
      ['requeue', { reason: 'x' }],
      ['assign', { worker_id, force: true }],
    ] as const) {
      const answer = await org.client.request('POST', `/v1/tasks/${task_id}/${action}`, { body });
      expect(answer.outcome).toBe('409 invalid_transition');
    }
  });

  test('is answered again unchanged to the same Idempotency-Key', async () => {
    const options = {
      body: taskBody({ not_before: inMs(1200) }),
      headers: { 'Idempotency-Key': freshName('k') },
    };
    const first = await org.client.request('POST', '/v1/tasks', options);
    await expect
      .poll(async () => (await now(first.as<TaskView>())).status, { timeout: 10_000 })
      .toBe('queued');
    const again = await org.client.request('POST', '/v1/tasks', options);
    expect(again.text).toBe(first.text);
    expect(first.as<TaskView>().status).toBe('created');
  });
});

test('the copies of a scheduled task are made when it is queued, and none if it is cancelled', async () => {
  const pool = await createPool(org.client);
  const people = [
    await createTestWorker(api, org.client, { pool_ids: [pool] }),
    await createTestWorker(api, org.client, { pool_ids: [pool] }),
  ];
  const copies = { count: 2, agreement: { mode: 'unanimous' } };
  const fields = {
    requirements: { worker_pool_id: pool },
    output: { expected_format: 'structured_json', schema: { seen: 'boolean' }, copies },
  };
  const dropped = await create({ not_before: inMs(HOUR), ...fields });
  const ended = await org.client.post<TaskView>(`/v1/tasks/${dropped.task_id}/cancel`);
  expect(ended.status).toBe('cancelled');
  const task = await create({ not_before: inMs(1500), ...fields });
  expect(task.status).toBe('created');
  for (const person of people) {
    let offers: OfferView[] = [];
    const offered = async () => {
      offers = (await person.client.get<Page<OfferView>>('/v1/worker/offers?wait=5')).data;
      return offers.length;
    };
    await expect.poll(offered, { timeout: 20_000 }).toBe(1);
    for (const { offer_id, task_id } of offers) {
      await person.client.post(`/v1/worker/offers/${offer_id}/accept`);
      await person.start(task_id);
      await person.submit(task_id);
    }
  }
  const done = await org.client.get<TaskView>(`/v1/tasks/${task.task_id}?wait=20`);
  expect(done).toMatchObject({ status: 'completed', result: { agreement: { count: 2 } } });
  expect((await typesOf(task)).slice(0, 2)).toEqual(['task.created', 'task.queued']);
});

describe('the body of a new task', () => {
  const faultsOf = (fields: object) => faults('POST', '/v1/tasks', taskBody({ ...fields }));
  const until = (deadline: string) => ({ sla: { urgency: 'normal', deadline } });

  test('may start at most a year ahead, and before its deadline', async () => {
    expect(await faultsOf({ not_before: inMs(364 * DAY) })).toBe(201);
    expect(await faultsOf({ not_before: inMs(366 * DAY) })).toEqual(['/not_before']);
    expect(await faultsOf({ not_before: 'tomorrow' })).toEqual(['/not_before']);
    const at = inMs(HOUR);
    for (const deadline of [at, inMs(HOUR / 2)])
      expect(await faultsOf({ not_before: at, ...until(deadline) })).toEqual([
        '/not_before',
        '/sla/deadline',
      ]);
    expect(await faultsOf({ not_before: at, ...until(inMs(2 * HOUR)) })).toBe(201);
    expect(await faultsOf({ not_before: '2020-01-01T00:00:00Z', ...until(at) })).toBe(201);
  });

  test('is scheduled in a batch too, and a preview says so', async () => {
    const not_before = inMs(HOUR);
    const tasks = [taskBody({ not_before }), taskBody(), taskBody({ not_before: inMs(400 * DAY) })];
    const { results } = await org.client.post<{
      results: { task?: TaskView; error?: { errors: { pointer: string }[] } }[];
    }>('/v1/tasks/batch', { tasks });
    expect(results.map((one) => one.task?.status ?? one.error?.errors[0]?.pointer)).toEqual([
      'created',
      'queued',
      '/tasks/2/not_before',
    ]);
    await createTestWorker(api, org.client, { skills: ['previews'] });
    const body = taskBody({ not_before, requirements: { skills: ['previews'] } });
    const preview = await org.client.post<{ estimated_wait_seconds: number }>('/v1/tasks/preview', body);
    expect(preview).toMatchObject({ reason: 'scheduled', workers: { eligible: 1 } });
    expect(preview.estimated_wait_seconds).toBeGreaterThan(3590);
  });

  test('cannot get it from a task type', async () => {
    expect(await faults('PUT', '/v1/task-types/later', { not_before: inMs(HOUR) })).toEqual(['/not_before']);
  });
});
