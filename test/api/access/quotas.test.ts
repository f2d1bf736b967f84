// Storage quotas, which the operator sets. They hold exactly under concurrent requests, and the response names the limit.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_STORAGE_QUOTAS } from '../../../src/state/access/storage-quotas.ts';
import { purge } from '../../../src/store/maintenance/retention.ts';
import { retentionEntry } from '../../../src/store/tasks/retention-index.ts';
import {
  type Answer,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Org,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { upload } from '../../support/uploads.ts';
import { createTaskIn, taskBody } from '../../support/workers.ts';

type Usage = Record<string, { used: number; limit: number }>;

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true });
});
afterAll(() => api?.close());

const limit = (org: Org, quotas: Record<string, number | null>) =>
  api.operator.patch<{ usage: Usage }>(`/admin/orgs/${org.org_id}`, { quotas });
const usageOf = async ({ client }: Pick<Org, 'client'>) =>
  (await client.get<{ usage: Usage }>('/v1/org')).usage;
const outcomes = (answers: Answer[]) => answers.map((one) => one.outcome).sort();

/** Requires a rejection that names this limit. */
function expectRefused(answer: Pick<Answer, 'outcome' | 'problem'>, quota: string): void {
  expect(answer.outcome).toBe('422 quota_exceeded');
  expect(answer.problem).toMatchObject({ quota, detail: expect.stringMatching(/The org has \d+/) });
}

/** For each kind of record, a request that creates one. */
const MADE = {
  workers: ['/v1/workers', () => ({ name: 'w' })],
  pools: ['/v1/pools', () => ({ name: 'p' })],
  endpoints: [
    '/v1/webhook-endpoints',
    () => ({ url: 'https://hooks.example/x', events: ['task.completed'] }),
  ],
  keys: ['/v1/api-keys', () => ({ name: 'k', scopes: ['org:read'] })],
  members: [
    '/v1/members',
    () => ({
      email: `${freshName('m')}@example.test`,
      name: 'm',
      scopes: ['org:read'],
      password: 'correct horse battery',
    }),
  ],
  clients: ['/v1/oauth-clients', () => ({ name: 'c', scopes: ['org:read'] })],
  issuers: [
    '/v1/issuers',
    () => ({
      name: 'i',
      issuer: `https://${freshName('issuer')}.example`,
      jwks_uri: 'https://keys.example/jwks',
      scope_map: { a: ['org:read'] },
    }),
  ],
} as const satisfies Record<string, readonly [string, () => object]>;

describe('records with a quota', () => {
  it.each(Object.entries(MADE))(
    'are limited exactly when many %s are created at once',
    async (name, made) => {
      const [path, body] = made;
      const org = await createOrg(api);
      const { used = 0 } = (await usageOf(org))[name] ?? {};
      const most = used + 2;
      expect((await limit(org, { [name]: most })).usage[name]).toEqual({ used, limit: most });
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => org.client.request('POST', path, { body: body() })),
      );
      expect(outcomes(answers)).toEqual(['201', '201', '422 quota_exceeded', '422 quota_exceeded']);
      for (const one of answers) if (one.status !== 201) expectRefused(one, name);
      expect((await usageOf(org))[name]).toEqual({ used: most, limit: most });
      // With the default restored there is room.
      await limit(org, { [name]: null });
      expect((await org.client.request('POST', path, { body: body() })).status).toBe(201);
    },
  );

  it('count the key that a rotation makes', async () => {
    const org = await createOrg(api);
    const { keyId } = await createKey(api, org.client);
    await limit(org, { keys: 2 });
    expectRefused(await org.client.request('POST', `/v1/api-keys/${keyId}/rotate`), 'keys');
  });

  it('have limits that only the operator sets', async () => {
    const { client } = await createOrg(api);
    const answer = await client.request('PATCH', '/v1/org', { body: { quotas: { pools: 9 } } });
    expect(answer.outcome).toBe('422 validation_failed');
    expect((await usageOf({ client })).pools).toEqual({ used: 0, limit: DEFAULT_STORAGE_QUOTAS.pools });
  });
});

describe('the bytes of tasks', () => {
  it('are estimated, and limited', async () => {
    const org = await createOrg(api);
    const text = randomBytes(20_000).toString('hex');
    const create = () =>
      org.client.request('POST', '/v1/tasks', { body: taskBody({ context: { data: { text } } }) });
    for (let made = 0; made < 3; made += 1) expect((await create()).status).toBe(201);
    const { used } = (await usageOf(org)).task_bytes ?? { used: 0 };
    expect([used > 120_000, used < 200_000]).toEqual([true, true]);
    await limit(org, { task_bytes: 3000 });
    expectRefused(await create(), 'task_bytes');
    await limit(org, { task_bytes: null });
    expect((await create()).status).toBe(201);
  });
});

describe('open tasks', () => {
  const create = (org: Org, headers = {}) =>
    org.client.request('POST', '/v1/tasks', { body: taskBody(), headers });

  it('are limited exactly when many are created at once, and one that ends frees a place', async () => {
    const org = await createOrg(api);
    await limit(org, { open_tasks: 3 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => create(org)));
    expect(answers.filter((one) => one.status === 201)).toHaveLength(3);
    for (const one of answers) if (one.status !== 201) expectRefused(one, 'open_tasks');
    const [made] = answers.filter((one) => one.status === 201);
    await org.client.post(`/v1/tasks/${made?.as<TaskView>().task_id}/cancel`);
    expect((await create(org)).status).toBe(201);
    expect((await usageOf(org)).open_tasks).toEqual({ used: 3, limit: 3 });
  });

  it('and their copies are limited by themselves, exactly when many are created at once', async () => {
    const org = await createOrg(api);
    await limit(org, { open_tasks: 5 });
    const copies = { count: 2, agreement: { mode: 'unanimous' } };
    const body = taskBody({
      output: { expected_format: 'structured_json', schema: { a: 'string' }, copies },
    });
    const make = () => org.client.request('POST', '/v1/tasks', { body });
    const answers = await Promise.all(Array.from({ length: 5 }, make));
    expect(outcomes(answers).filter((one) => one === '201')).toHaveLength(2);
    for (const one of answers) if (one.status !== 201) expectRefused(one, 'open_tasks');
    expect((await usageOf(org)).open_tasks).toEqual({ used: 2, limit: 5 });
    // Copies take no room of tasks, and those that end free their own.
    expect((await create(org)).status).toBe(201);
    const [made] = answers.filter((one) => one.status === 201);
    await org.client.post(`/v1/tasks/${made?.as<TaskView>().task_id}/cancel`);
    expect(outcomes(await Promise.all([make(), make()]))).toEqual(['201', '422 quota_exceeded']);
  });

  it('are limited in a batch too, for each task separately', async () => {
    const org = await createOrg(api);
    await limit(org, { open_tasks: 2 });
    const body = { tasks: [taskBody(), taskBody(), taskBody()] };
    const { results } = await org.client.post<{ results: { status: number; error?: object }[] }>(
      '/v1/tasks/batch',
      body,
    );
    expect(results.map((one) => one.status).sort()).toEqual([201, 201, 422]);
    expect(results.find((one) => one.error)?.error).toMatchObject({
      code: 'quota_exceeded',
      quota: 'open_tasks',
    });
  });

  it('do not affect the replay of a stored response at the limit', async () => {
    const org = await createOrg(api);
    await limit(org, { open_tasks: 1 });
    const body = taskBody();
    const send = () =>
      org.client.request('POST', '/v1/tasks', { body, headers: { 'Idempotency-Key': 'once' } });
    const [first, again] = [await send(), await send()];
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
  });

  it('of the sandbox are counted separately', async () => {
    const org = await createOrg(api);
    await limit(org, { open_tasks: 1 });
    const client = await createKey(api, org.client, { mode: 'test' });
    expect((await create(org)).status).toBe(201);
    expect((await create({ ...org, client })).status).toBe(201);
    expectRefused(await create({ ...org, client }), 'open_tasks');
    expect((await usageOf({ client })).open_tasks).toEqual({ used: 1, limit: 1 });
  });
});

describe('bytes', () => {
  it('of evidence are limited, and freed in the commit of the purge', async () => {
    const org = await createOrg(api);
    const { task, person } = await createTaskIn(api, org, 'started');
    await limit(org, { evidence_bytes: 250 });
    const answers = await Promise.all(
      Array.from({ length: 3 }, () => upload(person.client, task.task_id, randomBytes(100))),
    );
    expect(answers.map((one) => one.outcome).sort()).toEqual(['201', '201', '422 quota_exceeded']);
    expect((await usageOf(org)).evidence_bytes).toEqual({ used: 200, limit: 250 });
    await org.client.post(`/v1/tasks/${task.task_id}/cancel`);
    const { db } = api.web;
    const what = { org_id: org.org_id, task_id: task.task_id, log: false };
    expect(await purge(db, [{ ...what, ...retentionEntry(db, what), at: 0 }])).toMatchObject({ tasks: 1 });
    expect((await usageOf(org)).evidence_bytes?.used).toBe(0);
  });

  it('of stored responses are limited, and requests without a key are still accepted', async () => {
    const org = await createOrg(api);
    const send = (headers = {}) => org.client.request('POST', '/v1/tasks', { body: taskBody(), headers });
    expect((await send({ 'Idempotency-Key': 'a' })).status).toBe(201);
    const { used = 0 } = (await usageOf(org)).idempotent_answer_bytes ?? {};
    expect(used).toBeGreaterThan(500);
    await limit(org, { idempotent_answer_bytes: used });
    expectRefused(await send({ 'Idempotency-Key': 'b' }), 'idempotent_answer_bytes');
    expect((await send()).status).toBe(201);
    await createPool(org.client);
  });

  it('are not stored for a batch that created nothing', async () => {
    const org = await createOrg(api);
    const body = { tasks: [{ nothing: 'of a task' }] };
    const headers = { 'Idempotency-Key': freshName('key') };
    const first = await org.client.request('POST', '/v1/tasks/batch', { body, headers });
    const again = await org.client.request('POST', '/v1/tasks/batch', { body, headers });
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.headers.get('idempotent-replayed')).toBeNull();
    expect((await usageOf(org)).idempotent_answer_bytes?.used).toBe(0);
    expect(await api.redis.keys(`${api.prefix}:*${org.org_id}:idempotency:*`)).toEqual([]);
  });

  it('of one response are limited: a larger one is not stored, and its repeat has no effect', async () => {
    const org = await createOrg(api);
    const big = () => taskBody({ context: { data: { text: randomBytes(90_000).toString('base64') } } });
    const body = { tasks: Array.from({ length: 12 }, big) };
    const headers = { 'Idempotency-Key': freshName('key') };
    const first = await org.client.request('POST', '/v1/tasks/batch', { body, headers });
    expect(first.status).toBe(200);
    const again = await org.client.request('POST', '/v1/tasks/batch', { body, headers });
    expect(again.outcome).toBe('409 idempotency_answer_lost');
    const usage = await usageOf(org);
    expect(usage.open_tasks?.used).toBe(12);
    expect(usage.idempotent_answer_bytes?.used).toBeLessThan(1000);
  });
});
