// An org's ip_allowlist: which requests it rejects, how soon, and that a caller cannot lock itself out by mistake.
// The test acts as a trusted proxy and sets the client's address.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { type Client, createOrg, type Org, startApi, type TestApi, waitUntil } from '../../support/api.ts';
import { freshPrefix } from '../../support/redis.ts';
import { createTestWorker, type TestWorker } from '../../support/workers.ts';

const INSIDE = { 'X-Forwarded-For': '203.0.113.9' };
const OUTSIDE = { 'X-Forwarded-For': '198.51.100.9' };

let api: TestApi;
let other: TestApi;
beforeAll(async () => {
  const common = {
    prefix: freshPrefix(),
    sealer: createSealer([Buffer.alloc(32, 1)]),
    web: { trustedProxies: ['127.0.0.0/8'] },
  };
  [api, other] = await Promise.all([startApi(common), startApi(common)]);
});
afterAll(() => Promise.all([api.close(), other.close()]));

const allow = (client: Client, list: unknown, headers: Record<string, string> = INSIDE, query = '') =>
  client.request('PATCH', `/v1/org${query}`, { body: { ip_allowlist: list }, headers });
const outcome = async (client: Client, path: string, headers: Record<string, string>) =>
  (await client.request('GET', path, { headers })).outcome;

describe('an org with an IP allowlist', () => {
  let org: Org;
  let person: TestWorker;
  beforeAll(async () => {
    org = await createOrg(api);
    person = await createTestWorker(api, org.client, {});
    expect((await allow(org.client, ['203.0.113.0/24', '2001:db8::/32'])).outcome).toBe('200');
  });

  test.each([
    ['203.0.113.255', '200'],
    ['::ffff:203.0.113.9', '200'],
    ['203.0.113.9:8080', '200'],
    ['[2001:db8::77]:443', '200'],
    ['203.0.114.1', '403 ip_not_allowed'],
    ['2001:db9::1', '403 ip_not_allowed'],
    ['203.0.113.9, 198.51.100.9', '403 ip_not_allowed'],
    ['198.51.100.9, 203.0.113.9', '200'],
    ['unknown', '403 ip_not_allowed'],
  ])('from %s: %s', async (forwarded, expected) => {
    const headers = { 'X-Forwarded-For': forwarded };
    expect(await outcome(org.client, '/v1/tasks', headers)).toBe(expected);
    expect(await outcome(person.client, '/v1/worker', headers)).toBe(expected);
  });

  test('refuses the address of the proxy itself', async () => {
    expect(await outcome(org.client, '/v1/tasks', {})).toBe('403 ip_not_allowed');
  });

  test('answers 401 to a wrong credential, and checks the address before the scope', async () => {
    expect(await outcome(api.client('blk_live_x'), '/v1/tasks', OUTSIDE)).toBe('401 invalid_credential');
    expect(await outcome(person.client, '/v1/tasks', OUTSIDE)).toBe('403 ip_not_allowed');
    expect(await outcome(person.client, '/v1/tasks', INSIDE)).toBe('403 insufficient_scope');
  });

  test('does not affect other orgs and open routes', async () => {
    const neighbour = await createOrg(api);
    expect(await outcome(neighbour.client, '/v1/tasks', OUTSIDE)).toBe('200');
    expect(await outcome(api.client(null), '/livez', OUTSIDE)).toBe('200');
  });

  test('a refused request has no effect', async () => {
    const create = await org.client.request('POST', '/v1/pools', { body: { name: 'p' }, headers: OUTSIDE });
    expect(create.outcome).toBe('403 ip_not_allowed');
    const pools = await org.client.get<{ data: unknown[] }>('/v1/pools', { headers: INSIDE });
    expect(pools.data).toEqual([]);
  });
});

test('a change applies at once in its process and within a second in others, both ways', async () => {
  const org = await createOrg(api);
  const elsewhere = other.client(org.client.credential);
  const both = () =>
    Promise.all([org.client, elsewhere].map((client) => outcome(client, '/v1/tasks', OUTSIDE)));
  expect(await both()).toEqual(['200', '200']);
  await allow(org.client, ['203.0.113.0/24']);
  const changed = Date.now();
  expect(await outcome(org.client, '/v1/tasks', OUTSIDE)).toBe('403 ip_not_allowed');
  await waitUntil(changed + 1000);
  expect(await both()).toEqual(['403 ip_not_allowed', '403 ip_not_allowed']);
  await allow(org.client, []);
  const undone = Date.now();
  expect(await outcome(org.client, '/v1/tasks', OUTSIDE)).toBe('200');
  await waitUntil(undone + 1000);
  expect(await both()).toEqual(['200', '200']);
});

describe('PATCH /v1/org', () => {
  test('normalizes networks, and an empty list allows all addresses', async () => {
    const { client } = await createOrg(api);
    expect(await client.get('/v1/org', { headers: OUTSIDE })).toMatchObject({ ip_allowlist: [] });
    const list = ['203.0.113.9', '10.1.2.3/8', '2001:DB8::5/32', '::ffff:203.0.113.9', '203.0.113.9/32'];
    const answer = await allow(client, list);
    const kept = ['203.0.113.9/32', '10.0.0.0/8', '2001:db8::/32'];
    expect(answer.as()).toMatchObject({ ip_allowlist: kept });
    expect(await client.get('/v1/org', { headers: INSIDE })).toMatchObject({ ip_allowlist: kept });
    // A change of other fields does not affect it.
    await client.patch('/v1/org', { name: 'other' }, { headers: INSIDE });
    expect(await client.get('/v1/org', { headers: INSIDE })).toMatchObject({
      name: 'other',
      ip_allowlist: kept,
    });
    expect((await allow(client, [])).as()).toMatchObject({ ip_allowlist: [] });
    expect(await outcome(client, '/v1/org', OUTSIDE)).toBe('200');
  });

  test('refuses a list without the caller’s address unless forced', async () => {
    const { client } = await createOrg(api);
    const list = ['203.0.113.0/24'];
    const refused = await allow(client, list, OUTSIDE);
    expect(refused.outcome).toBe('409 would_lock_out');
    expect(refused.problem.detail).toContain('198.51.100.9');
    expect((await allow(client, list, { 'X-Forwarded-For': 'unknown' })).outcome).toBe('409 would_lock_out');
    expect((await allow(client, list, OUTSIDE, '?force=false')).outcome).toBe('409 would_lock_out');
    expect(await client.get('/v1/org')).toMatchObject({ ip_allowlist: [] });
    expect((await allow(client, list, OUTSIDE, '?force=true')).outcome).toBe('200');
    expect(await outcome(client, '/v1/org', OUTSIDE)).toBe('403 ip_not_allowed');
    expect(await outcome(client, '/v1/org', INSIDE)).toBe('200');
  });

  test.each<[unknown, string]>([
    ['203.0.113.0/24', '/ip_allowlist'],
    [null, '/ip_allowlist'],
    [[1], '/ip_allowlist/0'],
    [['203.0.113.0/24', 'x'], '/ip_allowlist/1'],
    [['203.0.113.0/33'], '/ip_allowlist/0'],
    [['2001:db8::/129'], '/ip_allowlist/0'],
    [['203.0.113.256'], '/ip_allowlist/0'],
    [['203.0.113.0/'], '/ip_allowlist/0'],
    [['203.0.113.0/24 '], '/ip_allowlist/0'],
    [['203.0.113.0-255'], '/ip_allowlist/0'],
    [['010.0.0.1'], '/ip_allowlist/0'],
    [['fe80::1%eth0'], '/ip_allowlist/0'],
    [['::ffff:0:0/95', '*'], '/ip_allowlist/1'],
    [[''], '/ip_allowlist/0'],
    [Array(1001).fill('203.0.113.9'), '/ip_allowlist'],
  ])('refuses %j at %s and changes nothing', async (list, pointer) => {
    const { client } = await createOrg(api);
    const answer = await allow(client, list);
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
    expect(await client.get('/v1/org')).toMatchObject({ ip_allowlist: [] });
  });
});
