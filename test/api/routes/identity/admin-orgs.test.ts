// Orgs, as the operator lists them and makes API keys for them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { completeOrgLists } from '../../../../src/store/identity/orgs.ts';
import { RedisClock } from '../../../../src/store/redis/clock.ts';
import { orgKeysOf, PARTITIONS, partitionKeys, partitionOf } from '../../../../src/store/redis/keys.ts';
import {
  createOrg,
  createPool,
  freshName,
  type Org,
  type Page,
  startApi,
  type TestApi,
} from '../../../support/api.ts';
import { taskBody } from '../../../support/workers.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

interface Summary {
  org_id: string;
  status: string;
  suspension: { reason: string | null } | null;
  usage: Record<string, number>;
}

/** All orgs, read in pages of this size. */
async function listed(limit: number, order: 'asc' | 'desc' = 'desc'): Promise<Summary[]> {
  const found: Summary[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const more = cursor === '' ? '' : `&cursor=${cursor}`;
    const page: Page<Summary> = await api.operator.get(`/admin/orgs?limit=${limit}&order=${order}${more}`);
    found.push(...page.data);
    cursor = page.next_cursor;
  }
  return found;
}

test('a new org is in one of 256 partitions, and in one of the first 16 while a process of an earlier release runs', async () => {
  const orgs: Org[] = [];
  for (let count = 0; count < 12; count += 1) orgs.push(await createOrg(api));
  for (const { org_id } of orgs) {
    const number = Number.parseInt(org_id.slice(-3), 16);
    expect(partitionKeys(api.prefix, PARTITIONS[number] ?? '').orgs).toBe(orgKeysOf(api.prefix, org_id).orgs);
  }
  expect(orgs.some(({ org_id }) => !PARTITIONS.slice(0, 16).includes(partitionOf(org_id)))).toBe(true);
  const processes = `${api.prefix}:processes`;
  const earlier = 'web 0.0.9 0b2c4a52-7f5e-4a39-9a5b-9a0a4f2b7c11 1';
  await api.redis.zadd(processes, Date.now() + 60_000, earlier);
  const beside = await createOrg(api);
  await api.redis.zrem(processes, earlier);
  expect(beside.org_id[14]).toBe('7');
  expect(PARTITIONS.slice(0, 16)).toContain(partitionOf(beside.org_id));
  for (const { client } of [...orgs, beside])
    expect((await client.post<{ status: string }>('/v1/tasks', taskBody())).status).toBe('queued');
});

describe('GET /admin/orgs', () => {
  test('lists all orgs by creation, in pages', async () => {
    const made: string[] = [];
    for (let count = 0; count < 7; count += 1) made.push((await createOrg(api)).org_id);
    const ids = (await listed(3, 'asc')).map((one) => one.org_id);
    expect(ids.filter((id) => made.includes(id))).toEqual(made);
    expect((await listed(200)).map((one) => one.org_id)).toEqual(ids.toReversed());
  });

  test('shows status and usage, without the sandbox as an org of its own', async () => {
    const org = await createOrg(api);
    await org.client.post('/v1/api-keys', { name: 'x', scopes: ['*'], mode: 'test' });
    await org.client.post('/v1/tasks', taskBody());
    await org.client.post('/v1/workers', { name: 'x' });
    await api.operator.post(`/admin/orgs/${org.org_id}/suspend`, { reason: 'unpaid' });
    const [newest, ...others] = await listed(50);
    expect(newest).toMatchObject({
      org_id: org.org_id,
      status: 'suspended',
      suspension: { reason: 'unpaid' },
      usage: { open_tasks: 1, workers: 1, keys: 2, evidence_bytes: 0 },
    });
    for (const one of others) expect(one).toMatchObject({ status: 'active', suspension: null });
  });

  test('lists the orgs of an earlier release after a worker process has started', async () => {
    const before = await listed(50);
    await Promise.all(PARTITIONS.map((one) => api.redis.del(partitionKeys(api.prefix, one).orgList)));
    const clock = new RedisClock(api.redis);
    await completeOrgLists({ redis: api.redis, prefix: api.prefix, clock });
    expect(await listed(50)).toEqual(before);
  });
});

describe('POST /admin/orgs/{org_id}/api-keys', () => {
  const create = ({ org_id }: Org, body: object, headers: Record<string, string> = {}) =>
    api.operator.request('POST', `/admin/orgs/${org_id}/api-keys`, { body, headers });
  const keysOf = async ({ client }: Org) => (await client.get<Page<{ key_id: string }>>('/v1/api-keys')).data;

  test('makes a key that works and is audited as made by the operator', async () => {
    const org = await createOrg(api);
    const pool = await createPool(org.client);
    const answer = await create(org, { name: 'new', scopes: ['tasks:read', 'audit:read'] });
    const { key, ...view } = answer.as<{ key: string; key_id: string }>();
    expect(answer.status).toBe(201);
    expect(view).toMatchObject({ name: 'new', mode: 'live', pools: ['*'], expires_at: null });
    const client = api.client(key);
    expect((await client.request('GET', '/v1/tasks')).status).toBe(200);
    expect((await client.request('GET', '/v1/pools')).outcome).toBe('403 insufficient_scope');
    const { data } = await client.get<Page<object>>('/v1/audit');
    expect(data[0]).toMatchObject({
      actor: 'operator',
      action: 'api_key.created',
      target: { id: view.key_id },
    });
    const confined = await create(org, { name: 'x', scopes: ['*'], mode: 'test' });
    expect(confined.as<{ key: string }>().key).toMatch(/^blk_test_/);
    const limited = await create(org, { name: 'x', scopes: ['*'], pools: [pool] });
    expect(limited.as<{ pools: string[] }>().pools).toEqual([pool]);
  });

  test('makes one key for one Idempotency-Key', async () => {
    const org = await createOrg(api);
    const headers = { 'Idempotency-Key': freshName('key') };
    const [first, second] = [
      await create(org, { name: 'x', scopes: ['*'] }, headers),
      await create(org, { name: 'x', scopes: ['*'] }, headers),
    ];
    expect(second.text).toBe(first.text);
    expect(await keysOf(org)).toHaveLength(2);
  });

  test.each([
    [{ name: 'x', scopes: ['nonsense'] }, '/scopes/0'],
    [{ name: 'x', scopes: ['*'], pools: ['none'] }, '/pools/0'],
    [{ name: 'x', scopes: ['*'], expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
  ])('refuses %j and makes no key', async (body, pointer) => {
    const org = await createOrg(api);
    const { outcome, problem } = await create(org, body);
    expect([outcome, problem.errors?.[0]?.pointer]).toEqual(['422 validation_failed', pointer]);
    expect(await keysOf(org)).toHaveLength(1);
  });

  test('counts to the quota of the org, and knows no other org', async () => {
    const org = await createOrg(api);
    await api.operator.patch(`/admin/orgs/${org.org_id}`, { quotas: { keys: 1 } });
    const body = { name: 'x', scopes: ['*'] };
    expect((await create(org, body)).outcome).toBe('422 quota_exceeded');
    const nobody = { ...org, org_id: '0190163d-8694-739b-aea5-966c26f8ad90' };
    expect((await create(nobody, body)).outcome).toBe('404 not_found');
  });
});
