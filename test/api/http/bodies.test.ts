// Bodies of the other routes that write: every invalid value of every field is reported at its pointer and changes nothing.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Client, createOrg, createPool, freshName, startApi, type TestApi } from '../../support/api.ts';
import { testDatabaseUrl } from '../../support/redis.ts';
import { snapshot } from '../../support/snapshot.ts';
import { createTestWorker } from '../../support/workers.ts';

let api: TestApi;
let client: Client;
let places: Record<string, string>;
let before: Map<string, string>;

beforeAll(async () => {
  api = await startApi({ redisUrl: testDatabaseUrl(2) });
  client = (await createOrg(api)).client;
  const pool = await createPool(client, { pool_id: 'taken' });
  const { worker_id } = await createTestWorker(api, client);
  places = { pool: `/v1/pools/${pool}`, worker: `/v1/workers/${worker_id}` };
});

beforeEach(async () => {
  before = await snapshot(api.redis, api.prefix);
});

afterAll(() => api.close());

const TEXTS = [5, null, true, [], {}, '', 'x'.repeat(201)];
const IDS = [5, null, {}, '', 'a b', 'a/b', 'ä', '..', 'x'.repeat(65)];
const LISTS = [5, null, 'x', {}, [5], [null], ['']];
const LEVELS = [-0.1, 5.1, '4', null, true, [], {}];

type Fault = [field: string, values: unknown[], at?: string];

const POOL: Fault[] = [
  ['name', TEXTS],
  ['offer_mode', ['', 'parallel', 'BROADCAST', 5, null]],
  ['broadcast_size', [0, -1, 1.5, '5', null, 1e9]],
  ['offer_ttl_seconds', [0, -1, 1.5, '60', true, 1e9]],
  ['org_id', ['x']],
  ['unknown', [1]],
];
const WORKER: Fault[] = [
  ['name', TEXTS],
  ['pool_ids', [5, null, 'x', {}]],
  ['pool_ids', [['a b'], [5], ['']], '/pool_ids/0'],
  ['pool_ids', [['taken', 'never-was']], '/pool_ids/1'],
  ['skills', LISTS.slice(0, 4)],
  ['skills', LISTS.slice(4), '/skills/0'],
  ['certifications', LISTS.slice(0, 4)],
  ['certifications', LISTS.slice(4), '/certifications/0'],
  ['trust_level', LEVELS],
  ['rating', LEVELS],
  ['capacity', [0, -1, 1.5, '1', null]],
  ['availability', ['', 'busy', 'Available', 5, null]],
  ['token', ['x']],
  ['active_tasks', [0]],
];

interface Case {
  method: string;
  path: () => string;
  base: Record<string, unknown>;
  faults: Fault[];
  operator?: boolean;
}

const CASES: Record<string, Case> = {
  'POST /v1/pools': {
    method: 'POST',
    path: () => '/v1/pools',
    base: { name: 'p' },
    faults: [...POOL, ['pool_id', IDS]],
  },
  'PATCH /v1/pools/{id}': {
    method: 'PATCH',
    path: () => places.pool ?? '',
    base: {},
    faults: [...POOL, ['pool_id', ['other']]],
  },
  'POST /v1/workers': {
    method: 'POST',
    path: () => '/v1/workers',
    base: { name: 'w' },
    faults: [...WORKER, ['worker_id', IDS]],
  },
  'PATCH /v1/workers/{id}': {
    method: 'PATCH',
    path: () => places.worker ?? '',
    base: {},
    faults: [...WORKER, ['worker_id', ['other']]],
  },
  'POST /v1/workers/{id}/tokens': {
    method: 'POST',
    path: () => `${places.worker}/tokens`,
    base: {},
    faults: [['unknown', [1]]],
  },
  'PATCH /v1/org': {
    method: 'PATCH',
    path: () => '/v1/org',
    base: {},
    faults: [
      ['name', TEXTS],
      ['org_id', ['x']],
      ['webhook_secrets', [[]]],
    ],
  },
  'POST /v1/webhook-secret/rotate': {
    method: 'POST',
    path: () => '/v1/webhook-secret/rotate',
    base: {},
    faults: [['secret', ['whsec_mine']]],
  },
  'POST /admin/orgs': {
    method: 'POST',
    path: () => '/admin/orgs',
    base: { name: 'o' },
    faults: [
      ['name', TEXTS],
      ['org_id', ['x']],
    ],
    operator: true,
  },
};

describe.each(Object.entries(CASES))('%s', (_name, { method, path, base, faults, operator }) => {
  const send = (body: unknown) => (operator ? api.operator : client).request(method, path(), { body });

  const each = faults.flatMap(([field, values, at = `/${field}`]) =>
    values.map((value) => ({ field, value, at })),
  );
  test.each(each)('$field $value', async ({ field, value, at }) => {
    const answer = await send({ ...base, [field]: value });
    expect(answer.outcome).toBe('422 validation_failed');
    expect([...new Set(answer.problem.errors?.map((one) => one.pointer))]).toEqual([at]);
    expect(await snapshot(api.redis, api.prefix)).toEqual(before);
  });

  test('a body that is not an object', async () => {
    for (const body of [[], 'x', 5, null, true]) {
      const answer = await send(body);
      expect([answer.outcome, answer.problem.errors?.[0]?.pointer]).toEqual(['422 validation_failed', '']);
    }
    expect(await snapshot(api.redis, api.prefix)).toEqual(before);
  });
});

// Last, because it changes the data in Redis.
describe('valid bodies are stored as given', () => {
  test('a pool, with defaults, changed, removed', async () => {
    const own = (await createOrg(api)).client;
    const created = await own.request('POST', '/v1/pools', { body: { pool_id: 'a-B_9', name: '漢' } });
    expect(created.headers.get('location')).toBe('/v1/pools/a-B_9');
    expect(created.as()).toMatchObject({
      pool_id: 'a-B_9',
      name: '漢',
      offer_mode: 'sequential',
      offer_ttl_seconds: null,
    });
    expect(await own.get('/v1/pools/a-B_9')).toEqual(created.as());
    const change = { offer_mode: 'broadcast', broadcast_size: 3, offer_ttl_seconds: 10 };
    expect(await own.patch('/v1/pools/a-B_9', change)).toMatchObject({ name: '漢', ...change });
    expect(await own.patch('/v1/pools/a-B_9', { offer_ttl_seconds: null })).toMatchObject({
      ...change,
      offer_ttl_seconds: null,
    });
    expect((await own.request('POST', '/v1/pools', { body: { pool_id: 'a-B_9', name: 'x' } })).outcome).toBe(
      '409 already_exists',
    );
    await own.delete('/v1/pools/a-B_9');
    for (const method of ['GET', 'DELETE'])
      expect((await own.request(method, '/v1/pools/a-B_9')).outcome).toBe('404 not_found');
    // No worker process runs here that would empty the removed pool.
    expect(
      (await own.request('POST', '/v1/pools', { body: { pool_id: 'a-B_9', name: 'again' } })).outcome,
    ).toBe('409 removal_in_progress');
  });

  test('a worker, with defaults, changed, removed; another org may use the same id', async () => {
    const own = (await createOrg(api)).client;
    const pool = await createPool(own);
    const worker_id = freshName('w');
    const created = await own.request('POST', '/v1/workers', { body: { worker_id, name: 'w' } });
    expect(created.headers.get('location')).toBe(`/v1/workers/${worker_id}`);
    const defaults = { pool_ids: [], skills: [], certifications: [], capacity: 1, active_tasks: 0 };
    expect(created.as()).toMatchObject(defaults);
    const change = {
      name: 'Zoë',
      pool_ids: [pool],
      skills: ['phone'],
      certifications: ['soc'],
      trust_level: 4,
      rating: 4.8,
      capacity: 3,
      availability: 'available',
    };
    expect(await own.patch(`/v1/workers/${worker_id}`, change)).toMatchObject(change);
    expect(await own.get(`/v1/workers/${worker_id}`)).toMatchObject({ worker_id, ...change });
    expect((await own.request('POST', '/v1/workers', { body: { worker_id, name: 'x' } })).outcome).toBe(
      '409 already_exists',
    );
    expect((await client.request('POST', '/v1/workers', { body: { worker_id, name: 'x' } })).outcome).toBe(
      '201',
    );
    await own.delete(`/v1/workers/${worker_id}`);
    expect((await own.request('GET', `/v1/workers/${worker_id}`)).outcome).toBe('404 not_found');
    expect((await client.request('GET', `/v1/workers/${worker_id}`)).status).toBe(200);
  });

  test('one of a hundred concurrent creates of the same pool succeeds', async () => {
    const body = { pool_id: freshName('pool'), name: 'x' };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => client.request('POST', '/v1/pools', { body })),
    );
    expect(answers.filter((one) => one.status === 201)).toHaveLength(1);
    expect(answers.filter((one) => one.outcome === '409 already_exists')).toHaveLength(99);
  });

  test('concurrent changes are all applied, one after the other', async () => {
    const pool_id = await createPool(client);
    const path = `/v1/pools/${pool_id}`;
    await Promise.all([
      ...Array.from({ length: 10 }, (_, index) => client.patch(path, { name: `n${index}` })),
      ...Array.from({ length: 10 }, (_, index) => client.patch(path, { offer_ttl_seconds: 20 + index })),
    ]);
    const answer = await client.request('GET', path);
    expect(answer.as()).toMatchObject({
      name: expect.stringMatching(/^n\d$/),
      offer_ttl_seconds: expect.toSatisfy((ttl: number) => ttl >= 20 && ttl < 30),
    });
    expect(answer.headers.get('etag')).toBe('"21"');
  });

  test('an org is renamed', async () => {
    const own = await createOrg(api, 'Before');
    expect(await own.client.get('/v1/org')).toMatchObject({ org_id: own.org_id, name: 'Before' });
    expect(await own.client.patch('/v1/org', { name: 'After' })).toMatchObject({
      org_id: own.org_id,
      name: 'After',
    });
  });

  test('a rotation returns a new secret, and the old one stays valid for a while', async () => {
    interface Secret {
      secret: string;
      previous_expires_at: string | null;
    }
    const first = await client.get<Secret>('/v1/webhook-secret');
    expect(first.secret).toMatch(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/);
    expect(first.previous_expires_at).toBeNull();
    const second = await client.post<Secret>('/v1/webhook-secret/rotate');
    expect(second.secret).not.toBe(first.secret);
    expect(Date.parse(second.previous_expires_at ?? '')).toBeGreaterThan(Date.now());
    expect(await client.get('/v1/webhook-secret')).toEqual(second);
  });
});
