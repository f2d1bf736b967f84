// Bulk actions over the API with all processors: each action changes its tasks as the single request would, refusals are
// listed, a bulk action can be stopped, and it never exceeds the permissions of its credential.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type EventView,
  freshName,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker, taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };
const PATH = '/v1/bulk-actions';
const NEVER = '0190163d-8694-739b-aea5-966c26f8ad90';

interface BulkAction {
  bulk_action_id: string;
  status: string;
  reason: string | null;
  total: number | null;
  matched: number;
  done: number;
  failed: number;
  skipped: number;
  failures: { task_id: string; code: string; detail: string }[];
  [field: string]: unknown;
}

let api: TestApi;
let org: Org;
let client: Client;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  client = org.client;
}, 30_000);
afterAll(() => api?.close());

const begin = (body: object, by = client) => by.post<BulkAction>(PATH, body);
const read = ({ bulk_action_id }: BulkAction, by = client) => by.get<BulkAction>(`${PATH}/${bulk_action_id}`);
const ended = async (bulk: BulkAction, status = 'completed', by = client): Promise<BulkAction> => {
  await expect.poll(async () => (await read(bulk, by)).status, SOON).toBe(status);
  return read(bulk, by);
};
const run = async (body: object, by = client) => ended(await begin(body, by), 'completed', by);
const get = (id: string) => client.get<TaskView>(`/v1/tasks/${id}`);
const statusOf = async (id: string) => (await get(id)).status;
const eventsOf = async (id: string) =>
  (await client.get<Page<EventView>>(`/v1/tasks/${id}/events?limit=200`)).data;
/** Creates waiting tasks in a domain of their own. @returns the domain and the ids, oldest first. */
async function createTasks(count: number, fields: object = {}, by = client) {
  const domain = freshName('d').replaceAll('-', '_');
  const tasks = Array.from({ length: count }, () => taskBody({ domain, ...fields }));
  const { results } = await by.post<{ results: { task: TaskView }[] }>('/v1/tasks/batch', { tasks });
  return { domain: [domain], ids: results.map(({ task }) => task.task_id) };
}

describe('a bulk action', () => {
  test('cancels the tasks that match and existed, each once, in the name of the credential', async () => {
    const { domain, ids } = await createTasks(60);
    const key = await createKey(api, client, { scopes: ['tasks:cancel'] });
    const bulk = await begin({ action: 'cancel', filter: { domain }, reason: 'recalled' }, key);
    expect(bulk).toMatchObject({
      status: 'pending',
      total: null,
      matched: 0,
      parameters: { reason: 'recalled' },
    });
    const { ids: later } = await createTasks(1, { domain: domain[0] });
    expect(await ended(bulk)).toMatchObject({ total: 60, matched: 60, done: 60, failed: 0, skipped: 0 });
    expect(await Promise.all(later.map(statusOf))).toEqual(['queued']);
    for (const id of ids) {
      expect(await get(id)).toMatchObject({ status: 'cancelled', cancellation: { reason: 'recalled' } });
      const cancelled = (await eventsOf(id)).filter((one) => one.type === 'task.cancelled');
      expect(cancelled.map((one) => one.actor)).toEqual([`api_key:${key.keyId}`]);
    }
  });

  test('lists the tasks that refuse with the code of the single request, and goes on', async () => {
    const [submitted, final, waiting] = [
      await createTaskIn(api, org, 'submitted'),
      await createTaskIn(api, org, 'cancelled'),
      await createTaskIn(api, org, 'queued'),
    ];
    const ids = [submitted, final, waiting].map(({ task }) => task.task_id);
    const stranger = await createOrg(api);
    const theirs = await stranger.client.post<TaskView>('/v1/tasks', taskBody());
    const bulk = await run({ action: 'cancel', task_ids: [NEVER, theirs.task_id, ...ids] });
    expect(bulk).toMatchObject({ total: 5, matched: 5, done: 1, failed: 3, skipped: 1 });
    expect(bulk.failures.map(({ task_id, code }) => [task_id, code])).toEqual([
      [NEVER, 'not_found'],
      [theirs.task_id, 'not_found'],
      [submitted.task.task_id, 'task_not_cancellable'],
    ]);
    expect(await Promise.all(ids.map(statusOf))).toEqual(['submitted', 'cancelled', 'cancelled']);
    expect((await stranger.client.get<TaskView>(`/v1/tasks/${theirs.task_id}`)).status).toBe('queued');
  });

  test('takes tasks back from their workers', async () => {
    const [started, waiting] = [
      await createTaskIn(api, org, 'started'),
      await createTaskIn(api, org, 'queued'),
    ];
    await client.patch(`/v1/workers/${started.person.worker_id}`, { availability: 'away' });
    const ids = [started, waiting].map(({ task }) => task.task_id);
    const bulk = await run({ action: 'requeue', task_ids: ids, reason: 'shift ends' });
    expect(bulk).toMatchObject({
      done: 1,
      failed: 1,
      failures: [{ task_id: ids[1], code: 'invalid_transition' }],
    });
    expect(await get(ids[0] ?? '')).toMatchObject({ status: 'queued', attempt: 2, assignment: null });
  });

  test('updates tasks, and skips those that the changes leave as they are', async () => {
    const { domain, ids } = await createTasks(3);
    await client.patch(`/v1/tasks/${ids[0]}`, { sla: { urgency: 'high' } });
    const changes = { sla: { urgency: 'high' } };
    expect(await run({ action: 'update', filter: { domain }, changes })).toMatchObject({
      done: 2,
      skipped: 1,
    });
    const found = await client.get<Page<TaskView>>(`/v1/tasks?urgency=high&domain=${domain}`);
    expect(found.data.map((one) => one.task_id).sort()).toEqual([...ids].sort());
  });

  test('refuses an update that breaks a rule of one task', async () => {
    const { domain, ids } = await createTasks(2);
    const metadata = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${from + index}`, 'x']));
    await client.patch(`/v1/tasks/${ids[0]}`, { metadata: metadata(0, 40) });
    const bulk = await run({
      action: 'update',
      filter: { domain },
      changes: { metadata: metadata(100, 20) },
    });
    expect(bulk).toMatchObject({
      done: 1,
      failed: 1,
      failures: [{ task_id: ids[0], code: 'validation_failed' }],
    });
    expect(bulk.failures[0]?.detail).toContain('/metadata');
  });

  test('approves and rejects submissions', async () => {
    const [good, bad] = [
      await createTaskIn(api, org, 'submitted'),
      await createTaskIn(api, org, 'submitted'),
    ];
    await run({ action: 'approve', task_ids: [good.task.task_id], rating: 5, feedback: 'thanks' });
    await run({ action: 'reject', filter: { in_review: true, pool: [bad.poolId] }, feedback: 'wrong' });
    expect(await get(good.task.task_id)).toMatchObject({
      status: 'completed',
      reviews: [{ decision: 'approve', rating: 5, feedback: 'thanks' }],
    });
    expect(await get(bad.task.task_id)).toMatchObject({ status: 'failed', failure: { code: 'rejected' } });
  });

  test('runs once for an Idempotency-Key, and is in the audit log', async () => {
    const { domain } = await createTasks(1);
    const headers = { 'Idempotency-Key': freshName('key') };
    const body = { action: 'cancel', filter: { domain } };
    const [first, again] = [
      await client.post<BulkAction>(PATH, body, { headers }),
      await client.post<BulkAction>(PATH, body, { headers }),
    ];
    expect(again).toEqual(first);
    const { data } =
      await client.get<Page<{ action: string; target: object; data: object }>>('/v1/audit?limit=1');
    expect(data).toMatchObject([
      {
        action: 'bulk_action.created',
        target: { type: 'bulk_action', id: first.bulk_action_id },
        data: { action: 'cancel', filter: { domain } },
      },
    ]);
    await ended(first);
    expect((await client.get<Page<BulkAction>>(`${PATH}?limit=1`)).data).toMatchObject([
      { bulk_action_id: first.bulk_action_id, status: 'completed' },
    ]);
  });
});

describe('a dry run', () => {
  test('counts the open tasks and creates nothing', async () => {
    const { domain, ids } = await createTasks(4);
    await client.post(`/v1/tasks/${ids[0]}/cancel`);
    const count = (selection: object) => begin({ action: 'cancel', dry_run: true, ...selection });
    expect(await count({ filter: { domain } })).toEqual({ matched: 3, is_exact: true });
    expect(await count({ task_ids: [...ids, NEVER] })).toEqual({ matched: 3, is_exact: true });
    expect(await statusOf(ids[1] ?? '')).toBe('queued');
  });
});

describe('a cancellation', () => {
  test('stops between two tasks: none is changed after its response', async () => {
    const { domain, ids } = await createTasks(200);
    const bulk = await begin({ action: 'cancel', filter: { domain } });
    await expect.poll(async () => (await read(bulk)).done, { ...SOON, interval: 5 }).toBeGreaterThan(0);
    const stopped = await client.post<BulkAction>(`${PATH}/${bulk.bulk_action_id}/cancel`);
    const cancelled = () =>
      client.get<Page<TaskView>>(`/v1/tasks?status=cancelled&domain=${domain}&limit=200`);
    const count = (await cancelled()).data.length;
    expect(stopped).toMatchObject({ status: 'cancelled', done: count, matched: count });
    expect(count).toBeLessThan(ids.length);
    const again = await client.request('POST', `${PATH}/${bulk.bulk_action_id}/cancel`);
    expect(again.outcome).toBe('409 invalid_transition');
    // Later bulk actions of the same queue have run, and this one has not gone on.
    const { domain: other } = await createTasks(60);
    await run({ action: 'cancel', filter: { domain: other } });
    expect(await read(bulk)).toEqual(stopped);
    expect((await cancelled()).data).toHaveLength(count);
  });
});

describe('the permissions of the credential', () => {
  test('confine it to the pools of the key, also when the tasks are named', async () => {
    const [own, other] = [await createPool(client), await createPool(client)];
    const domain = freshName('d').replaceAll('-', '_');
    const inPool = (worker_pool_id: string) =>
      createTasks(2, { domain, requirements: { worker_pool_id, skills: ['x'] } });
    const [{ ids: mine }, { ids: theirs }] = [await inPool(own), await inPool(other)];
    const key = await createKey(api, client, { pools: [own] });
    expect(await run({ action: 'cancel', filter: { domain: [domain] } }, key)).toMatchObject({
      total: 2,
      done: 2,
    });
    expect(await Promise.all(mine.map(statusOf))).toEqual(['cancelled', 'cancelled']);
    const named = await run({ action: 'cancel', task_ids: theirs }, key);
    expect(named).toMatchObject({ done: 0, failed: 2 });
    expect(named.failures.map((one) => one.code)).toEqual(['not_found', 'not_found']);
    expect(await Promise.all(theirs.map(statusOf))).toEqual(['queued', 'queued']);
    const moved = {
      action: 'update',
      task_ids: theirs,
      changes: { requirements: { worker_pool_id: other } },
    };
    expect((await key.request('POST', PATH, { body: moved })).outcome).toBe('403 pool_forbidden');
    // A key of other pools does not see it.
    const foreign = await createKey(api, client, { pools: [other] });
    expect((await foreign.request('GET', `${PATH}/${named.bulk_action_id}`)).outcome).toBe('404 not_found');
    expect((await foreign.get<Page<BulkAction>>(PATH)).data).toEqual([]);
  });

  test('end it when the key is revoked', async () => {
    const { domain } = await createTasks(200);
    const key = await createKey(api, client, { scopes: ['tasks:cancel'] });
    const bulk = await begin({ action: 'cancel', filter: { domain } }, key);
    await expect.poll(async () => (await read(bulk)).done, { ...SOON, interval: 5 }).toBeGreaterThan(0);
    await client.delete(`/v1/api-keys/${key.keyId}`);
    const cancelled = () =>
      client.get<Page<TaskView>>(`/v1/tasks?status=cancelled&domain=${domain}&limit=200`);
    const count = (await cancelled()).data.length;
    const after = await ended(bulk, 'failed');
    expect(after).toMatchObject({ reason: 'credential_revoked', done: count });
    expect(count).toBeLessThan(200);
    expect((await cancelled()).data).toHaveLength(count);
  });

  test('require the scope of the action', async () => {
    const scopes = { cancel: 'tasks:cancel', requeue: 'tasks:assign', approve: 'tasks:review' } as const;
    const bulk = await run({ action: 'cancel', task_ids: [NEVER] });
    for (const [action, scope] of Object.entries(scopes)) {
      const key = await createKey(api, client, { scopes: [scope] });
      for (const [other, reason] of [['cancel'], ['requeue', 'x'], ['approve']]) {
        const body = { action: other, task_ids: [NEVER], dry_run: true, ...(reason && { reason }) };
        const { outcome, status } = await key.request('POST', PATH, { body });
        if (other === action) expect(status).toBe(200);
        else expect(outcome).toBe('403 insufficient_scope');
      }
      const { status } = await key.request('GET', `${PATH}/${bulk.bulk_action_id}`);
      expect([scope, status]).toEqual([scope, scope === 'tasks:cancel' ? 200 : 404]);
    }
    const none = await createKey(api, client, { scopes: ['tasks:read'] });
    expect((await none.request('GET', PATH)).outcome).toBe('403 insufficient_scope');
  });

  test('hide it from other orgs', async () => {
    const bulk = await run({ action: 'cancel', task_ids: [NEVER] });
    const stranger = await createOrg(api);
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/cancel'],
    ] as const) {
      const theirs = await stranger.client.request(method, `${PATH}/${bulk.bulk_action_id}${path}`);
      expect(theirs.outcome).toBe('404 not_found');
    }
    expect((await stranger.client.get<Page<BulkAction>>(PATH)).data).toEqual([]);
  });
});

describe('a bulk action is refused', () => {
  const task_ids = [NEVER];
  test.each<[string, object, string[]]>([
    ['without an action', { task_ids }, ['/action']],
    ['with an unknown action', { action: 'delete', task_ids }, ['/action']],
    ['without tasks', { action: 'cancel' }, ['/filter']],
    ['with filter and ids', { action: 'cancel', task_ids, filter: { domain: ['x'] } }, ['/task_ids']],
    ['with an empty filter', { action: 'cancel', filter: {} }, ['/filter']],
    ['with an unknown filter', { action: 'cancel', filter: { colour: ['red'] } }, ['/filter/colour']],
    ['with an unknown status', { action: 'cancel', filter: { status: ['lost'] } }, ['/filter/status/0']],
    ['with an empty list', { action: 'cancel', filter: { status: [] } }, ['/filter/status']],
    ['with no ids', { action: 'cancel', task_ids: [] }, ['/task_ids']],
    ['with an id twice', { action: 'cancel', task_ids: [NEVER, NEVER.toUpperCase()] }, ['/task_ids/1']],
    ['with what is no id', { action: 'cancel', task_ids: ['x'] }, ['/task_ids/0']],
    ['with too many ids', { action: 'cancel', task_ids: Array(1001).fill(NEVER) }, ['/task_ids']],
    ['with a parameter of another action', { action: 'cancel', task_ids, feedback: 'x' }, ['/feedback']],
    ['to requeue without a reason', { action: 'requeue', task_ids }, ['/reason']],
    ['to reject without feedback', { action: 'reject', task_ids, feedback: ' ' }, ['/feedback']],
    ['with a rating out of range', { action: 'approve', task_ids, rating: 6 }, ['/rating']],
    ['to update nothing', { action: 'update', task_ids, changes: {} }, ['/changes']],
    [
      'with an update that a task would refuse',
      {
        action: 'update',
        task_ids,
        changes: { sla: { deadline: '2020-01-01T00:00:00Z' }, requirements: { worker_pool_id: 'nowhere' } },
      },
      ['/changes/sla/deadline', '/changes/requirements/worker_pool_id'],
    ],
  ])('%s', async (_name, body, pointers) => {
    const answer = await client.request('POST', PATH, { body });
    expect(answer.outcome).toBe('422 validation_failed');
    const { errors } = answer.as<{ errors: { pointer: string }[] }>();
    expect(errors.map((one) => one.pointer).sort()).toEqual([...pointers].sort());
  });

  test('while five run', async () => {
    const busy = await createOrg(api);
    const domains = [];
    for (let at = 0; at < 5; at += 1) domains.push((await createTasks(70, {}, busy.client)).domain);
    const started = await Promise.all(
      domains.map((domain) => begin({ action: 'cancel', filter: { domain } }, busy.client)),
    );
    const body = { action: 'cancel', task_ids };
    const sixth = await busy.client.request('POST', PATH, { body });
    expect(sixth.outcome).toBe('422 quota_exceeded');
    expect(sixth.as<{ quota: string }>().quota).toBe('running_bulk_actions');
    await busy.client.post(`${PATH}/${started[0]?.bulk_action_id}/cancel`);
    expect((await busy.client.request('POST', PATH, { body })).status).toBe(202);
  });
});

test('runs the walk-through of the document', async () => {
  const pool = await createPool(client);
  const worker = await createTestWorker(api, client, { pool_ids: [pool] });
  const requirements = { worker_pool_id: pool, skills: ['x'] };
  for (let count = 0; count < 2; count += 1)
    await client.post('/v1/tasks', taskBody({ domain: 'recalled', requirements }));
  const steps = walkThrough('supervision.md', 'Change many tasks');
  await walk(steps.slice(0, 2), { lead: client, worker: worker.client }, {});
  const { data } = await client.get<Page<BulkAction>>(`${PATH}?limit=1`);
  const [bulk] = data;
  if (bulk === undefined) throw new Error('no bulk action');
  await ended(bulk);
  await walk(steps.slice(2), { lead: client }, { bulk_action: bulk.bulk_action_id });
});
