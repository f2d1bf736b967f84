// The audit log over the API: it holds actors and actions but no secrets, and only keys for all pools can read it.
import { afterAll, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../../../src/state/audit/audit.ts';
import { createKey, createOrg, createPool, type Page, startApi } from '../../../support/api.ts';

const api = await startApi();
afterAll(() => api.close());

describe('GET /v1/audit', () => {
  test('lists every change of keys, tokens, secrets and the org with its actor', async () => {
    const { client, org_id } = await createOrg(api, 'Acme');
    const key = await createKey(api, client, { scopes: ['workers:write', 'audit:read'] });
    await key.post('/v1/workers', { worker_id: 'w', name: 'Ada' });
    const { token } = await key.post<{ token: string }>('/v1/workers/w/tokens');
    await key.delete('/v1/workers/w/tokens');
    await key.delete('/v1/workers/w/tokens');
    await key.post('/v1/workers/w/tokens');
    await key.delete('/v1/workers/w');
    await client.patch('/v1/org', { name: 'Acme Ltd' });
    const { secret } = await client.post<{ secret: string }>('/v1/webhook-secret/rotate');
    const other = await createKey(api, client, { expires_at: '2099-01-01T00:00:00Z' });
    await client.delete(`/v1/api-keys/${other.keyId}`);

    const { data, has_more } = await key.get<Page<AuditEntry>>('/v1/audit?order=asc');
    const by = `api_key:${key.keyId}`;
    const first = `api_key:${data[0]?.data.key_id}`;
    expect(has_more).toBe(false);
    expect(data.map((one) => [one.action, one.actor, `${one.target.type} ${one.target.id}`])).toEqual([
      ['org.created', 'operator', `org ${org_id}`],
      ['api_key.created', first, `api_key ${key.keyId}`],
      ['worker_token.created', by, 'worker w'],
      ['worker_token.revoked', by, 'worker w'],
      ['worker_token.created', by, 'worker w'],
      ['worker.removed', by, 'worker w'],
      ['org.updated', first, `org ${org_id}`],
      ['webhook_secret.rotated', first, `org ${org_id}`],
      ['api_key.created', first, `api_key ${other.keyId}`],
      ['api_key.revoked', first, `api_key ${other.keyId}`],
    ]);
    expect(data[6]?.data).toEqual({ name: { from: 'Acme', to: 'Acme Ltd' } });
    expect(data[8]?.data).toMatchObject({
      scopes: ['*'],
      pools: ['*'],
      expires_at: '2099-01-01T00:00:00.000Z',
    });
    const text = JSON.stringify(data);
    for (const one of [token, secret, key.credential, other.credential, client.credential])
      expect(text).not.toContain(String(one).slice(9));
  });

  test('finds entries by action, actor, target and time, in full pages', async () => {
    const { client, org_id } = await createOrg(api);
    const key = await createKey(api, client, { scopes: ['workers:write'] });
    for (const id of ['a', 'b']) {
      await key.post('/v1/workers', { worker_id: id, name: id });
      await key.post(`/v1/workers/${id}/tokens`);
      await key.delete(`/v1/workers/${id}`);
    }
    const all = (await client.get<Page<AuditEntry>>('/v1/audit?order=asc')).data;
    const found = async (query: string) =>
      (await client.get<Page<AuditEntry>>(`/v1/audit?order=asc&${query}`)).data.map((one) => one.sequence);
    const wanted = (isWanted: (entry: AuditEntry) => boolean) =>
      all.filter(isWanted).map((one) => one.sequence);
    expect(await found('action=worker.removed')).toEqual(wanted((one) => one.action === 'worker.removed'));
    expect(await found('action=worker_token,org')).toEqual([]);
    expect(await found('action=worker_token&action=org')).toEqual([1, 3, 5]);
    expect(await found(`actor=api_key:${key.keyId}&target=b`)).toEqual(
      wanted((one) => one.target.id === 'b'),
    );
    expect(await found('actor=operator')).toEqual(wanted((one) => one.target.id === org_id));
    expect(await found(`to=${all[0]?.at}`)).toEqual([]);
    expect(await found(`from=${all.at(-1)?.at}`)).toContain(all.at(-1)?.sequence);
    const first = await client.get<Page<AuditEntry>>('/v1/audit?order=asc&action=worker.removed&limit=1');
    expect(first.data.map((one) => one.target.id)).toEqual(['a']);
    const rest = await client.get<Page<AuditEntry>>(
      `/v1/audit?order=asc&action=worker.removed&limit=1&cursor=${first.next_cursor}`,
    );
    expect([rest.data.map((one) => one.target.id), rest.has_more]).toEqual([['b'], false]);
    const other = await client.request('GET', `/v1/audit?order=asc&limit=1&cursor=${first.next_cursor}`);
    expect(other.outcome).toBe('400 invalid_cursor');
  });

  test('has pages in both orders', async () => {
    const { client } = await createOrg(api);
    for (const name of ['a', 'b', 'c', 'd']) await client.patch('/v1/org', { name });
    for (const [order, expected] of [
      ['desc', [5, 4, 3, 2, 1]],
      ['asc', [1, 2, 3, 4, 5]],
    ] as const) {
      const seen: number[] = [];
      let cursor: string | null = null;
      do {
        const query: string = cursor === null ? '' : `&cursor=${cursor}`;
        const page: Page<AuditEntry> = await client.get(`/v1/audit?limit=2&order=${order}${query}`);
        seen.push(...page.data.map((one) => one.sequence));
        cursor = page.next_cursor;
      } while (cursor !== null);
      expect(seen).toEqual(expected);
    }
    expect((await client.request('GET', '/v1/audit?cursor=x')).outcome).toBe('400 invalid_cursor');
  });

  test('is refused to confined keys and hidden from other orgs', async () => {
    const { client } = await createOrg(api);
    const confined = await createKey(api, client, { pools: [await createPool(client)] });
    expect((await confined.request('GET', '/v1/audit')).outcome).toBe('403 pool_forbidden');
    const other = await createOrg(api);
    expect((await other.client.get<Page<AuditEntry>>('/v1/audit')).data).toHaveLength(1);
  });
});
