// Outages of Redis, killed or unresponsive: every route returns 503 with Retry-After within two seconds, nothing hangs, no
// acknowledged write is lost, and everything recovers when Redis is back.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Route } from '../../../src/api/route.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { QUOTAS } from '../../../src/config.ts';
import { newCredential } from '../../../src/store/identity/credential-text.ts';
import { COMMAND_TIMEOUT } from '../../../src/store/redis/sending.ts';
import {
  type Answer,
  type Client,
  createOrg,
  type Org,
  startApi,
  type TaskView,
  type TestApi,
  waitUntil,
} from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { consolePage, WebPage } from '../../support/web-page.ts';
import { createTaskIn, createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const LIMIT = 2000;
/** Waiting requests notice an outage when they look. */
const LOOK_EVERY = 1000;
const SOME_ID = '0190163d-8694-739b-aea5-966c26f8ad90';
/** Well-formed ids for parameters with a format: a malformed id is a 404 without access to Redis. */
const SOME_IDS: Record<string, string> = { client_id: `blc_${'A'.repeat(43)}`, entry_id: 'p08-1-1' };

/** A well-formed link: a malformed one is a 401 without access to Redis. */
const LINK = newCredential('bll_', SOME_ID).text;

let redis: OwnRedis;
let api: TestApi;
let org: Org;
let client: Client;
let person: TestWorker;
/** Pages in which a worker and a member are signed in. */
let pages: { worker: WebPage; console: WebPage };

beforeAll(async () => {
  redis = await startOwnRedis();
  api = await startApi({
    redisUrl: redis.url,
    processors: true,
    web: { quotas: QUOTAS, publicUrl: 'own', lookEvery: LOOK_EVERY },
  });
  org = await createOrg(api);
  client = org.client;
  person = await createTestWorker(api, client, { availability: 'away' });
  const page = new WebPage(api);
  await page.request('POST', '/v1/worker/session', { body: { token: person.client.credential } });
  const member = { email: 'ada@example.com', name: 'Ada', role: 'owner' };
  const { member_id } = await client.post<{ member_id: string }>('/v1/members', member);
  pages = { worker: page, console: await consolePage(api, org.org_id, member_id) };
});

afterAll(async () => {
  // First, so that a Redis that a failed test left stopped does not keep the API from closing.
  redis.resume();
  await api.close();
  await redis.stop();
});

interface Way {
  away(): Promise<void> | void;
  back(): Promise<void> | void;
}

const WAYS: [string, Way][] = [
  ['killed', { away: () => redis.kill(), back: () => redis.start() }],
  ['silent', { away: () => redis.freeze(), back: () => redis.resume() }],
];

let gone: Way | null = null;

async function goAway(way: Way): Promise<void> {
  await way.away();
  gone = way;
}

/** Restarts Redis, and resolves when the API has noticed. */
async function comeBack(): Promise<void> {
  await gone?.back();
  gone = null;
  const create = async () => (await client.request('POST', '/v1/tasks', { body: taskBody() })).status;
  await expect.poll(create, { timeout: 20_000 }).toBe(201);
  await expect.poll(async () => (await api.client(null).request('GET', '/readyz')).status).toBe(200);
}

// Independent of the outcome of the previous test.
beforeEach(comeBack);

const BODIES: Record<string, unknown> = {
  'POST /v1/tasks': taskBody(),
  'POST /v1/tasks/{task_id}/review': { decision: 'approve' },
  'POST /v1/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/worker/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/worker/tasks/{task_id}/report': { reason: 'unsafe' },
  'POST /v1/worker/tasks/{task_id}/dispute': { text: 'x' },
  'POST /v1/tasks/{task_id}/dispute/resolve': { decision: 'uphold' },
  'POST /v1/worker/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/pools': { name: 'x' },
  'POST /v1/workers': { name: 'x' },
  'PATCH /v1/worker': { availability: 'available' },
  'POST /v1/worker/tasks/{task_id}/submit': { output: {} },
  'POST /v1/worker/session': { link: LINK },
  'POST /console/session': { link: LINK },
  'POST /v1/worker/notification-channels': { kind: 'slack', url: 'https://hooks.example.com/x' },
  'POST /v1/worker/notification-channels/{channel_id}/confirm': { code: '123456' },
  'POST /v1/api-keys': { name: 'x', scopes: ['tasks:read'] },
  'POST /v1/oauth-clients': { name: 'x', scopes: ['tasks:read'] },
  'POST /v1/members': { email: 'x@example.com', name: 'x', scopes: ['tasks:read'] },
  'POST /v1/issuers': {
    name: 'x',
    issuer: 'https://id.example.com/',
    jwks_uri: 'https://id.example.com/jwks',
    scope_map: { read: ['tasks:read'] },
  },
  'POST /admin/orgs': { name: 'x' },
  'POST /admin/orgs/{org_id}/api-keys': { name: 'x', scopes: ['tasks:read'] },
};

function callerOf({ access }: Route): Pick<Client, 'request'> {
  switch (access.kind) {
    case 'worker':
      return person.client;
    case 'operator':
      return api.operator;
    case 'session':
      return pages[access.of];
    case 'sign_in':
      return new WebPage(api);
    default:
      return client;
  }
}

function call(route: Route, given: Record<string, string>): Promise<Answer> {
  // Routes without versions reject If-Match without access to Redis.
  const { 'If-Match': condition, ...others } = given;
  const headers = route.versioned && condition !== undefined ? given : others;
  const who = callerOf(route);
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) => SOME_IDS[name] ?? SOME_ID);
  if (route.reader !== undefined)
    return who.request(route.method, `${path}?name=x`, {
      raw: 'x',
      headers: { 'Content-Type': 'text/plain', ...headers },
    });
  const body = route.body === undefined ? undefined : (BODIES[`${route.method} ${route.path}`] ?? {});
  return who.request(route.method, path, { headers, ...(body !== undefined && { body }) });
}

/** Calls all routes at once. Returns those without a 503 in time, not counting the time this process was busy. */
async function misbehaving(headers: Record<string, string> = {}): Promise<string[]> {
  const started = performance.now();
  const busy = performance.eventLoopUtilization();
  const seen = await Promise.all(
    ROUTES.map(async (route) => {
      const { outcome } = await call(route, headers);
      const waited = performance.now() - started - performance.eventLoopUtilization(busy).active;
      return { name: `${route.method} ${route.path}`, outcome, waited };
    }),
  );
  return seen
    .filter(({ outcome, waited }) => outcome !== '503 unavailable' || waited > LIMIT)
    .map(({ name, outcome, waited }) => `${name}: ${outcome} after ${Math.round(waited)} ms`);
}

describe.each(WAYS)('%s', (_name, way) => {
  test('every route returns 503 in time, the process is alive and not ready, and then recovers', async () => {
    // The first round uses cached credentials, the second expired ones.
    await goAway(way);
    expect(await misbehaving()).toEqual([]);
    expect(await misbehaving({ 'Idempotency-Key': 'outage', 'If-Match': '"1"' })).toEqual([]);
    const nobody = api.client(null);
    expect((await nobody.request('GET', '/livez')).status).toBe(200);
    expect((await nobody.request('GET', '/readyz')).outcome).toBe('503 unavailable');
    // Requests that can be rejected without Redis are rejected as usual.
    expect((await nobody.request('GET', '/v1/tasks')).outcome).toBe('401 invalid_credential');
    expect((await nobody.request('GET', '/nowhere')).outcome).toBe('404 not_found');
    expect((await nobody.request('GET', '/openapi.json')).status).toBe(200);
    await comeBack();
    const { task, person: worker } = await createTaskIn(api, org, 'submitted');
    await client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'approve' });
    expect((await worker.client.request('GET', '/v1/worker')).status).toBe(200);
  });

  test('the board, the metrics and OAuth do not hang either', async () => {
    const operators = (path: string) =>
      fetch(api.url + path, { headers: { Authorization: `Bearer ${api.operator.credential}` } });
    const robot = { name: 'x', scopes: ['tasks:read'] };
    const made = await client.post<Record<string, string>>('/v1/oauth-clients', robot);
    const app = await client.post<Record<string, string>>('/v1/oauth-clients', {
      ...robot,
      grant_types: ['authorization_code'],
      redirect_uris: ['https://app.example.com/'],
    });
    const ask = new URLSearchParams({
      client_id: app.client_id ?? '',
      response_type: 'code',
      redirect_uri: 'https://app.example.com/',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    });
    const credential = Buffer.from(`${made.client_id}:${made.client_secret}`).toString('base64');
    const token = () =>
      fetch(`${api.url}/oauth/token`, {
        method: 'POST',
        headers: { Authorization: `Basic ${credential}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
    const authorize = () =>
      fetch(`${api.url}/oauth/authorize?${ask}`, { redirect: 'manual', headers: { Accept: 'text/html' } });
    expect((await token()).status).toBe(200);
    await goAway(way);
    const started = performance.now();
    const ofOperator = Promise.all(
      ['/admin/queues/api/queues', '/metrics'].map(async (path) => {
        const response = await operators(path);
        await response.text();
        return [path, response.status, performance.now() - started < 2 * LIMIT];
      }),
    );
    const answers = await Promise.all([token(), authorize()]);
    expect(performance.now() - started).toBeLessThan(LIMIT + 500);
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(await ofOperator).toEqual([
      ['/admin/queues/api/queues', 503, true],
      ['/metrics', 503, true],
    ]);
    for (const { headers } of answers) {
      expect(headers.get('retry-after')).toBe('2');
      expect(headers.get('location')).toBeNull();
    }
  });

  test('waiting requests are answered, and waits that outlast the outage get the change', async () => {
    const { task } = await createTaskIn(api, org, 'queued');
    const channels = async () =>
      (await api.redis.pubsub('SHARDCHANNELS', `${api.prefix}:*:changes`)) as string[];
    const there = `/v1/tasks/${task.task_id}`;
    const path = `${there}?wait=60`;
    // Notifications use another connection, which may recover a moment later.
    const hearsNews = () =>
      expect
        .poll(async () => (await client.request('GET', `${there}?wait=1`)).status, { timeout: 20_000 })
        .toBe(200);
    await hearsNews();
    const waits = client.request('GET', path);
    await expect.poll(async () => (await channels()).length).toBe(1);
    await goAway(way);
    const began = performance.now();
    expect((await waits).outcome).toBe('503 unavailable');
    expect(performance.now() - began).toBeLessThan(LOOK_EVERY + LIMIT);
    await comeBack();
    await hearsNews();
    const again = client.get<TaskView>(path);
    await expect.poll(async () => (await channels()).length).toBe(1);
    await client.post(`/v1/tasks/${task.task_id}/cancel`);
    expect((await again).status).toBe('cancelled');
  });

  test('acknowledged writes survive, and an SLA clock due meanwhile is breached', async () => {
    const deadline = new Date(Date.now() + 1500).toISOString();
    const body = taskBody({ sla: { urgency: 'high', deadline } });
    const [waiting, due] = await Promise.all([
      createTaskIn(api, org, 'started'),
      client.post<TaskView>('/v1/tasks', body),
    ]);
    await goAway(way);
    await waitUntil(deadline);
    await comeBack();
    expect((await client.get<TaskView>(`/v1/tasks/${waiting.task.task_id}`)).status).toBe('started');
    await expect
      .poll(async () => (await client.get<TaskView>(`/v1/tasks/${due.task_id}`)).failure?.code, {
        timeout: 20_000,
      })
      .toBe('deadline_exceeded');
  });
});

test('the API starts before Redis and is ready as soon as Redis is', async () => {
  await goAway({ away: () => redis.kill(), back: () => redis.start() });
  let isUp = false;
  const starting = startApi({ redisUrl: redis.url }).finally(() => {
    isUp = true;
  });
  await expect.poll(async () => (await client.request('GET', '/v1/tasks')).status).toBe(503);
  expect(isUp).toBe(false);
  await comeBack();
  const late = await starting;
  expect((await late.client(null).request('GET', '/readyz')).status).toBe(200);
  await late.close();
});

// The phase of the event loop decides whether the command has been sent when the loop is blocked.
test.each<[string, () => Promise<unknown>]>([
  ['a timer', () => new Promise((resolve) => setTimeout(resolve, 1))],
  ['an immediate', () => new Promise((resolve) => setImmediate(resolve))],
  ['an answer', () => api.web.db.redis.ping()],
])('a process that is busy after %s does not treat Redis as silent', async (_, begin) => {
  const { redis: connection } = api.web.db;
  await begin();
  const answer = connection.ping();
  const end = performance.now() + COMMAND_TIMEOUT + 100;
  while (performance.now() < end); // Sent, answered, and nobody looks.
  expect(await answer).toBe('PONG');
});
