// Requests with `wait`: they are answered when there is a change or the time is up, and release their subscriptions when
// the client disconnects.
import { describe, expect, onTestFinished, test } from 'vitest';
import { orgKeysOf } from '../../../../src/store/redis/keys.ts';
import {
  createPool,
  type OfferView,
  type Page,
  startApi,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { deferred } from '../../../support/deferred.ts';
import { disconnectDuring } from '../../../support/disconnecting-client.ts';
import { subscribersOf } from '../../../support/redis.ts';
import { createTaskIn, createTestWorker, taskBody } from '../../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

/** The number of the org's waiting requests, counted by their subscription in Redis. */
function listening(): Promise<number> {
  return subscribersOf(api.redis, orgKeysOf(api.prefix, org.org_id).changes);
}

async function timed<T>(work: Promise<T>): Promise<{ took: number; value: T }> {
  const started = performance.now();
  const value = await work;
  return { took: performance.now() - started, value };
}

async function quietTask(): Promise<string> {
  return (await createTaskIn(api, org, 'queued')).task.task_id;
}

describe('GET /v1/tasks/{id}?wait=', () => {
  test('does not wait for a client that hung up while the task was looked up', async () => {
    const taskId = await quietTask();
    const answered = async () => {
      const { text } = await api.operator.request('GET', '/metrics');
      const count = /_count\{method="GET",route="\/v1\/tasks\/:task_id",status="\d+"\} (\d+)/g;
      return [...text.matchAll(count)].reduce((sum, [, one]) => sum + Number(one), 0);
    };
    const before = await answered();
    const { redis } = api.web.db;
    const { open: hold, opened: held } = deferred();
    const { open: release, opened: released } = deferred();
    const key = orgKeysOf(api.prefix, org.org_id).task(taskId);
    const load = redis.hmgetBuffer.bind(redis);
    Object.assign(redis, {
      hmgetBuffer: async (name: string, ...fields: string[]) => {
        if (name === key) {
          hold();
          await released;
        }
        return load(name, ...fields);
      },
    });
    onTestFinished(() => void Object.assign(redis, { hmgetBuffer: load }));
    await disconnectDuring(`${api.url}/v1/tasks/${taskId}?wait=60`, client.credential, held);
    release();
    await expect.poll(answered).toBe(before + 1);
  });

  test('returns as soon as the task is final', async () => {
    const taskId = await quietTask();
    const waits = timed(client.get<TaskView>(`/v1/tasks/${taskId}?wait=60`));
    await expect.poll(listening).toBe(1);
    await client.post(`/v1/tasks/${taskId}/cancel`);
    const { took, value } = await waits;
    expect(value.status).toBe('cancelled');
    expect(took).toBeLessThan(4000);
  });

  test('does not return for other changes', async () => {
    const { task, person } = await createTaskIn(api, org, 'accepted');
    let done = false;
    const waits = client.get<TaskView>(`/v1/tasks/${task.task_id}?wait=60`).finally(() => {
      done = true;
    });
    await expect.poll(listening).toBe(1);
    await person.start(task.task_id);
    await person.submit(task.task_id);
    expect(done).toBe(false);
    await client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'approve' });
    expect((await waits).status).toBe('completed');
  });

  test('returns the current task when the time is up', async () => {
    const taskId = await quietTask();
    const { took, value } = await timed(client.get<TaskView>(`/v1/tasks/${taskId}?wait=1`));
    expect(value.status).toBe('queued');
    expect(took).toBeGreaterThan(950);
    expect(took).toBeLessThan(4000);
  });

  test('does not wait for a final or unknown task', async () => {
    const { task } = await createTaskIn(api, org, 'cancelled');
    expect((await timed(client.get(`/v1/tasks/${task.task_id}?wait=60`))).took).toBeLessThan(2000);
    const nowhere = '/v1/tasks/0190163d-8694-739b-aea5-966c26f8ad90?wait=60';
    const { took, value } = await timed(client.request('GET', nowhere));
    expect(value.outcome).toBe('404 not_found');
    expect(took).toBeLessThan(2000);
  });

  test('answers all of fifty waits for one task', async () => {
    const taskId = await quietTask();
    const waits = Array.from({ length: 50 }, () => client.get<TaskView>(`/v1/tasks/${taskId}?wait=60`));
    await expect.poll(listening).toBe(1);
    await client.post(`/v1/tasks/${taskId}/cancel`);
    for (const task of await Promise.all(waits)) expect(task.status).toBe('cancelled');
  });

  test('leaves nothing behind when a client disconnects, and answers the others', async () => {
    const taskId = await quietTask();
    const leaving = new AbortController();
    const gone = client.request('GET', `/v1/tasks/${taskId}?wait=60`, { signal: leaving.signal });
    await expect.poll(listening).toBe(1);
    leaving.abort();
    await expect(gone).rejects.toThrow();
    await expect.poll(listening).toBe(0);
    const stays = client.get<TaskView>(`/v1/tasks/${taskId}?wait=60`);
    await expect.poll(listening).toBe(1);
    await client.post(`/v1/tasks/${taskId}/cancel`);
    expect((await stays).status).toBe('cancelled');
    await expect.poll(listening).toBe(0);
  });
});

describe('GET /v1/worker/offers?wait=', () => {
  test('returns as soon as there is an offer', async () => {
    const poolId = await createPool(client);
    const person = await createTestWorker(api, client, { pool_ids: [poolId] });
    const waits = timed(person.client.get<Page<OfferView>>('/v1/worker/offers?wait=60'));
    await expect.poll(listening).toBe(1);
    const body = taskBody({ requirements: { worker_pool_id: poolId } });
    const { task_id } = await client.post<TaskView>('/v1/tasks', body);
    const { took, value } = await waits;
    expect(value.data.map((one) => one.task_id)).toEqual([task_id]);
    expect(took).toBeLessThan(6000);
  });

  test('returns an empty list when the time is up', async () => {
    const person = await createTestWorker(api, client, { pool_ids: [await createPool(client)] });
    const { took, value } = await timed(person.client.get<Page<OfferView>>('/v1/worker/offers?wait=1'));
    expect(value).toEqual({ data: [], has_more: false, next_cursor: null });
    expect(took).toBeGreaterThan(950);
  });
});

test('waiting requests are answered before the API closes', async () => {
  const other = await startApi({ prefix: api.prefix });
  const waits = other.client(client.credential).get<TaskView>(`/v1/tasks/${await quietTask()}?wait=60`);
  await expect.poll(listening).toBe(1);
  const { took } = await timed(other.close());
  expect((await waits).status).toBe('queued');
  expect(took).toBeLessThan(5000);
});
