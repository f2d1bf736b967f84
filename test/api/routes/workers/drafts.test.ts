// Drafts of a worker: saved, read and removed through the API, and ended by what happens to the task.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { orgKeysOf } from '../../../../src/store/redis/keys.ts';
import {
  type Answer,
  type EventView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker, type TaskInStatus } from '../../../support/workers.ts';

interface DraftView {
  output?: unknown;
  notes?: string;
  version: number;
  saved_at: string | null;
}

const { api, org } = await startApiOfFile({ processors: true });
afterEach(() => vi.restoreAllMocks());

const pathOf = ({ task }: TaskInStatus) => `/v1/worker/tasks/${task.task_id}/draft`;
const put = (staged: TaskInStatus, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  staged.person.client.request('PUT', pathOf(staged), { body, headers });
const draftOf = (staged: TaskInStatus) => staged.person.client.get<DraftView>(pathOf(staged));
const isStored = async ({ task }: TaskInStatus) =>
  (await api.redis.exists(orgKeysOf(api.prefix, org.org_id).draft(task.task_id))) === 1;
const review = ({ task }: TaskInStatus, decision: string) =>
  org.client.post(`/v1/tasks/${task.task_id}/review`, { decision, feedback: 'because' });

const EMPTY = { version: 0, saved_at: null };

test('runs the walk-through of the document', async () => {
  const { task, person } = await createTaskIn(api, org, 'started');
  await walk(walkThrough('supervision.md', 'Drafts'), { worker: person.client }, { task_id: task.task_id });
});

describe('a save', () => {
  test('replaces the draft and tells its version and time, which a later read repeats', async () => {
    const staged = await createTaskIn(api, org, 'accepted');
    expect(await draftOf(staged)).toEqual(EMPTY);
    const first = await put(staged, { output: { a: [1, null, 'x'] }, notes: 'n' });
    expect([first.status, first.headers.get('etag'), first.as<DraftView>().version]).toEqual([200, '"1"', 1]);
    const second = await put(staged, { output: null });
    const read = await staged.person.client.request('GET', pathOf(staged));
    expect(read.as<DraftView>()).toEqual({ output: null, ...second.as<DraftView>() });
    expect(read.headers.get('etag')).toBe('"2"');
    await put(staged, {});
    expect(await draftOf(staged)).toEqual({ version: 3, saved_at: expect.any(String) });
  });

  test('with an outdated If-Match is refused, also after the draft was deleted', async () => {
    const staged = await createTaskIn(api, org, 'started');
    expect((await put(staged, { output: 1 }, { 'If-Match': '"0"' })).outcome).toBe('200');
    expect((await put(staged, { output: 2 }, { 'If-Match': '"0"' })).outcome).toBe('412 version_mismatch');
    expect((await put(staged, { output: 3 }, { 'If-Match': '"1"' })).outcome).toBe('200');
    await staged.person.client.delete(pathOf(staged));
    expect((await put(staged, { output: 4 }, { 'If-Match': '"1"' })).outcome).toBe('412 version_mismatch');
    expect((await put(staged, { output: 5 }, { 'If-Match': '"3"' })).as<DraftView>().version).toBe(4);
  });

  test('takes any JSON of 256 KiB and no more', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const raw = (bytes: number) => ({ raw: `{"output":"${'x'.repeat(bytes - 13)}"}` });
    const send = (bytes: number) => staged.person.client.request('PUT', pathOf(staged), raw(bytes));
    expect((await send(256 * 1024)).outcome).toBe('200');
    expect((await send(256 * 1024 + 1)).outcome).toBe('413 body_too_large');
  });

  test('changes neither the task nor its history', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 1 });
    const path = `/v1/tasks/${staged.task.task_id}`;
    expect(await org.client.get<TaskView>(path)).toEqual(staged.task);
    const { data } = await org.client.get<Page<EventView>>(`${path}/events`);
    expect(data.at(-1)?.type).toBe('task.started');
  });

  test('loads in one round trip and commits in another', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 1 });
    const sent = vi.spyOn(api.web.db.redis, 'sendCommand');
    await put(staged, { output: 2 });
    const mine = sent.mock.calls.flatMap(([{ name, args }]) =>
      args.some((one) => String(one).includes(staged.task.task_id)) ? [name] : [],
    );
    expect(mine).toEqual(['hmget', 'hmget', 'evalsha']);
  });

  test('has no effect when the task ends between its load and its commit', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const { redis } = api.web.db;
    const hmget = redis.hmget.bind(redis);
    let isFirst = true;
    vi.spyOn(redis, 'hmget').mockImplementation(async (...given: unknown[]) => {
      const found = await Reflect.apply(hmget, redis, given);
      if (isFirst && String(given[0]).includes(':draft:')) {
        isFirst = false;
        await org.client.post(`/v1/tasks/${staged.task.task_id}/cancel`);
      }
      return found;
    });
    expect((await put(staged, { output: 1 })).outcome).toBe('409 invalid_transition');
    expect([isFirst, await isStored(staged)]).toEqual([false, false]);
  });
});

describe('a draft', () => {
  test('is seen by its worker alone, with any of their tokens', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 'mine' });
    const { worker_id } = staged.person;
    const { token } = await org.client.post<{ token: string }>(`/v1/workers/${worker_id}/tokens`);
    const again = api.client(token);
    expect((await again.get<DraftView>(pathOf(staged))).output).toBe('mine');
    const colleague = await createTestWorker(api, org.client, { pool_ids: [staged.poolId] });
    for (const method of ['GET', 'PUT', 'DELETE'])
      expect(
        (await colleague.client.request(method, pathOf(staged), method === 'PUT' ? { body: {} } : {}))
          .outcome,
      ).toBe('404 not_found');
  });

  test('can be read after the submission, changed after rework, and is gone at the end', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 'first' });
    await staged.person.submit(staged.task.task_id);
    expect((await draftOf(staged)).output).toBe('first');
    expect((await put(staged, { output: 'late' })).outcome).toBe('409 invalid_transition');
    await review(staged, 'rework');
    expect(await draftOf(staged)).toMatchObject({ output: 'first', version: 1 });
    expect((await put(staged, { output: 'second' })).outcome).toBe('200');
    await staged.person.submit(staged.task.task_id);
    await review(staged, 'reject');
    expect(await draftOf(staged)).toEqual(EMPTY);
    expect(await isStored(staged)).toBe(false);
  });

  test('is kept for its worker when a supervisor requeues the task, until another saves one', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const { task_id } = staged.task;
    const requeue = () => org.client.post(`/v1/tasks/${task_id}/requeue`, { reason: 'shift ends' });
    await put(staged, { output: 'half', notes: 'called once' });
    await requeue();
    await staged.person.accept(task_id);
    expect(await draftOf(staged)).toMatchObject({ output: 'half', notes: 'called once', version: 1 });

    // Another worker never sees it, and their own replaces it.
    await staged.person.client.patch('/v1/worker', { availability: 'away' });
    await requeue();
    const person = await createTestWorker(api, org.client, { pool_ids: [staged.poolId] });
    const other = { ...staged, person };
    await person.accept(task_id);
    const { output, saved_at } = await draftOf(other);
    expect([output, saved_at]).toEqual([undefined, null]);
    expect((await put(other, { output: 'anew' })).status).toBe(200);
    await person.client.patch('/v1/worker', { availability: 'away' });
    await requeue();
    await staged.person.client.patch('/v1/worker', { availability: 'available' });
    await staged.person.accept(task_id);
    expect((await draftOf(staged)).output).toBeUndefined();
  });

  test('is kept when a supervisor assigns the task to another worker and back', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 'half done' });
    const person = await createTestWorker(api, org.client, { pool_ids: [staged.poolId] });
    const assign = (worker_id: string) =>
      org.client.post(`/v1/tasks/${staged.task.task_id}/assign`, { worker_id, mode: 'assign' });
    await assign(person.worker_id);
    expect(await draftOf({ ...staged, person })).toEqual(EMPTY);
    await assign(staged.person.worker_id);
    expect((await draftOf(staged)).output).toBe('half done');
  });

  test('is gone when its worker releases the task and takes it again', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 'x' });
    const { task_id } = staged.task;
    await staged.person.client.post(`/v1/worker/tasks/${task_id}/release`);
    expect((await staged.person.client.request('GET', pathOf(staged))).outcome).toBe('404 not_found');
    expect(await isStored(staged)).toBe(false);
    await staged.person.accept(task_id);
    expect(await draftOf(staged)).toEqual(EMPTY);
  });

  test('is not shown to a new worker with the id of its removed worker', async () => {
    const staged = await createTaskIn(api, org, 'started');
    await put(staged, { output: 'secret' });
    const { worker_id } = staged.person;
    await org.client.delete(`/v1/workers/${worker_id}`);
    const hire = () =>
      org.client.request('POST', '/v1/workers', {
        body: { worker_id, name: 'New', availability: 'available', pool_ids: [staged.poolId] },
      });
    await expect.poll(async () => (await hire()).status, { timeout: 15_000 }).toBe(201);
    const { token } = await org.client.post<{ token: string }>(`/v1/workers/${worker_id}/tokens`);
    const next = { ...staged, person: Object.assign(staged.person, { client: api.client(token) }) };
    await next.person.accept(staged.task.task_id);
    expect(await draftOf(next)).toEqual(EMPTY);
  });
});
