// Who may use the MCP endpoint, from where, and what becomes of interrupted calls.
import { randomUUID } from 'node:crypto';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  createKey,
  createOrg,
  createPool,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../support/api.ts';
import { createTestWorker, taskBody } from '../support/workers.ts';
import { callTool, connectHttp, pooledRequest } from './support.ts';

const NEWEST = '2026-07-28';
const PAGE_ORIGIN = 'https://agents.example';

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi({
    processors: true,
    web: { publicUrl: 'own', corsOrigins: [PAGE_ORIGIN], trustedProxies: ['127.0.0.0/8'] },
  });
  org = await createOrg(api);
});
afterAll(() => api.close());

const clients: Client[] = [];
afterAll(() => Promise.all(clients.map((one) => one.close())));
async function connect(credential: string | null): Promise<Client> {
  const client = await connectHttp(api.url, credential, NEWEST);
  clients.push(client);
  return client;
}

const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
function post(
  body: unknown,
  { credential = org.client.credential, ...headers }: Record<string, string | null> = {},
) {
  return fetch(`${api.url}/mcp`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      ...(credential !== null && { Authorization: `Bearer ${credential}` }),
      ...(headers as Record<string, string>),
    },
    body: JSON.stringify(body),
  });
}

describe('credentials', () => {
  test.each([
    ['no credential', null, ''],
    ['a wrong key', 'blk_live_wrong', 'error="invalid_token", '],
  ])('%s gets 401 that names the metadata of /mcp', async (_name, credential, error) => {
    const answer = await post(PING, { credential });
    expect(answer.status).toBe(401);
    const url = `${api.url}/.well-known/oauth-protected-resource/mcp`;
    expect(answer.headers.get('www-authenticate')).toBe(`Bearer ${error}resource_metadata="${url}"`);
    expect(await (await fetch(url)).json()).toMatchObject({
      resource: `${api.url}/mcp`,
      authorization_servers: [api.url],
    });
    await expect(connect(credential)).rejects.toThrow();
  });

  test('an access token for the resource /mcp is enough', async () => {
    const made = await org.client.post<{ client_id: string; client_secret: string }>('/v1/oauth-clients', {
      name: 'agent',
      grant_types: ['client_credentials'],
      scopes: ['tasks:read'],
    });
    const answer = await fetch(`${api.url}/oauth/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`${made.client_id}:${made.client_secret}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource: `${api.url}/mcp` }),
    });
    const { access_token } = (await answer.json()) as { access_token: string };
    const client = await connect(access_token);
    expect((await callTool(client, 'list_tasks', {})).isError).toBe(false);
    const refused = await callTool(client, 'request_human', pooledRequest('any'));
    expect(refused).toMatchObject({ isError: true, value: { error: { code: 'insufficient_scope' } } });
  });

  test('a worker token is refused', async () => {
    const worker = await createTestWorker(api, org.client);
    const answer = await post(PING, { credential: worker.client.credential });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
      403,
      'insufficient_scope',
    ]);
  });

  test('a task of another org does not exist', async () => {
    const other = await createOrg(api);
    const { task_id } = await other.client.post<TaskView>('/v1/tasks', taskBody());
    const client = await connect(org.client.credential);
    for (const name of ['get_task', 'wait_for_task', 'cancel_task'])
      expect(await callTool(client, name, { task_id })).toMatchObject({
        isError: true,
        value: { error: { code: 'not_found' } },
      });
    await expect(client.readResource({ uri: `biolayer://tasks/${task_id}` })).rejects.toThrow(/not found/i);
  });

  test('a key confined to a pool creates and sees tasks of that pool only', async () => {
    const [own, foreign] = [await createPool(org.client), await createPool(org.client)];
    const client = await connect((await createKey(api, org.client, { pools: [own] })).credential);
    const ask = (pool: string) =>
      callTool(client, 'request_human', { ...pooledRequest(pool), wait_seconds: 0 });
    const { task_id } = (await ask(own)).value;
    expect(await ask(foreign)).toMatchObject({ value: { error: { code: 'pool_forbidden' } } });
    await org.client.post('/v1/tasks', taskBody({ requirements: { worker_pool_id: foreign } }));
    expect((await callTool(client, 'list_tasks', {})).value).toMatchObject({ data: [{ task_id }] });
    const { contents } = await client.readResource({ uri: 'biolayer://pools' });
    expect(JSON.stringify(contents)).not.toContain(foreign);
  });

  test('the allowlist of the org applies to the address of the agent', async () => {
    const fenced = await createOrg(api);
    const inside = { 'X-Forwarded-For': '203.0.113.9' };
    const list = { ip_allowlist: ['203.0.113.0/24'] };
    await fenced.client.request('PATCH', '/v1/org', { body: list, headers: inside });
    const call = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'list_tasks', arguments: {} },
    };
    const credential = fenced.client.credential;
    const answer = await post(call, { credential, ...inside });
    expect(await answer.text()).toContain('"has_more":false');
    expect((await post(call, { credential })).status).toBe(403);
  });
});

describe('requests', () => {
  test.each([
    ['of a listed page', PAGE_ORIGIN, undefined, 200],
    ['of the API itself', 'own', undefined, 200],
    ['of another page', 'https://evil.example', undefined, 403],
    ['of a name that resolves here', 'http://evil.example', 'evil.example', 403],
    ['that is opaque', 'null', undefined, 403],
  ])('the origin %s', async (_name, origin, host, status) => {
    const Origin = origin === 'own' ? api.url : origin;
    const answer = await raw({ Origin, ...(host !== undefined && { Host: host }) });
    expect(answer).toBe(status);
  });

  test.each([
    ['GET', undefined, 405],
    ['DELETE', undefined, 405],
    ['POST', 'not JSON', 400],
    ['POST', JSON.stringify([PING, PING]), 400],
    ['POST', JSON.stringify({ ...PING, params: { text: 'x'.repeat(300_000) } }), 413],
  ])('%s with %.12s gets %i', async (method, body, status) => {
    const answer = await fetch(`${api.url}/mcp`, {
      method,
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${org.client.credential}` },
      ...(body !== undefined && { body }),
    });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  test('no session is kept', async () => {
    const answer = await post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'tests', version: '1' },
      },
    });
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(await answer.text()).toContain('"protocolVersion":"2025-11-25"');
  });
});

test('an agent that was killed while waiting finds the same task, and its answer once', async () => {
  const poolId = await createPool(org.client);
  const worker = await createTestWorker(api, org.client, { pool_ids: [poolId] });
  const request_id = randomUUID();
  const args = { ...pooledRequest(poolId), origin: { product: 'tests', request_id } };
  const killed = await connect(org.client.credential);
  const waiting = callTool(killed, 'request_human', args).catch(() => null);
  const tasks = () => org.client.get<Page<TaskView>>(`/v1/tasks?request_id=${request_id}`);
  const taskId = await vi.waitFor(async () => (await tasks()).data[0]?.task_id ?? Promise.reject());
  await killed.close();
  expect(await waiting).toBeNull();
  await worker.accept(taskId);
  await worker.start(taskId);
  await worker.submit(taskId);
  const client = await connect(org.client.credential);
  const { value } = await callTool(client, 'request_human', args);
  expect(value).toMatchObject({ task_id: taskId, status: 'completed' });
  expect((await tasks()).data).toHaveLength(1);
  const reused = await callTool(client, 'request_human', { ...args, title: 'Something else' });
  expect(reused).toMatchObject({ value: { error: { code: 'idempotency_key_reused' } } });
});

test('messages in progress are limited, and the end of the process answers those that wait', async () => {
  const own = await startApi({ web: { inFlight: { streams: { credential: 1, process: 10 } } } });
  const { client: keys } = await createOrg(own);
  const { task_id } = await keys.post<TaskView>('/v1/tasks', taskBody());
  const client = await connectHttp(own.url, keys.credential, NEWEST);
  const start = performance.now();
  let isWaiting = false;
  const waiting = callTool(
    client,
    'wait_for_task',
    { task_id },
    {
      onprogress: () => {
        isWaiting = true;
      },
    },
  );
  await vi.waitFor(() => expect(isWaiting).toBe(true));
  const more = await fetch(`${own.url}/mcp`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${keys.credential}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(PING),
  });
  expect([more.status, more.headers.get('retry-after')]).toEqual([429, '2']);
  await own.close();
  expect((await waiting).value).toMatchObject({ task_id, is_final: false });
  expect(performance.now() - start).toBeLessThan(10_000);
  await client.close();
});

/** The status of a request with headers that fetch does not send. */
async function raw(headers: Record<string, string>): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const sent = request(`${api.url}/mcp`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        Authorization: `Bearer ${org.client.credential}`,
        ...headers,
      },
    });
    sent.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    sent.on('error', reject);
    sent.end(JSON.stringify(PING));
  });
}
