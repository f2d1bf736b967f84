// Rate limits: of credentials and orgs by buckets in Redis, of unauthenticated requests by address; their headers and
// settings, and that a limit costs little while it is not reached.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QUOTAS } from '../../../src/config.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  startApi,
  type TestApi,
  waitUntil,
} from '../../support/api.ts';
import { freshPrefix, monitorRedis } from '../../support/redis.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

// So slow that no test sees a refill, except for the one about refills.
const SLOW = { requests: 5, seconds: 3600 };

let api: TestApi;
let other: TestApi;
beforeAll(async () => {
  const common = { prefix: freshPrefix(), sealer: createSealer([Buffer.alloc(32, 1)]) };
  const web = { quotas: QUOTAS, trustedProxies: ['127.0.0.0/8'] };
  [api, other] = await Promise.all([startApi({ ...common, web }), startApi({ ...common, web })]);
});
afterAll(() => Promise.all([api.close(), other.close()]));

interface Limits {
  key?: { requests: number; seconds: number } | null;
  org?: { requests: number; seconds: number } | null;
}

async function limitedOrg(rate_limits: Limits): Promise<{ org_id: string; client: Client }> {
  const { org_id, api_key } = await api.operator.post<{ org_id: string; api_key: string }>('/admin/orgs', {
    name: 'limited',
    rate_limits,
  });
  return { org_id, client: api.client(api_key) };
}

const list = (client: Client) => client.request('GET', '/v1/tasks');
const many = (count: number, ...clients: Client[]): Promise<Answer[]> =>
  Promise.all(clients.flatMap((client) => Array.from({ length: count }, () => list(client))));
const outcomes = (answers: Answer[]) => ({
  passed: answers.filter((one) => one.outcome === '200').length,
  limited: answers.filter((one) => one.outcome === '429 rate_limited').length,
});

describe('a credential', () => {
  test('gets its requests, sees what is left, and then gets 429 with Retry-After', async () => {
    const { client } = await limitedOrg({ key: SLOW });
    for (let sent = 1; sent <= 5; sent += 1) {
      const answer = await list(client);
      expect(answer.outcome).toBe('200');
      expect(answer.headers.get('ratelimit-policy')).toBe('"key";q=5;w=3600, "org";q=200000;w=10');
      const [, left, full] = /"key";r=(\d+);t=(\d+)/.exec(answer.headers.get('ratelimit') ?? '') ?? [];
      expect(Number(left)).toBe(5 - sent);
      // The bucket refills during the test.
      expect(Number(full)).toBeLessThanOrEqual(720 * sent);
      expect(Number(full)).toBeGreaterThan(720 * sent - 30);
    }
    const refused = await list(client);
    expect(refused.outcome).toBe('429 rate_limited');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(700);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(720);
    expect(refused.headers.get('ratelimit')).toMatch(/^"key";r=0;t=3[56]\d\d, "org";r=\d+;t=\d$/);
    expect(refused.problem.detail).toContain('5 requests in 3600 s');
  });

  test('gets exactly its requests, all at once and over two processes', async () => {
    const { client } = await limitedOrg({ key: { requests: 50, seconds: 3600 } });
    const answers = await many(40, client, other.client(client.credential));
    expect(outcomes(answers)).toEqual({ passed: 50, limited: 30 });
  });

  test('is not limited by another credential of its org', async () => {
    const { client } = await limitedOrg({ key: SLOW });
    const second = await createKey(api, client);
    const person = await createTestWorker(api, second, {});
    expect(outcomes(await many(10, client)).limited).toBeGreaterThan(0);
    expect((await person.client.request('GET', '/v1/worker')).outcome).toBe('200');
    for (let sent = 0; sent < 4; sent += 1) await person.client.request('GET', '/v1/worker');
    expect((await person.client.request('GET', '/v1/worker')).outcome).toBe('429 rate_limited');
  });

  test('is answered although its bucket is filled beyond its window because the clock went back', async () => {
    const { client, org_id } = await limitedOrg({ key: SLOW, org: SLOW });
    expect((await list(client)).outcome).toBe('200');
    const buckets = await api.redis.keys(`*${org_id}:rate:*`);
    expect(buckets).toHaveLength(2);
    for (const bucket of buckets) await api.redis.set(bucket, String(Date.now() + 2 * SLOW.seconds * 1000));
    expect(outcomes(await many(3, client, other.client(client.credential)))).toEqual({
      passed: 5,
      limited: 1,
    });
  });

  test('a refused request has no effect', async () => {
    const { client, org_id } = await limitedOrg({ key: { requests: 2, seconds: 3600 } });
    const create = () => client.request('POST', '/v1/tasks', { body: taskBody() });
    expect([await create(), await create(), await create()].map((one) => one.status)).toEqual([
      201, 201, 429,
    ]);
    await api.operator.patch(`/admin/orgs/${org_id}`, { rate_limits: { key: null } });
    expect((await client.get<{ data: unknown[] }>('/v1/tasks')).data).toHaveLength(2);
  });

  test('the bucket refills evenly', async () => {
    const { client } = await limitedOrg({ key: { requests: 4, seconds: 2 } });
    expect(outcomes(await many(8, client)).passed).toBe(4);
    const refused = await list(client);
    expect(refused.headers.get('retry-after')).toBe('1');
    await waitUntil(Date.now() + 1000);
    expect(outcomes(await many(8, client)).passed).toBe(2);
  });
});

describe('an org', () => {
  test('has one limit over all its credentials and processes', async () => {
    const { client } = await limitedOrg({ org: { requests: 30, seconds: 3600 } });
    const second = await createKey(api, client);
    const answers = await many(20, client, other.client(second.credential));
    // One request was used to create the second key.
    expect(outcomes(answers)).toEqual({ passed: 29, limited: 11 });
    expect(answers.find((one) => one.status === 429)?.problem.detail).toContain('The org calls too often');
    const neighbour = await createOrg(api);
    expect((await list(neighbour.client)).outcome).toBe('200');
  });

  test('gets other limits from the operator, at once in this process and within a second in others', async () => {
    const { client, org_id } = await limitedOrg({ key: SLOW });
    const elsewhere = other.client(client.credential);
    await many(6, client, elsewhere);
    expect((await list(client)).status).toBe(429);
    const changed = await api.operator.patch(`/admin/orgs/${org_id}`, {
      rate_limits: { key: { requests: 1000, seconds: 10 } },
    });
    const limits = { key: { requests: 1000, seconds: 10 }, org: QUOTAS.org };
    expect(changed).toMatchObject({ rate_limits: limits });
    expect((await list(client)).outcome).toBe('200');
    await waitUntil(Date.now() + 1000);
    expect((await list(elsewhere)).outcome).toBe('200');
    expect(await client.get('/v1/org')).toMatchObject({ rate_limits: limits });
    expect(await api.operator.get(`/admin/orgs/${org_id}`)).toMatchObject({ org_id, rate_limits: limits });
  });

  test.each<[unknown, string]>([
    [{ key: { requests: 0, seconds: 1 } }, '/rate_limits/key/requests'],
    [{ key: { requests: 1.5, seconds: 1 } }, '/rate_limits/key/requests'],
    [{ org: { requests: 1 } }, '/rate_limits/org/seconds'],
    [{ org: { requests: 1, seconds: 90_000 } }, '/rate_limits/org/seconds'],
    [{ org: { requests: 2_000_000, seconds: 1 } }, '/rate_limits/org/requests'],
    [{ worker: null }, '/rate_limits/worker'],
    ['5/1', '/rate_limits'],
  ])('refuses the limits %j', async (rate_limits, pointer) => {
    const { org_id } = await createOrg(api);
    for (const [method, path] of [
      ['PATCH', `/admin/orgs/${org_id}`],
      ['POST', '/admin/orgs'],
    ] as const) {
      const body = method === 'POST' ? { name: 'x', rate_limits } : { rate_limits };
      const answer = await api.operator.request(method, path, { body });
      expect(answer.problem.errors?.map((one) => one.pointer)).toContain(pointer);
    }
  });

  test('can set its name and allowlist but not its limits', async () => {
    const { client } = await limitedOrg({});
    const answer = await client.request('PATCH', '/v1/org', { body: { rate_limits: {} } });
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual(['/rate_limits']);
  });
});

describe('the defaults', () => {
  test('allow a thousand requests at once with about twenty draws per second', async () => {
    const { client } = await createOrg(api);
    await list(client);
    const monitor = await monitorRedis(api.redis);
    const started = performance.now();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => client.request('GET', '/v1/org')));
    const seconds = (performance.now() - started) / 1000;
    const seen = await monitor.seen();
    monitor.close();
    // Commands of scripts are reported too, with the source `lua`.
    const draws = seen
      .split('\r\n')
      .filter((line) => !/^\S+ \[\d+ lua\]/.test(line))
      .filter((line) => line.includes(`"${api.prefix}:`) && line.includes(':rate:org')).length;
    expect(answers.map((one) => one.status)).toEqual(Array(1000).fill(200));
    expect(draws).toBeGreaterThan(0);
    expect(draws).toBeLessThan(20 + 25 * seconds);
  });
});

describe('requests without a valid credential', () => {
  let strict: TestApi;
  beforeAll(async () => {
    strict = await startApi({
      web: {
        publicUrl: 'own',
        trustedProxies: ['127.0.0.0/8'],
        quotas: { key: null, org: null, address: { requests: 5, seconds: 3600 } },
      },
    });
  });
  afterAll(() => strict.close());

  let last = 0;
  const address = () => {
    last += 1;
    return { 'X-Forwarded-For': `203.0.113.${last}` };
  };
  /** A well-formed key that does not exist: that of another installation. */
  const unknownKey = async () => (await createOrg(api)).client.credential;

  test.each<[string, () => Promise<string | null>, string]>([
    ['no credential', async () => null, '/v1/tasks'],
    ['nonsense', async () => 'nonsense', '/v1/tasks'],
    ['a key that is none', unknownKey, '/v1/tasks'],
    ['a wrong operator token', async () => 'wrong', '/metrics'],
    ['a wrong operator token at the board', async () => 'wrong', '/admin/queues'],
    ['what is open', async () => null, '/openapi.json'],
  ])('%s: five are allowed from one address', async (_what, credential, path) => {
    const client = strict.client(await credential());
    const headers = address();
    const first = path === '/openapi.json' ? '200' : '401 invalid_credential';
    for (let sent = 0; sent < 5; sent += 1)
      expect((await client.request('GET', path, { headers })).outcome).toBe(first);
    const refused = await client.request('GET', path, { headers });
    expect(refused.outcome).toBe('429 rate_limited');
    expect(refused.headers.get('ratelimit-policy')).toBe('"address";q=5;w=3600');
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect((await client.request('GET', path, { headers: address() })).outcome).toBe(first);
  });

  test.each<[string, string, string]>([
    ['GET', '/.well-known/oauth-protected-resource', '200'],
    ['GET', '/.well-known/oauth-authorization-server', '200'],
    ['GET', '/oauth/jwks', '200'],
    ['GET', '/oauth/authorize?client_id=x', '400'],
    ['GET', '/oauth/interaction/x', '400'],
    ['GET', '/oauth/end-session', '200'],
    ['POST', '/oauth/token', '400'],
    ['POST', '/oauth/revoke', '400'],
    ['POST', '/oauth/introspect', '400'],
    ['PUT', '/oauth/token', '405'],
    ['GET', '/never/was', '404'],
    ['PUT', '/v1/tasks', '405'],
    ['OPTIONS', '/v1/tasks', '200'],
    ['GET', '/.well-known/biolayer-audit-keys.json', '200'],
  ])('%s %s is open and limited', async (method, path, first) => {
    const headers = { ...address(), Accept: 'text/html' };
    for (let sent = 0; sent < 5; sent += 1)
      expect(String((await fetch(strict.url + path, { method, headers })).status)).toBe(first);
    const refused = await fetch(strict.url + path, { method, headers });
    expect([refused.status, refused.headers.get('ratelimit-policy')]).toEqual([429, '"address";q=5;w=3600']);
    expect(refused.headers.get('set-cookie')).toBeNull();
  });

  test('count every guess of a thousand at once, and no valid credential', async () => {
    const headers = address();
    const guess = (await unknownKey()) ?? '';
    const all = await Promise.all(
      Array.from({ length: 20 }, () => strict.client(guess).request('GET', '/v1/tasks', { headers })),
    );
    expect(all.filter(({ status }) => status === 401)).toHaveLength(5);
    const other = address();
    for (let sent = 0; sent < 8; sent += 1) {
      const { client } = await createOrg(strict);
      expect((await client.request('GET', '/v1/tasks', { headers: other })).status).toBe(200);
    }
  });

  test('have a total limit for open routes that does not affect valid credentials', async () => {
    const backlog = await startApi({
      web: {
        trustedProxies: ['127.0.0.0/8'],
        quotas: { key: null, org: null, address: { requests: 20, seconds: 36_000 } },
      },
    });
    const { client } = await createOrg(backlog);
    const statuses: number[] = [];
    for (let net = 0; net < 52; net += 1) {
      const headers = { 'X-Forwarded-For': `2001:db8:0:${net}::1` };
      const answers = Array.from({ length: 20 }, () => fetch(`${backlog.url}/never/was`, { headers }));
      statuses.push(...(await Promise.all(answers)).map(({ status }) => status));
    }
    expect(statuses.filter((one) => one === 404)).toHaveLength(1000);
    expect(statuses.filter((one) => one === 429)).toHaveLength(40);
    const headers = { 'X-Forwarded-For': '203.0.113.250' };
    expect((await client.request('GET', '/v1/tasks', { headers })).status).toBe(200);
    await backlog.close();
  });

  test('are counted by /64 for IPv6', async () => {
    const from = (text: string) =>
      strict.client(null).request('GET', '/v1/tasks', { headers: { 'X-Forwarded-For': text } });
    for (let sent = 0; sent < 5; sent += 1) expect((await from(`2001:db8:1:2::${sent}`)).status).toBe(401);
    expect((await from('2001:db8:1:2:ffff::1')).status).toBe(429);
    expect((await from('2001:db8:1:3::1')).status).toBe(401);
  });

  test('do not limit known credentials of the same address, and health checks are not counted', async () => {
    const headers = address();
    const { client } = await createOrg(strict);
    expect((await client.request('GET', '/v1/tasks', { headers })).status).toBe(200);
    const late = await createOrg(strict);
    for (let sent = 0; sent < 6; sent += 1)
      await strict.client('bad').request('GET', '/v1/tasks', { headers });
    expect((await client.request('GET', '/v1/tasks', { headers })).status).toBe(200);
    // It is not cached, so its validity is unknown, and a flood must not cause look-ups.
    expect((await late.client.request('GET', '/v1/tasks', { headers })).outcome).toBe('429 rate_limited');
    expect((await late.client.request('GET', '/v1/tasks', { headers: address() })).status).toBe(200);
    expect((await strict.operator.request('GET', '/metrics', { headers })).status).toBe(200);
    for (const path of ['/livez', '/readyz'])
      for (let sent = 0; sent < 7; sent += 1)
        expect((await strict.client(null).request('GET', path, { headers })).status).toBe(200);
  });
});
