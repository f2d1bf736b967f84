// Liveness, readiness, the queue board and metrics. The last two need the operator token, however the path is written.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createOrg,
  OPERATOR_TOKEN,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

let api: TestApi;
let nobody: Client;

beforeAll(async () => {
  api = await startApi();
  nobody = api.client(null);
});

afterAll(() => api.close());

function basic(user: string, password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

test.each(['/livez', '/readyz', '/openapi.json', '/docs'])('%s needs no credential', async (path) => {
  for (const who of [nobody, api.client('nonsense')])
    expect((await who.request('GET', path)).status).toBe(200);
});

describe.each(['/admin/queues', '/admin/queues/', '/admin/queues/api/queues', '/metrics'])('%s', (path) => {
  test('accepts the operator token by Bearer and by Basic', async () => {
    const answers = [
      await api.operator.request('GET', path),
      await nobody.request('GET', path, { headers: basic('operator', OPERATOR_TOKEN) }),
      await nobody.request('GET', path, { headers: { Authorization: `bearer ${OPERATOR_TOKEN}` } }),
    ];
    expect(answers.map((one) => one.status)).toEqual([200, 200, 200]);
  });

  test('refuses all other credentials', async () => {
    const { client } = await createOrg(api);
    const { client: worker } = await createTestWorker(api, client);
    for (const who of [
      nobody,
      client,
      worker,
      api.client(`${OPERATOR_TOKEN}x`),
      api.client(OPERATOR_TOKEN.slice(0, -1)),
    ]) {
      const answer = await who.request('GET', path);
      expect(answer.outcome).toBe('401 invalid_credential');
      expect(answer.headers.get('www-authenticate')).toMatch(/Basic/);
    }
    const pairs = [
      ['operator', ''],
      ['operator', 'wrong'],
      ['admin', OPERATOR_TOKEN],
      ['', OPERATOR_TOKEN],
    ] as const;
    for (const [user, password] of pairs)
      expect((await nobody.request('GET', path, { headers: basic(user, password) })).outcome).toBe(
        '401 invalid_credential',
      );
  });
});

/** The status line's code of a GET whose path is sent as it is, which no client library does. */
async function statusOf(path: string): Promise<number> {
  const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
  let reply = '';
  socket.on('data', (data) => {
    reply += data;
  });
  socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close');
  return Number(reply.split(' ')[1]);
}

test('no spelling of the path avoids the check', async () => {
  const ways = [
    '/ADMIN/queues',
    '/Admin/Queues/api/queues',
    '/admin/Queues',
    '//admin/queues',
    '/admin//queues',
    '/admin/./queues',
    '/x/../admin/queues',
    '/admin/queues/../queues/api/queues',
    '/admin/%71ueues',
    '/%61dmin/queues/api/queues',
    '/admin%2Fqueues',
    '/admin/queues%2Fapi%2Fqueues',
    '/admin/queues;x',
    '/admin/queues?token=x',
    `/admin/queues?access_token=${OPERATOR_TOKEN}`,
    '/admin/queues/api/queues?x=/livez',
    'http://other/admin/queues',
    '/admin\\queues',
    '/METRICS',
    '/metrics/',
    '/%6detrics',
  ];
  for (const path of ways)
    expect([path, [400, 401, 404].includes(await statusOf(path))]).toEqual([path, true]);
});

describe('the board', () => {
  test('lists the queues and shows their jobs', async () => {
    const running = await startApi({ processors: true, prefix: api.prefix });
    const { client } = await createOrg(api);
    const deadline = new Date(Date.now() + 50_000).toISOString();
    await client.post<TaskView>('/v1/tasks', taskBody({ sla: { urgency: 'low', deadline } }));
    const look = () =>
      api.operator.get<{ queues: { name: string; counts: Record<string, number> }[] }>(
        '/admin/queues/api/queues',
      );
    await expect
      .poll(async () => (await look()).queues.find((one) => one.name === 'tasks.sla')?.counts.delayed, {
        timeout: 20_000,
      })
      .toBe(1);
    expect((await look()).queues.map((one) => one.name).sort()).toEqual([
      'outgoing.notifications',
      'outgoing.retries',
      'outgoing.webhooks',
      'tasks.bulk',
      'tasks.lifecycle',
      'tasks.sla',
    ]);
    await running.close();
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('refuses %s', async (method) => {
    for (const path of [
      '/queues/tasks.sla/pause',
      '/queues/tasks.sla/clean/completed',
      '/queues/tasks.sla/empty',
      '/queues/tasks.sla/obliterate',
      '',
    ])
      expect((await api.operator.request(method, `/admin/queues/api${path}`)).status).toBe(405);
    const { queues } = await api.operator.get<{
      queues: { name: string; isPaused: boolean; readOnlyMode: boolean }[];
    }>('/admin/queues/api/queues');
    for (const queue of queues) expect(queue).toMatchObject({ isPaused: false, readOnlyMode: true });
  });

  test('loads nothing from other origins and cannot be framed', async () => {
    const { headers, text } = await api.operator.request('GET', '/admin/queues');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src 'self'/);
    expect(policy).toMatch(/frame-ancestors 'none'/);
    expect(policy).not.toMatch(/https?:|\*/);
    expect(text).not.toMatch(/https?:/);
    const [, style = ''] = /<link[^>]+href="(static\/css[^"]+)"/.exec(text) ?? [];
    const { text: css } = await api.operator.request('GET', `/admin/queues/${style}`);
    expect(css).toContain('font-family');
    expect(css).not.toMatch(/@import|url\(["']?(https?:)?\/\//);
    const [, script] = /<script[^>]+src="([^"]+)"/.exec(text) ?? [];
    expect(script).toBeDefined();
    expect(
      (await api.operator.request('GET', new URL(script ?? '', `${api.url}/admin/queues/`).pathname)).status,
    ).toBe(200);
  });
});

test('every response has the common headers', async () => {
  const { client } = await createOrg(api);
  for (const answer of [
    await nobody.request('GET', '/livez'),
    await client.request('GET', '/v1/tasks'),
    await nobody.request('GET', '/nowhere'),
  ]) {
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-powered-by')).toBeNull();
  }
});

test('without OPERATOR_TOKEN no request is accepted, not even with an empty token', async () => {
  const locked = await startApi({ operatorToken: null });
  for (const headers of [
    {},
    { Authorization: 'Bearer ' },
    { Authorization: 'Bearer undefined' },
    basic('operator', ''),
    basic('operator', 'undefined'),
  ])
    for (const path of ['/admin/queues', '/metrics'])
      expect((await locked.client(null).request('GET', path, { headers })).outcome).toBe(
        '401 invalid_credential',
      );
  await locked.close();
});
