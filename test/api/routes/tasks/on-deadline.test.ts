// What happens at the deadline when no worker has the task: it fails, or completes with the default output of
// `sla.on_deadline`, which is marked so and counts for no worker.
import { describe, expect, test } from 'vitest';
import {
  type Client,
  type EventView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { createTestWorker, OUTPUT, taskBody } from '../../../support/workers.ts';

const DEFAULT = { seen: false };
const RESULT = {
  output: DEFAULT,
  source: 'default',
  evidence: [],
  notes: null,
  worker_id: null,
  submitted_at: null,
};

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();
const slaOf = (deadline: string, output: unknown = DEFAULT) => ({
  urgency: 'normal',
  deadline,
  on_deadline: { action: 'complete', output },
});
const create = (client: Client, fields: Record<string, unknown>) =>
  client.post<TaskView>('/v1/tasks', taskBody(fields));
const atLast = ({ task_id }: TaskView) => org.client.get<TaskView>(`/v1/tasks/${task_id}?wait=30`);
const eventsOf = ({ task_id }: TaskView) =>
  org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`).then((page) => page.data);

test('a deadline on which a default output depends can be moved, but not removed', async () => {
  const { client } = org;
  const { task_id, version } = await create(client, { sla: slaOf(inMs(60_000)) });
  const removal = { body: { sla: { deadline: null } } };
  const refused = await client.request('PATCH', `/v1/tasks/${task_id}`, removal);
  expect([refused.outcome, refused.problem.errors]).toEqual([
    '422 validation_failed',
    [{ pointer: '/sla/deadline', message: 'is required by sla.on_deadline' }],
  ]);
  const later = inMs(120_000);
  expect(await client.patch(`/v1/tasks/${task_id}`, { sla: { deadline: later } })).toMatchObject({
    version: version + 1,
    sla: { deadline: later },
  });
});

describe('at the deadline', () => {
  test('a task that no worker accepted completes with the default output, also in its webhook', async () => {
    const receiver = await startCallbackReceiver();
    const task = await create(org.client, {
      sla: slaOf(inMs(1500)),
      handoff: { callback_url: receiver.url, events: ['task.completed', 'task.failed'] },
    });
    expect(task.sla).toMatchObject({ on_deadline: { action: 'complete', output: DEFAULT } });
    const done = await atLast(task);
    expect(done).toMatchObject({
      status: 'completed',
      failure: null,
      assignment: null,
      submission: null,
      result: RESULT,
      sla: { breaches: [{ clock: 'deadline' }] },
    });
    expect(Date.parse(String(done.completed_at))).toBeGreaterThanOrEqual(
      Date.parse(String((task.sla as { deadline: string }).deadline)),
    );
    expect((await eventsOf(task)).at(-1)).toMatchObject({
      type: 'task.completed',
      previous_status: 'queued',
      actor: 'system',
      data: { result: RESULT },
    });
    await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBe(1);
    const [{ type, body } = { type: '', body: '{}' }] = receiver.received;
    expect([type, JSON.parse(body).data.result]).toEqual(['task.completed', RESULT]);
  });

  test('a task that is only offered completes, and the worker is freed without a mark', async () => {
    const person = await createTestWorker(api, org.client, { skills: ['reads'], rating: 4 });
    const task = await create(org.client, { sla: slaOf(inMs(2000)), requirements: { skills: ['reads'] } });
    const offer = await person.offerOf(task.task_id);
    expect(JSON.stringify(offer)).not.toContain('on_deadline');
    expect((await atLast(task)).result).toEqual(RESULT);
    const worker = await org.client.get<Record<string, unknown>>(`/v1/workers/${person.worker_id}`);
    expect(worker).toMatchObject({ rating: 4, rating_count: 0, acceptance_rate: null, lapse_rate: null });
    const answer = await person.client.request('POST', `/v1/worker/offers/${offer.offer_id}/accept`);
    expect(answer.outcome).toBe('409 offer_not_pending');
  });

  test('work goes on, and its late result counts; given up, the task completes with the default output', async () => {
    const people = await Promise.all(
      ['late', 'gone'].map((skill) => createTestWorker(api, org.client, { skills: [skill] })),
    );
    const deadline = inMs(2500);
    const [late, gone] = await Promise.all(
      ['late', 'gone'].map((skill) =>
        create(org.client, { sla: slaOf(deadline), requirements: { skills: [skill] } }),
      ),
    );
    if (late === undefined || gone === undefined) throw new Error('no tasks');
    for (const [index, task] of [late, gone].entries()) {
      await people[index]?.accept(task.task_id);
      await people[index]?.start(task.task_id);
    }
    for (const { task_id } of [late, gone])
      await expect
        .poll(async () => (await org.client.get<TaskView>(`/v1/tasks/${task_id}`)).sla, { timeout: 10_000 })
        .toMatchObject({ breaches: [{ clock: 'deadline' }] });
    expect((await org.client.get<TaskView>(`/v1/tasks/${gone.task_id}`)).status).toBe('started');
    await people[0]?.submit(late.task_id);
    await people[1]?.client.request('POST', `/v1/worker/tasks/${gone.task_id}/release`);
    const done = await atLast(late);
    expect(done.result).toMatchObject({ output: OUTPUT, worker_id: people[0]?.worker_id });
    expect(done.result).not.toHaveProperty('source');
    expect(await atLast(gone)).toMatchObject({ status: 'completed', result: RESULT });
  });

  test('a rejected submission fails the task; only time out gives the default output', async () => {
    const person = await createTestWorker(api, org.client, { skills: ['judged'] });
    const output = {
      expected_format: 'structured_json',
      schema: { seen: 'boolean' },
      review: { mode: 'manual' },
    };
    const task = await create(org.client, {
      sla: slaOf(inMs(60_000)),
      requirements: { skills: ['judged'] },
      output,
    });
    await person.accept(task.task_id);
    await person.start(task.task_id);
    await person.submit(task.task_id);
    await org.client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'reject', feedback: 'no' });
    expect(await atLast(task)).toMatchObject({
      status: 'failed',
      failure: { code: 'rejected' },
      result: null,
    });
  });

  test('a task fails without on_deadline, and with the action fail', async () => {
    for (const on_deadline of [undefined, { action: 'fail' }]) {
      const task = await create(org.client, { sla: { urgency: 'low', deadline: inMs(1200), on_deadline } });
      expect(await atLast(task)).toMatchObject({
        status: 'failed',
        failure: { code: 'deadline_exceeded' },
        result: null,
      });
    }
  });
});

describe('a default output', () => {
  const faults = async (fields: Record<string, unknown>) => {
    const answer = await org.client.request('POST', '/v1/tasks', { body: taskBody(fields) });
    return answer.status === 422 ? answer.problem.errors : answer.status;
  };

  test('must be valid under the output schema', async () => {
    expect(await faults({ sla: slaOf(inMs(60_000), { seen: 'no', more: 1 }) })).toEqual([
      { pointer: '/sla/on_deadline/output/seen', message: expect.any(String) },
      { pointer: '/sla/on_deadline/output/more', message: expect.any(String) },
    ]);
    const schema = { type: 'object', properties: { seen: { type: 'boolean' } }, required: ['seen'] };
    const output = { expected_format: 'structured_json', schema };
    expect(await faults({ sla: slaOf(inMs(60_000), {}), output })).toMatchObject([
      { pointer: '/sla/on_deadline/output/seen' },
    ]);
    expect(await faults({ sla: slaOf(inMs(60_000), 7), output: { expected_format: 'text' } })).toMatchObject([
      { pointer: '/sla/on_deadline/output' },
    ]);
  });

  test('requires a deadline, and no other fields are known', async () => {
    const on_deadline = { action: 'complete', output: DEFAULT };
    expect(await faults({ sla: { urgency: 'low', on_deadline } })).toEqual([
      { pointer: '/sla/on_deadline', message: 'requires sla.deadline' },
    ]);
    const deadline = inMs(60_000);
    const withOutput = { urgency: 'low', deadline, on_deadline: { action: 'fail', output: 1 } };
    expect(await faults({ sla: withOutput })).toMatchObject([{ pointer: '/sla/on_deadline/output' }]);
    for (const action of ['complete', 'other', undefined])
      expect(await faults({ sla: { urgency: 'low', deadline, on_deadline: { action } } })).toEqual([
        expect.objectContaining({ pointer: expect.stringMatching(/^.sla.on_deadline.(output|action)$/) }),
      ]);
  });
});
