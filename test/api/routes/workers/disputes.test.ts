// Disputes of rejections: who may open one and when, what the rating does meanwhile, and what stays as it is.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createKey,
  createOrg,
  type EventView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker, type TaskInStatus } from '../../../support/workers.ts';

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
  org = await createOrg(api);
});
afterAll(() => api?.close());

type Given = Record<string, unknown>;
const review = ({ task }: TaskInStatus, body: Given) =>
  org.client.request('POST', `/v1/tasks/${task.task_id}/review`, { body });
const dispute = (
  { task, person }: TaskInStatus,
  given: { body?: Given; headers?: Record<string, string> } = {},
) =>
  person.client.request('POST', `/v1/worker/tasks/${task.task_id}/dispute`, {
    body: { text: 'It is right.' },
    ...given,
  });
const resolve = ({ task }: TaskInStatus, decision: string, client = org.client) =>
  client.request('POST', `/v1/tasks/${task.task_id}/dispute/resolve`, { body: { decision } });
const ratingOf = async ({ person }: TaskInStatus) => {
  const { rating, rating_count } = await org.client.get<{ rating: number; rating_count: number }>(
    `/v1/workers/${person.worker_id}`,
  );
  return [rating, rating_count];
};
const rejected = async (fields: Given = {}): Promise<TaskInStatus> => {
  const staged = await createTaskIn(api, org, 'submitted', fields);
  expect((await review(staged, { decision: 'reject', feedback: 'no', rating: 1 })).status).toBe(200);
  return staged;
};

test('runs the walk-through of the document', async () => {
  const { task, person } = await createTaskIn(api, org, 'submitted');
  await walk(
    walkThrough('supervision.md', 'Disputes'),
    { worker: person.client, requester: org.client },
    { task_id: task.task_id, worker_id: person.worker_id },
  );
});

test('the rating of a rejection counts until it is disputed, and again when it is upheld', async () => {
  const staged = await rejected();
  expect(await ratingOf(staged)).toEqual([4.636, 1]);
  expect((await dispute(staged)).status).toBe(200);
  expect(await ratingOf(staged)).toEqual([5, 0]);
  expect((await resolve(staged, 'uphold')).as<TaskView>()).toMatchObject({
    status: 'failed',
    dispute: { status: 'upheld', decision_text: null, decided_by: expect.stringContaining('api_key:') },
  });
  expect(await ratingOf(staged)).toEqual([4.636, 1]);
  const { data } = await org.client.get<Page<EventView>>(`/v1/tasks/${staged.task.task_id}/events`);
  expect(data.slice(-3)).toMatchObject([
    { type: 'task.failed' },
    {
      type: 'task.disputed',
      status: 'failed',
      previous_status: 'failed',
      actor: `worker:${staged.person.worker_id}`,
      data: { worker_id: staged.person.worker_id, text: 'It is right.' },
    },
    { type: 'task.disputed', status: 'failed', data: { decision: 'uphold', text: null } },
  ]);
});

test('a rating that was set after the rejection stays as it is', async () => {
  const [early, late] = [await rejected(), await rejected()];
  const reset = ({ person }: TaskInStatus) =>
    org.client.request('PATCH', `/v1/workers/${person.worker_id}`, { body: { rating: 3 } });
  expect((await reset(early)).status).toBe(200);
  await dispute(early);
  expect(await ratingOf(early)).toEqual([3, 0]);
  await dispute(late);
  await reset(late);
  await resolve(late, 'uphold');
  expect(await ratingOf(late)).toEqual([3, 0]);
});

test('only the worker of a finally rejected submission may dispute it, once', async () => {
  const submitted = await createTaskIn(api, org, 'submitted');
  expect((await dispute(submitted)).outcome).toBe('409 task_not_rejected');
  expect((await resolve(submitted, 'uphold')).outcome).toBe('409 dispute_not_open');
  await review(submitted, { decision: 'reject', feedback: 'no' });
  const colleague = await createTestWorker(api, org.client);
  expect((await dispute({ ...submitted, person: colleague })).outcome).toBe('404 not_found');
  const stranger = await createOrg(api);
  expect((await resolve(submitted, 'uphold', stranger.client)).outcome).toBe('404 not_found');
  const both = await Promise.all([dispute(submitted), dispute(submitted)]);
  expect(both.map((one) => one.outcome).sort()).toEqual(['200', '409 already_disputed']);
  const decided = await Promise.all([resolve(submitted, 'uphold'), resolve(submitted, 'overturn')]);
  expect(decided.map((one) => one.outcome).sort()).toEqual(['200', '409 dispute_not_open']);
  expect((await dispute(submitted)).outcome).toBe('409 already_disputed');
});

test('a task that ended otherwise has no rejection to dispute', async () => {
  const completed = await createTaskIn(api, org, 'completed');
  expect((await dispute(completed)).outcome).toBe('409 task_not_rejected');
  const exhausted = await createTaskIn(api, org, 'submitted', {});
  for (let attempt = 1; attempt < 3; attempt += 1) {
    await review(exhausted, { decision: 'rework', feedback: 'again' });
    await exhausted.person.submit(exhausted.task.task_id);
  }
  await review(exhausted, { decision: 'rework', feedback: 'again' });
  expect((await dispute(exhausted)).outcome).toBe('409 task_not_rejected');
  const reported = await createTaskIn(api, org, 'started');
  await reported.person.client.post(`/v1/worker/tasks/${reported.task.task_id}/report`, { reason: 'other' });
  await review(reported, { decision: 'reject', feedback: 'not for us' });
  expect((await dispute(reported)).outcome).toBe('404 not_found');
});

test('refuses a text that is empty, too long or no plain text, and a body with an unknown decision', async () => {
  const staged = await rejected();
  for (const text of ['', 'x'.repeat(10_001), 'a\u0007b', undefined])
    expect((await dispute(staged, { body: { text } })).outcome).toBe('422 validation_failed');
  expect((await dispute(staged, { body: { text: 'x'.repeat(10_000) } })).status).toBe(200);
  expect((await resolve(staged, 'maybe')).as<{ errors: object[] }>().errors).toMatchObject([
    { pointer: '/decision' },
  ]);
});

test('is repeated by its Idempotency-Key, and refused on a stale version', async () => {
  const staged = await rejected();
  expect((await dispute(staged, { headers: { 'If-Match': '"1"' } })).outcome).toBe('412 version_mismatch');
  const once = { headers: { 'Idempotency-Key': 'dispute-1' } };
  const [first, second] = [await dispute(staged, once), await dispute(staged, once)];
  expect([second.status, second.text]).toEqual([200, first.text]);
  expect(second.headers.get('idempotent-replayed')).toBe('true');
});

test('a disputed task is in review until it is decided, and only for keys of its pool', async () => {
  const staged = await rejected();
  const confined = await createKey(api, org.client, { pools: [staged.poolId] });
  const ids = async () => {
    const { data } = await confined.get<Page<TaskView>>('/v1/tasks?in_review=true&status=failed');
    return data.map((one) => one.task_id);
  };
  expect(await ids()).toEqual([]);
  await dispute(staged);
  expect(await ids()).toEqual([staged.task.task_id]);
  expect((await resolve(staged, 'overturn', confined)).status).toBe(200);
  expect(await ids()).toEqual([]);
  const own = await staged.person.client.get<{ dispute: object }>(`/v1/worker/tasks/${staged.task.task_id}`);
  expect(own.dispute).toEqual({
    worker_id: staged.person.worker_id,
    text: 'It is right.',
    opened_at: expect.any(String),
    status: 'overturned',
    decision_text: null,
    decided_at: expect.any(String),
  });
});

test('a task whose history is purged at its end is disputed without events', async () => {
  const staged = await rejected({ audit: { log_required: false } });
  const { task_id } = staged.task;
  const history = () => org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
  await expect.poll(async () => (await history()).data, { timeout: 20_000 }).toEqual([]);
  expect((await dispute(staged)).status).toBe(200);
  expect((await resolve(staged, 'overturn')).status).toBe(200);
  expect((await history()).data).toEqual([]);
  expect(await ratingOf(staged)).toEqual([5, 0]);
});

test('is delivered to a callback that names the event, when it is opened and when it is decided', async () => {
  const { url, received } = await startCallbackReceiver();
  const events = ['task.failed', 'task.disputed'];
  const staged = await rejected({ handoff: { callback_url: url, events, ordering: 'per_task' } });
  await dispute(staged);
  await resolve(staged, 'overturn');
  await expect.poll(() => received.length, { timeout: 20_000 }).toBe(3);
  const told = received.map(({ body }) => JSON.parse(body) as { type: string; data: Given });
  expect(told.map(({ type, data }) => [type, data.status, data.decision])).toEqual([
    ['task.failed', 'failed', undefined],
    ['task.disputed', 'failed', undefined],
    ['task.disputed', 'failed', 'overturn'],
  ]);
});
