// Idempotency-Key: repeated requests get the first response, byte for byte, and the effect happens once, wherever a request
// is interrupted.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Page,
  startApi,
  startApiOfFile,
  type TaskView,
  waitUntil,
} from '../../support/api.ts';
import { createTaskIn, createTestWorker, taskBody } from '../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

function keyed(key: string): Record<string, string> {
  return { 'Idempotency-Key': key };
}

async function tasksOf(request_id: string, who = client): Promise<string[]> {
  const { data } = await who.get<Page<TaskView>>(`/v1/tasks?request_id=${request_id}`);
  return data.map((one) => one.task_id);
}

function create(body: unknown, key: string, who = client): Promise<Answer> {
  return who.request('POST', '/v1/tasks', { body, headers: keyed(key) });
}

/** A text with every character percent-encoded. */
function escaped(text: string): string {
  return text.replaceAll(/./g, (one) => `%${one.charCodeAt(0).toString(16)}`);
}

const KEPT_HEADERS = ['content-type', 'location', 'etag'];

/** Requires that the second response is a replay of the first and is marked as such. */
function expectReplay(first: Answer, second: Answer): void {
  expect(second.status).toBe(first.status);
  expect(second.text).toBe(first.text);
  for (const name of KEPT_HEADERS) expect(second.headers.get(name)).toBe(first.headers.get(name));
  expect(first.headers.get('idempotent-replayed')).toBeNull();
  expect(second.headers.get('idempotent-replayed')).toBe('true');
  expect(second.headers.get('request-id')).not.toBe(first.headers.get('request-id'));
}

describe('same key, same body', () => {
  test('creates a task once and replays the response, with a bare or quoted key', async () => {
    const [body, key] = [taskBody({ title: '漢 👍 "quoted"' }), freshName('key')];
    const { request_id } = body.origin as { request_id: string };
    const first = await create(body, key);
    expect(first.status).toBe(201);
    expect(first.headers.get('location')).toBe(`/v1/tasks/${first.as<TaskView>().task_id}`);
    expectReplay(first, await create(body, key));
    expectReplay(first, await create(body, `"${key}"`));
    expect(await tasksOf(request_id)).toEqual([first.as<TaskView>().task_id]);
  });

  test.each([
    [
      'a worker',
      (id: string) => `/v1/workers/${id}/tokens`,
      (id: string) => `/v1/workers/${escaped(id)}/tokens`,
    ],
    [
      'a task',
      (id: string) => `/v1/tasks/${id}/cancel`,
      (id: string) => `/v1/tasks/%3${id[0]}${id.slice(1)}/cancel`,
    ],
  ])('the path to %s with percent escapes is the same path', async (name, plain, spelled) => {
    const made = name === 'a task' ? await client.post<TaskView>('/v1/tasks', taskBody()) : null;
    const id = made?.task_id ?? (await createTestWorker(api, client)).worker_id;
    const options = { headers: keyed(freshName('key')) };
    const first = await client.request('POST', plain(id), options);
    expect(first.status).toBeLessThan(300);
    expectReplay(first, await client.request('POST', spelled(id), options));
  });

  test('replays the first response even when the task has changed', async () => {
    const [body, key] = [taskBody(), freshName('key')];
    const first = await create(body, key);
    await client.post(`/v1/tasks/${first.as<TaskView>().task_id}/cancel`);
    expectReplay(first, await create(body, key));
  });

  test('replays also when the deadline has passed meanwhile', async () => {
    const deadline = new Date(Date.now() + 700).toISOString();
    const [body, key] = [taskBody({ sla: { urgency: 'low', deadline } }), freshName('key')];
    const first = await create(body, key);
    expect(first.status).toBe(201);
    await waitUntil(deadline);
    expectReplay(first, await create(body, key));
    expect((await create(body, freshName('key'))).outcome).toBe('422 validation_failed');
  });

  test('1000 concurrent requests create one task', async () => {
    const [body, key] = [taskBody(), freshName('key')];
    const answers = await Promise.all(Array.from({ length: 1000 }, () => create(body, key)));
    const outcomes = new Set(answers.map((one) => one.outcome));
    expect([...outcomes].filter((one) => one !== '201' && one !== '409 idempotency_in_flight')).toEqual([]);
    const made = answers.filter((one) => one.status === 201);
    expect(new Set(made.map((one) => one.text)).size).toBe(1);
    expect(made.filter((one) => !one.headers.has('idempotent-replayed'))).toHaveLength(1);
    expect(await tasksOf((body.origin as { request_id: string }).request_id)).toHaveLength(1);
    expect((await create(body, key)).outcome).toBe('201');
  });

  test('replays an API key with the same secret', async () => {
    const options = { body: { name: 'once', scopes: ['tasks:read'] }, headers: keyed(freshName('key')) };
    const first = await client.request('POST', '/v1/api-keys', options);
    expectReplay(first, await client.request('POST', '/v1/api-keys', options));
    const { data } = await client.get<Page<{ name: string }>>('/v1/api-keys?limit=200');
    expect(data.filter((one) => one.name === 'once')).toHaveLength(1);
    expect((await api.client(first.as<{ key: string }>().key).request('GET', '/v1/tasks')).status).toBe(200);
  });

  test('replays a worker token, a pool, a worker, an org and a rotated secret', async () => {
    const worker = await createTestWorker(api, client);
    const posts: [Client, string, unknown][] = [
      [client, `/v1/workers/${worker.worker_id}/tokens`, undefined],
      [client, '/v1/pools', { name: 'p' }],
      [client, '/v1/workers', { name: 'w' }],
      [api.operator, '/admin/orgs', { name: 'o' }],
      [client, '/v1/webhook-secret/rotate', {}],
    ];
    for (const [who, path, body] of posts) {
      const options = { body, headers: keyed(freshName('key')) };
      const first = await who.request('POST', path, options);
      expect(first.status).toBeLessThan(300);
      expectReplay(first, await who.request('POST', path, options));
    }
  });

  test('replays accept, start and cancel instead of refusing them', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    const steps: [Client, string][] = [
      [person.client, `/v1/worker/offers/${offer_id}/accept`],
      [person.client, `/v1/worker/tasks/${task.task_id}/start`],
      [client, `/v1/tasks/${task.task_id}/cancel`],
    ];
    for (const [who, path] of steps) {
      const options = { headers: keyed(freshName('key')) };
      const first = await who.request('POST', path, options);
      expect(first.status).toBe(200);
      expectReplay(first, await who.request('POST', path, options));
      expect((await who.request('POST', path)).status).toBe(409);
    }
  });

  test('replays a response without a body', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    const options = { body: { reason: 'no time' }, headers: keyed(freshName('key')) };
    const first = await person.client.request('POST', `/v1/worker/offers/${offer_id}/decline`, options);
    expect(first.status).toBe(204);
    expectReplay(
      first,
      await person.client.request('POST', `/v1/worker/offers/${offer_id}/decline`, options),
    );
  });

  test('stores responses for a day', async () => {
    await create(taskBody(), freshName('key'));
    const keys = await api.redis.keys(`${api.prefix}:*:idempotency:*`);
    const lives = await Promise.all(keys.map((key) => api.redis.pttl(key)));
    expect(lives.length).toBeGreaterThan(0);
    for (const life of lives) expect(life / 3_600_000).toBeCloseTo(24, 0);
  });
});

describe('same key, another request', () => {
  test('refuses another body and changes nothing', async () => {
    const [body, other, key] = [taskBody(), taskBody(), freshName('key')];
    const first = await create(body, key);
    expect((await create(other, key)).outcome).toBe('422 idempotency_key_reused');
    expect(await tasksOf((other.origin as { request_id: string }).request_id)).toEqual([]);
    expectReplay(first, await create(body, key));
  });

  test('another route and another org are independent', async () => {
    const [key, body] = [freshName('key'), taskBody()];
    const other = await createOrg(api);
    const answers = [
      await create(body, key),
      await create(body, key, other.client),
      await client.request('POST', '/v1/pools', { body: { name: 'p' }, headers: keyed(key) }),
      await client.request('POST', '/v1/workers', { body: { name: 'w' }, headers: keyed(key) }),
    ];
    for (const one of answers) {
      expect(one.status).toBe(201);
      expect(one.headers.get('idempotent-replayed')).toBeNull();
    }
  });

  test('the path of another record is independent', async () => {
    const key = freshName('key');
    const { task: one } = await createTaskIn(api, org, 'queued');
    const { task: two } = await createTaskIn(api, org, 'queued');
    for (const { task_id } of [one, two]) {
      const answer = await client.request('POST', `/v1/tasks/${task_id}/cancel`, { headers: keyed(key) });
      expect(answer.as<TaskView>().task_id).toBe(task_id);
    }
  });

  test('a key with fewer scopes does not get the response of one with more', async () => {
    const options = { body: { name: 'all', scopes: ['*'] }, headers: keyed(freshName('key')) };
    const first = await client.request('POST', '/v1/api-keys', options);
    expect(first.status).toBe(201);
    const lesser = await createKey(api, client, { scopes: ['keys:write'] });
    const second = await lesser.request('POST', '/v1/api-keys', options);
    expect(second.text).not.toContain(first.as<{ key: string }>().key);
    expect(second.outcome).toBe('403 insufficient_scope');
  });

  test('a key with fewer scopes does not get the response of a rotation', async () => {
    const old = await createKey(api, client);
    const options = { headers: keyed(freshName('key')) };
    const path = `/v1/api-keys/${old.keyId}/rotate`;
    const first = await client.request('POST', path, options);
    const lesser = await createKey(api, client, { scopes: ['keys:write'] });
    const second = await lesser.request('POST', path, options);
    expect(second.text).not.toContain(first.as<{ key: string }>().key);
    expect(second.outcome).toBe('403 insufficient_scope');
    expect((await client.request('POST', path, options)).text).toBe(first.text);
  });

  test('an expiring key does not get the response with a key that does not expire', async () => {
    const options = { body: { name: 'for good', scopes: ['*'] }, headers: keyed(freshName('key')) };
    const first = await client.request('POST', '/v1/api-keys', options);
    const ending = await createKey(api, client, { expires_at: new Date(Date.now() + 60_000).toISOString() });
    const second = await ending.request('POST', '/v1/api-keys', options);
    expect(second.text).not.toContain(first.as<{ key: string }>().key);
    expect(second.as<{ expires_at: string | null }>().expires_at).not.toBeNull();
  });

  test('a key with fewer scopes does not get the secret of an OAuth client', async () => {
    const named = { name: 'c', scopes: ['tasks:read'] };
    const { client_id } = await client.post<{ client_id: string }>('/v1/oauth-clients', named);
    const options = { headers: keyed(freshName('key')) };
    const path = `/v1/oauth-clients/${client_id}/rotate-secret`;
    const first = await client.request('POST', path, options);
    expect(first.status).toBe(200);
    const lesser = await createKey(api, client, { scopes: ['oauth:write'] });
    expect((await lesser.request('POST', path, options)).outcome).toBe('403 insufficient_scope');
  });

  test('a key of other pools does not get the response', async () => {
    const pools = [await createPool(client), await createPool(client)];
    const sisters = await Promise.all(pools.map((id) => createKey(api, client, { pools: [id] })));
    const key = freshName('key');
    const body = taskBody({ requirements: { worker_pool_id: pools[0] } });
    const [first, second] = [sisters[0] ?? client, sisters[1] ?? client];
    expect((await create(body, key, first)).status).toBe(201);
    expect((await create(body, key, second)).outcome).toBe('403 pool_forbidden');
  });
});

describe('a request that fails', () => {
  test.each([
    ['a body that breaks a rule', taskBody({ title: '' }), '422 validation_failed'],
    [
      'an org that is not the own',
      taskBody({ origin: { product: 'p', request_id: 'r', org_id: 'x' } }),
      '403 org_mismatch',
    ],
  ])('%s frees the key', async (_name, body, outcome) => {
    const key = freshName('key');
    expect((await create(body, key)).outcome).toBe(outcome);
    const corrected = await create(taskBody(), key);
    expect(corrected.status).toBe(201);
    expect(corrected.headers.get('idempotent-replayed')).toBeNull();
  });

  test('a refused step frees the key', async () => {
    const { task, person } = await createTaskIn(api, org, 'accepted');
    const path = `/v1/worker/tasks/${task.task_id}/submit`;
    const options = { body: { output: { seen: true } }, headers: keyed(freshName('key')) };
    expect((await person.client.request('POST', path, options)).outcome).toBe('409 invalid_transition');
    await person.start(task.task_id);
    const answer = await person.client.request('POST', path, options);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('idempotent-replayed')).toBeNull();
  });

  test('a taken id is refused with and without a key', async () => {
    const pool_id = await createPool(client);
    const options = { body: { pool_id, name: 'again' }, headers: keyed(freshName('key')) };
    for (const _ of [1, 2])
      expect((await client.request('POST', '/v1/pools', options)).outcome).toBe('409 already_exists');
  });
});

test('a response sealed by a removed key is 409 idempotency_answer_lost, without a second effect', async () => {
  const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
  const before = await startApi({ sealer: createSealer([oldKey]) });
  const after = await startApi({ prefix: before.prefix, sealer: createSealer([newKey]) });
  try {
    const { client: owner } = await createOrg(before);
    const [body, key] = [taskBody(), freshName('key')];
    const first = await create(body, key, owner);
    const lost = await create(body, key, after.client(owner.credential));
    expect(lost.outcome).toBe('409 idempotency_answer_lost');
    expect(lost.problem.detail).toMatch(/answered with 201/);
    expect(lost.headers.get('location')).toBe(first.headers.get('location'));
    const { request_id } = body.origin as { request_id: string };
    expect(await tasksOf(request_id, owner)).toEqual([first.as<TaskView>().task_id]);
    expectReplay(first, await create(body, key, owner));
  } finally {
    await after.close();
    await before.close();
  }
});

describe('malformed keys', () => {
  test.each([
    ['', '""'],
    ['too long', 'x'.repeat(256)],
    ['not ASCII', 'caf\u00e9'],
    ['a tab', 'a\tb'],
  ])('%s', async (_name, key) => {
    expect((await create(taskBody(), key)).outcome).toBe('400 invalid_header');
  });

  test.each([
    ['one character', 'x'],
    ['255', 'y'.repeat(255)],
    ['255 in quotes', `"${'z'.repeat(255)}"`],
    ['inner quotes', 'a"b'],
  ])('%s is accepted', async (_name, key) => {
    expect((await create(taskBody(), key)).status).toBe(201);
  });
});
