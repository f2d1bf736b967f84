// Who may use the MCP endpoint, from where, and what becomes of interrupted calls.
import { randomUUID } from 'node:crypto';
import {
  type Client,
  ClientCredentialsProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MCP_SCOPES, RESOURCE_SCOPES, TOOL_SCOPES } from '../../src/mcp/scopes.ts';
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
import { callTool, connectHttp, newClient, pooledRequest } from './support.ts';

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
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer ${error}resource_metadata="${url}", scope="tasks:create tasks:read"`,
    );
    expect(await (await fetch(url)).json()).toMatchObject({
      resource: `${api.url}/mcp`,
      authorization_servers: [api.url],
      scopes_supported: [...MCP_SCOPES, 'openid', 'offline_access'],
    });
    await expect(connect(credential)).rejects.toThrow();
  });

  describe('access tokens for the resource /mcp', () => {
    let made: { client_id: string; client_secret: string };
    let tokenWith: (scope: string) => Promise<string>;
    beforeAll(async () => {
      made = await org.client.post('/v1/oauth-clients', {
        name: 'agent',
        grant_types: ['client_credentials'],
        scopes: ['stats:read', ...MCP_SCOPES],
      });
      tokenWith = async (scope) => {
        const answer = await fetch(`${api.url}/oauth/token`, {
          method: 'POST',
          headers: { Authorization: `Basic ${btoa(`${made.client_id}:${made.client_secret}`)}` },
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            resource: `${api.url}/mcp`,
            scope,
          }),
        });
        return ((await answer.json()) as { access_token: string }).access_token;
      };
    });
    const UNKNOWN = '01923f7e-0000-7000-8000-000000000000';
    const call = (name: string, args: object) => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: args },
    });
    const read = (uri: string) => ({ jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri } });
    const MESSAGES: Record<string, object> = {
      request_human: call('request_human', { ...pooledRequest('none'), wait_seconds: 0 }),
      wait_for_task: call('wait_for_task', { task_id: UNKNOWN }),
      get_task: call('get_task', { task_id: UNKNOWN }),
      list_tasks: call('list_tasks', {}),
      cancel_task: call('cancel_task', { task_id: UNKNOWN }),
      answer_question: call('answer_question', { task_id: UNKNOWN, text: 'yes' }),
      review_task: call('review_task', { task_id: UNKNOWN, version: 1, decision: 'approve' }),
      preview_match: call('preview_match', {}),
      pools: read('biolayer://pools'),
      'task-types': read('biolayer://task-types'),
      task: read(`biolayer://tasks/${UNKNOWN}`),
      history: read(`biolayer://tasks/${UNKNOWN}/history`),
      evidence: read(`biolayer://tasks/${UNKNOWN}/evidence/${UNKNOWN}`),
    };

    test.each(Object.entries({ ...TOOL_SCOPES, ...RESOURCE_SCOPES }))(
      '%s needs %j: without them the challenge names them, with them it is called',
      async (name, scopes) => {
        const refused = await post(MESSAGES[name], { credential: await tokenWith('stats:read') });
        expect(refused.status).toBe(403);
        expect(refused.headers.get('www-authenticate')).toBe(
          'Bearer error="insufficient_scope", error_description="Insufficient scope", ' +
            `scope="${scopes.join(' ')}", resource_metadata="${api.url}/.well-known/oauth-protected-resource/mcp"`,
        );
        const called = await post(MESSAGES[name], { credential: await tokenWith(scopes.join(' ')) });
        expect(called.status).toBe(200);
        expect(await called.text()).not.toContain('insufficient_scope');
      },
    );

    test('the client asks first for what it needs to ask people, and for more when a call needs more', async () => {
      const authProvider = new ClientCredentialsProvider({
        clientId: made.client_id,
        clientSecret: made.client_secret,
        expectedIssuer: api.url,
      });
      const client = newClient(NEWEST);
      clients.push(client);
      await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', api.url), { authProvider }));
      expect(authProvider.tokens()?.scope).toBe('tasks:create tasks:read');
      const cancelled = await callTool(client, 'cancel_task', { task_id: UNKNOWN });
      expect(cancelled.value).toMatchObject({ error: { code: 'not_found' } });
      expect(authProvider.tokens()?.scope).toBe('tasks:create tasks:read tasks:cancel');
    });

    test('with an API key the tool returns the refusal of the API', async () => {
      const key = await createKey(api, org.client, { scopes: ['tasks:read'] });
      const refused = await callTool(await connect(key.credential), 'cancel_task', { task_id: UNKNOWN });
      expect(refused).toMatchObject({ isError: true, value: { error: { code: 'insufficient_scope' } } });
    });
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
