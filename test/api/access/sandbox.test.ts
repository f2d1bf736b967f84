// The sandbox: test keys affect only the data of test keys. Its tasks, workers, pools, webhooks, events, evidence and
// idempotency keys are as separate from live ones as those of another org; in responses all have the org's own id.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isSignedWith, type Receiver, startReceiver } from '../../e2e/receiver.ts';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { createTaskIn, createTestWorker, type TaskInStatus, taskBody } from '../../support/workers.ts';

let api: TestApi;
let receiver: Receiver;
let live: Org;
/** The org as seen by its test key. */
let sandbox: Org;
/** One completed task of the sandbox, with its webhook deliveries. */
let done: TaskInStatus;

beforeAll(async () => {
  receiver = await startReceiver();
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.1/32'] });
  live = await createOrg(api);
  sandbox = { org_id: live.org_id, client: await createKey(api, live.client, { mode: 'test' }) };
  done = await createTaskIn(api, sandbox, 'completed', { handoff: { callback_url: receiver.url } });
}, 30_000);

afterAll(async () => {
  await api.close();
  await receiver.close();
});

interface Secret {
  secret: string;
}

describe('inside the sandbox', () => {
  test('a task reaches completion and shows the id of the org everywhere', async () => {
    const { task } = done;
    expect(task.status).toBe('completed');
    expect([task.org_id, (task.origin as Record<string, unknown>).org_id]).toEqual([
      live.org_id,
      live.org_id,
    ]);
    const [completed] = await receiver.taken(['task.completed']);
    expect(completed?.body.data.org_id).toBe(live.org_id);
    for (const { raw } of receiver.received) expect(raw).not.toContain(`${live.org_id}-`);
    for (const path of ['', '/events', '/evidence']) {
      const { text } = await sandbox.client.request('GET', `/v1/tasks/${task.task_id}${path}`);
      expect(text).not.toContain(`${live.org_id}-`);
    }
  });

  test('webhooks are signed with the sandbox’s secret, which rotates separately', async () => {
    const [ours, theirs] = await Promise.all(
      [sandbox, live].map(({ client }) => client.get<Secret>('/v1/webhook-secret')),
    );
    const [one] = await receiver.taken(['task.completed']);
    if (one === undefined || ours === undefined || theirs === undefined) throw new Error('nothing came');
    expect([isSignedWith(ours.secret, one), isSignedWith(theirs.secret, one)]).toEqual([true, false]);
    const next = await sandbox.client.post<Secret>('/v1/webhook-secret/rotate');
    expect(next.secret).not.toBe(ours.secret);
    expect((await sandbox.client.get<Secret>('/v1/webhook-secret')).secret).toBe(next.secret);
    expect((await live.client.get<Secret>('/v1/webhook-secret')).secret).toBe(theirs.secret);
  });

  test('origin.org_id may be the org’s id only, not the internal id', async () => {
    const creating = (org_id: string) => {
      const origin = { product: 'tests', request_id: 'r', org_id };
      return sandbox.client.request('POST', '/v1/tasks', { body: taskBody({ origin }) });
    };
    expect((await creating(live.org_id)).outcome).toBe('201');
    expect((await creating(`${live.org_id}-test`)).outcome).toBe('403 org_mismatch');
  });
});

describe('live data and sandbox are separate', () => {
  const both = () => [[live.client, sandbox.client] as const, [sandbox.client, live.client] as const];

  test('in lists, filters, the feed and cursors', async () => {
    for (const [one, other] of both()) {
      const pool = await createPool(one);
      const person = await createTestWorker(api, one, { pool_ids: [pool] });
      const body = taskBody({ requirements: { worker_pool_id: pool, skills: ['x'] } });
      const tasks = [
        await one.post<TaskView>('/v1/tasks', body),
        await one.post<TaskView>('/v1/tasks', body),
      ];
      for (const path of ['/v1/tasks', '/v1/events', '/v1/pools', '/v1/workers', `/v1/tasks?pool=${pool}`]) {
        const { text } = await other.request('GET', path);
        for (const id of [pool, person.worker_id, ...tasks.map((task) => task.task_id)])
          expect([path, text.includes(id)]).toEqual([path, false]);
      }
      for (const path of ['/v1/tasks', '/v1/events']) {
        const { next_cursor } = await one.get<Page<unknown>>(`${path}?limit=1`);
        const answer = await other.request('GET', `${path}?limit=1&cursor=${next_cursor}`);
        expect(answer.outcome).toBe('400 invalid_cursor');
      }
    }
  });

  test('the same ids name different records', async () => {
    const [pool, worker] = [freshName('pool'), freshName('worker')];
    for (const { client } of [live, sandbox]) {
      await client.post('/v1/pools', { pool_id: pool, name: 'p' });
      await client.post('/v1/workers', { worker_id: worker, name: 'w', pool_ids: [pool] });
    }
    await sandbox.client.delete(`/v1/workers/${worker}`);
    await sandbox.client.delete(`/v1/pools/${pool}`);
    for (const path of [`/v1/pools/${pool}`, `/v1/workers/${worker}`]) {
      expect((await live.client.request('GET', path)).status).toBe(200);
      expect((await sandbox.client.request('GET', path)).outcome).toBe('404 not_found');
    }
  });

  test('a worker of the sandbox gets no live offers', async () => {
    const [skill] = [freshName('skill')];
    const fields = { skills: [skill] };
    const tester = await createTestWorker(api, sandbox.client, fields);
    const requirements = { skills: [skill] };
    const ofLive = await live.client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    const ofTest = await sandbox.client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    await tester.accept(ofTest.task_id);
    const { data } = await tester.client.get<Page<unknown>>('/v1/worker/offers');
    expect(data).toEqual([]);
    const { status } = await live.client.get<TaskView>(`/v1/tasks/${ofLive.task_id}`);
    expect(status).toBe('queued');
    for (const act of ['start', 'release', 'submit']) {
      const body = act === 'submit' ? { output: { seen: true } } : {};
      const answer = await tester.client.request('POST', `/v1/worker/tasks/${ofLive.task_id}/${act}`, {
        body,
      });
      expect(answer.outcome).toBe('404 not_found');
    }
  });

  test('in idempotency keys', async () => {
    const name = freshName('idempotency');
    const headers = { 'Idempotency-Key': name };
    const create = (client: Client): Promise<Answer> =>
      client.request('POST', '/v1/tasks', { body: taskBody(), headers });
    const body = taskBody();
    const [a, b] = await Promise.all(
      [live, sandbox].map(({ client }) => client.request('POST', '/v1/tasks', { body, headers })),
    );
    expect([a?.status, b?.status]).toEqual([201, 201]);
    expect(b?.headers.get('idempotent-replayed')).toBeNull();
    expect(a?.as<TaskView>().task_id).not.toBe(b?.as<TaskView>().task_id);
    expect((await create(sandbox.client)).outcome).toBe('422 idempotency_key_reused');
  });
});

describe('what live data and sandbox share', () => {
  test('a test key reads the org, with the sandbox’s usage, and cannot change it', async () => {
    const seen = await Promise.all([live, sandbox].map(({ client }) => client.get<object>('/v1/org')));
    expect({ ...seen[1], usage: null }).toEqual({ ...seen[0], usage: null });
    const changing = await sandbox.client.request('PATCH', '/v1/org', { body: { name: 'taken' } });
    expect(changing.outcome).toBe('403 live_key_required');
    expect(await live.client.get('/v1/org')).toEqual(seen[0]);
  });

  test('a live key makes keys of both modes, a test key only test keys; the default is the own mode', async () => {
    const make = (client: Client, mode?: string) =>
      client.request('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['tasks:read'], mode } });
    const made = [await make(live.client), await make(live.client, 'test'), await make(sandbox.client)];
    expect(made.map((one) => one.as<{ mode: string }>().mode)).toEqual(['live', 'test', 'test']);
    const prefixes = made.map((one) => one.as<{ key: string }>().key.slice(0, 9));
    expect(prefixes).toEqual(['blk_live_', 'blk_test_', 'blk_test_']);
    expect((await make(sandbox.client, 'live')).outcome).toBe('403 live_key_required');
    // Not by saying that it was one either.
    const disguised = sandbox.client.credential?.replace('blk_test_', 'blk_live_') ?? '';
    expect((await api.client(disguised).request('GET', '/v1/tasks')).outcome).toBe('401 invalid_credential');
  });

  test('a test key sees, rotates and revokes only test keys', async () => {
    const keys = await Promise.all(
      (['live', 'test'] as const).map((mode) => createKey(api, live.client, { mode })),
    );
    const [ofLive = '', ofTest = ''] = keys.map((one) => one.keyId);
    const listed = async (client: Client, query = '') => {
      const { data } = await client.get<Page<{ key_id: string }>>(`/v1/api-keys?limit=200${query}`);
      const ids = data.map((one) => one.key_id);
      return [ids.includes(ofLive), ids.includes(ofTest)];
    };
    expect(await listed(live.client)).toEqual([true, true]);
    expect(await listed(live.client, '&mode=live')).toEqual([true, false]);
    expect(await listed(live.client, '&mode=test')).toEqual([false, true]);
    expect(await listed(sandbox.client)).toEqual([false, true]);
    for (const [method, path] of [
      ['POST', '/rotate'],
      ['DELETE', ''],
    ] as const) {
      const answer = await sandbox.client.request(method, `/v1/api-keys/${ofLive}${path}`);
      expect(answer.outcome).toBe('404 not_found');
    }
    await live.client.delete(`/v1/api-keys/${ofTest}`);
    expect((await keys[1]?.request('GET', '/v1/org'))?.outcome).toBe('401 invalid_credential');
  });

  test('a confined key makes a test key only for pools with the same ids', async () => {
    const pool = freshName('pool');
    for (const { client } of [live, sandbox]) await client.post('/v1/pools', { pool_id: pool, name: 'p' });
    const other = await createPool(sandbox.client);
    const confined = await createKey(api, live.client, { pools: [pool] });
    const grant = (pools: string[]) =>
      confined.request('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['*'], pools, mode: 'test' } });
    expect((await grant([pool])).outcome).toBe('201');
    expect((await grant([other])).outcome).toBe('403 pool_forbidden');
  });

  test('ten concurrent first test keys open one sandbox', async () => {
    const org = await createOrg(api);
    const keys = await Promise.all(
      Array.from({ length: 10 }, () => createKey(api, org.client, { mode: 'test' })),
    );
    const secrets = await Promise.all(keys.map((key) => key.get<Secret>('/v1/webhook-secret')));
    expect(new Set(secrets.map((one) => one.secret)).size).toBe(1);
  });
});
