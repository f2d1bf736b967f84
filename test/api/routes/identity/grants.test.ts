// API keys: what a key may grant, what a key confined to pools may do and see, and the expiry of keys.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCOPES } from '../../../../src/api/access/principal.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { monitorRedis } from '../../../support/redis.ts';
import { taskBody } from '../../../support/workers.ts';

let api: TestApi;
let master: Client;
let pools: [string, string, string];

beforeAll(async () => {
  api = await startApi();
  master = (await createOrg(api)).client;
  pools = [await createPool(master), await createPool(master), await createPool(master)];
});

afterAll(() => api.close());

interface KeyView {
  key_id: string;
  key: string;
  name: string;
  mode: string;
  scopes: string[];
  pools: string[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  replaced_by: string | null;
}

function grant(who: Client, fields: Record<string, unknown>) {
  return who.request('POST', '/v1/api-keys', {
    body: { name: 'granted', scopes: ['tasks:read'], ...fields },
  });
}

function into(pool: string | null): Record<string, unknown> {
  return taskBody({ requirements: pool === null ? {} : { worker_pool_id: pool } });
}

describe('a key that grants', () => {
  test.each(SCOPES)('cannot grant the scope %s if it lacks it', async (scope) => {
    const lacks = await createKey(api, master, {
      scopes: SCOPES.filter((one) => one !== scope || one === 'keys:write'),
    });
    if (scope !== 'keys:write')
      expect((await grant(lacks, { scopes: [scope] })).outcome).toBe('403 insufficient_scope');
    expect((await grant(lacks, { scopes: ['*'] })).outcome).toBe('403 insufficient_scope');
    const has = await createKey(api, master, { scopes: [...new Set(['keys:write', scope])] });
    expect((await grant(has, { scopes: [scope] })).outcome).toBe('201');
  });

  test('cannot grant a pool that it lacks, or all pools, even with every scope', async () => {
    const confined = await createKey(api, master, { pools: [pools[0], pools[1]] });
    for (const wanted of [[pools[2]], [pools[0], pools[2]], ['*'], ['never-was']])
      expect((await grant(confined, { pools: wanted })).outcome).toBe('403 pool_forbidden');
    expect((await grant(confined, { pools: [pools[1]] })).outcome).toBe('201');
  });

  test('grants its own pools when none are named', async () => {
    const confined = await createKey(api, master, { pools: [pools[0]] });
    const given = (await grant(confined, {})).as<KeyView>();
    expect(given.pools).toEqual([pools[0]]);
    expect((await master.post<KeyView>('/v1/api-keys', { name: 'free', scopes: ['*'] })).pools).toEqual([
      '*',
    ]);
  });

  test('cannot grant a pool that does not exist', async () => {
    const answer = await grant(master, { pools: [pools[0], 'never-was'] });
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual(['/pools/1']);
  });
});

describe('a key that expires', () => {
  const inDays = (days: number) => new Date(Date.now() + days * 24 * 3600 * 1000).toISOString();

  test('grants nothing that lasts longer, and its own end by default', async () => {
    const [own, earlier, later] = [inDays(10), inDays(9), inDays(11)];
    const ending = await createKey(api, master, { expires_at: own });
    expect((await grant(ending, {})).as<KeyView>().expires_at).toBe(own);
    for (const expires_at of [own, earlier]) {
      const given = await grant(ending, { expires_at });
      expect([given.outcome, given.as<KeyView>().expires_at]).toEqual(['201', expires_at]);
    }
    const refused = await grant(ending, { expires_at: later });
    expect(refused.outcome).toBe('422 validation_failed');
    expect(refused.problem.errors?.map((one) => one.pointer)).toEqual(['/expires_at']);
    expect((await grant(master, {})).as<KeyView>().expires_at).toBeNull();
  });

  test('rotates a key that lasts longer only if the new one does not', async () => {
    const ending = await createKey(api, master, { expires_at: inDays(10) });
    const lasting = await createKey(api, master);
    const rotate = (body: object) => ending.request('POST', `/v1/api-keys/${lasting.keyId}/rotate`, { body });
    for (const body of [{}, { expires_at: inDays(11) }]) {
      const refused = await rotate(body);
      expect(refused.outcome).toBe('422 validation_failed');
      expect(refused.problem.errors?.map((one) => one.pointer)).toEqual(['/expires_at']);
    }
    expect((await lasting.request('GET', '/v1/org')).status).toBe(200);
    expect((await rotate({ expires_at: inDays(9) })).outcome).toBe('201');
  });
});

describe('a rotation', () => {
  const rotate = (who: Client, keyId: string, body?: object, headers: Record<string, string> = {}) =>
    who.request('POST', `/v1/api-keys/${keyId}/rotate`, { body, headers });
  const stored = async (keyId: string) => {
    const { data } = await master.get<Page<KeyView>>('/v1/api-keys?limit=200');
    return data.find((one) => one.key_id === keyId);
  };

  test('returns a key with the same rights; both are valid for a day', async () => {
    const scopes = ['org:read', 'keys:write'];
    const old = await createKey(api, master, { scopes, pools: [pools[1]] });
    const answer = await rotate(master, old.keyId);
    expect(answer.outcome).toBe('201');
    const made = answer.as<KeyView>();
    expect(made).toMatchObject({ scopes, pools: [pools[1]], mode: 'live', expires_at: null });
    expect(answer.headers.get('location')).toBe(`/v1/api-keys/${made.key_id}`);
    const before = await stored(old.keyId);
    expect(made.name).toBe(before?.name);
    expect(before?.replaced_by).toBe(made.key_id);
    expect(Date.parse(before?.expires_at ?? '') - Date.parse(made.created_at)).toBe(24 * 3600 * 1000);
    for (const who of [old, api.client(made.key)])
      expect((await who.request('GET', '/v1/org')).status).toBe(200);
    // A key that expires cannot create one that outlives it.
    expect((await grant(old, { scopes: ['org:read'] })).as<KeyView>().expires_at).toBe(before?.expires_at);
  });

  test('without an overlap ends the old key at once, even while it is in use', async () => {
    const old = await createKey(api, master);
    expect((await old.request('GET', '/v1/org')).status).toBe(200);
    const made = (await rotate(old, old.keyId, { expires_in_seconds: 0 })).as<KeyView>();
    expect((await old.request('GET', '/v1/org')).outcome).toBe('401 invalid_credential');
    expect((await api.client(made.key).request('GET', '/v1/org')).status).toBe(200);
  });

  test('does not extend the life of a key by its overlap', async () => {
    const expires_at = new Date(Date.now() + 3600 * 1000).toISOString();
    const old = await createKey(api, master, { expires_at });
    const made = (await rotate(master, old.keyId)).as<KeyView>();
    expect([made.expires_at, (await stored(old.keyId))?.expires_at]).toEqual([expires_at, expires_at]);
  });

  test('of one key happens once, and is replayed for one idempotency key', async () => {
    const old = await createKey(api, master);
    const asked = await Promise.all(Array.from({ length: 10 }, () => rotate(master, old.keyId)));
    expect(asked.map((one) => one.outcome).sort()).toEqual(['201', ...Array(9).fill('409 conflict')]);
    const other = await createKey(api, master);
    const headers = { 'Idempotency-Key': freshName('rotation') };
    const [first, again] = [
      await rotate(master, other.keyId, {}, headers),
      await rotate(master, other.keyId, {}, headers),
    ];
    expect([first.outcome, again.text]).toEqual(['201', first.text]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  test('that races with a revocation leaves no old key valid', async () => {
    for (let times = 0; times < 5; times += 1) {
      const old = await createKey(api, master);
      const revoking = master.request('DELETE', `/v1/api-keys/${old.keyId}`);
      const [, revoked] = await Promise.all([rotate(master, old.keyId), revoking]);
      expect(revoked.status).toBe(204);
      expect((await old.request('GET', '/v1/org')).outcome).toBe('401 invalid_credential');
    }
  });

  test('is refused to a caller who lacks a scope of the key', async () => {
    const old = await createKey(api, master, { scopes: ['tasks:read', 'keys:write'], pools: [pools[0]] });
    const lacksScope = await createKey(api, master, { scopes: ['keys:write'] });
    expect((await rotate(lacksScope, old.keyId)).outcome).toBe('403 insufficient_scope');
    const lacksPool = await createKey(api, master, { pools: [pools[1]] });
    expect((await rotate(lacksPool, old.keyId)).outcome).toBe('404 not_found');
    expect((await stored(old.keyId))?.replaced_by).toBeNull();
  });

  test.each([
    ['a negative overlap', { expires_in_seconds: -1 }, '/expires_in_seconds'],
    ['an overlap of more than 30 days', { expires_in_seconds: 30 * 24 * 3600 + 1 }, '/expires_in_seconds'],
    ['half a second', { expires_in_seconds: 0.5 }, '/expires_in_seconds'],
    ['an end that has passed', { expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
    ['scopes', { scopes: ['*'] }, '/scopes'],
  ])('%s is refused', async (_name, body, pointer) => {
    const old = await createKey(api, master);
    const answer = await rotate(master, old.keyId, body);
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
    expect((await stored(old.keyId))?.replaced_by).toBeNull();
  });
});

describe('a confined key', () => {
  let confined: Client;
  let mine: TaskView;
  let theirs: TaskView;
  let free: TaskView;

  beforeAll(async () => {
    confined = await createKey(api, master, { pools: [pools[0], pools[1]] });
    mine = await master.post<TaskView>('/v1/tasks', into(pools[0]));
    theirs = await master.post<TaskView>('/v1/tasks', into(pools[2]));
    free = await master.post<TaskView>('/v1/tasks', into(null));
  });

  test('creates tasks only in its pools', async () => {
    expect((await confined.request('POST', '/v1/tasks', { body: into(pools[1]) })).outcome).toBe('201');
    for (const pool of [pools[2], null])
      expect((await confined.request('POST', '/v1/tasks', { body: into(pool) })).outcome).toBe(
        '403 pool_forbidden',
      );
  });

  test('sees only tasks of its pools: single ones, in lists and in the feed', async () => {
    expect((await confined.request('GET', `/v1/tasks/${mine.task_id}`)).status).toBe(200);
    for (const { task_id } of [theirs, free])
      for (const path of ['', '/events', '/evidence', '?wait=1'])
        expect((await confined.request('GET', `/v1/tasks/${task_id}${path}`)).outcome).toBe('404 not_found');
    for (const path of ['/v1/tasks?limit=200', `/v1/tasks?pool=${pools.join()}`, '/v1/events?limit=200']) {
      const { text } = await confined.request('GET', path);
      expect([
        text.includes(mine.task_id),
        text.includes(theirs.task_id),
        text.includes(free.task_id),
      ]).toEqual([true, false, false]);
    }
  });

  test('cancels only tasks of its pools', async () => {
    for (const { task_id } of [theirs, free])
      expect((await confined.request('POST', `/v1/tasks/${task_id}/cancel`)).outcome).toBe('404 not_found');
    const own = await confined.post<TaskView>('/v1/tasks', into(pools[0]));
    expect((await confined.post<TaskView>(`/v1/tasks/${own.task_id}/cancel`)).status).toBe('cancelled');
  });

  test('sees and creates only workers of its pools', async () => {
    const worker = (pool_ids: string[]) => ({ name: freshName('w'), pool_ids });
    const ids = await Promise.all(
      [[pools[0]], [pools[2]], [], [pools[2], pools[1]]].map(
        async (list) => (await master.post<{ worker_id: string }>('/v1/workers', worker(list))).worker_id,
      ),
    );
    const { data } = await confined.get<Page<{ worker_id: string }>>('/v1/workers?limit=200');
    expect(ids.map((id) => data.some((one) => one.worker_id === id))).toEqual([true, false, false, true]);
    for (const list of [[pools[2]], [], [pools[0], pools[2]]])
      expect((await confined.request('POST', '/v1/workers', { body: worker(list) })).outcome).toBe(
        '403 pool_forbidden',
      );
    expect((await confined.request('POST', '/v1/workers', { body: worker([pools[1]]) })).outcome).toBe('201');
  });

  test('sees a worker of several pools, but cannot change them or make their token', async () => {
    const shared = { name: freshName('w'), pool_ids: [pools[0], pools[2]] };
    const { worker_id } = await master.post<{ worker_id: string }>('/v1/workers', shared);
    const path = `/v1/workers/${worker_id}`;
    const before = await master.get<object>(path);
    // Which other pools these are is not shown.
    expect(await confined.get(path)).toEqual({ ...before, pool_ids: [pools[0]] });
    const attempts: [string, string, unknown?][] = [
      ['PATCH', path, { pool_ids: [pools[0]] }],
      ['DELETE', path],
      ['POST', `${path}/drain`],
      ['POST', `${path}/tokens`],
      ['DELETE', `${path}/tokens`],
    ];
    for (const [method, place, body] of attempts)
      expect((await confined.request(method, place, { body })).outcome).toBe('403 pool_forbidden');
    expect(await master.get(path)).toEqual(before);
  });

  test('cannot use what belongs to the whole org', async () => {
    const before = [await master.get('/v1/org'), await master.get('/v1/webhook-secret')];
    for (const [method, path, body] of [
      ['PATCH', '/v1/org', { ip_allowlist: [], name: 'mine' }],
      ['GET', '/v1/webhook-secret'],
      ['POST', '/v1/webhook-secret/rotate'],
      ['GET', '/v1/audit'],
      ['GET', '/v1/audit/export'],
    ] as const)
      expect((await confined.request(method, path, { body })).outcome).toBe('403 pool_forbidden');
    expect([await master.get('/v1/org'), await master.get('/v1/webhook-secret')]).toEqual(before);
  });

  test('sees only its own pools and cannot create others', async () => {
    const { data } = await confined.get<Page<{ pool_id: string }>>('/v1/pools');
    expect(data.map((one) => one.pool_id).sort()).toEqual([pools[0], pools[1]].sort());
    expect((await confined.request('POST', '/v1/pools', { body: { name: 'more' } })).outcome).toBe(
      '403 pool_forbidden',
    );
    expect((await confined.request('PATCH', `/v1/pools/${pools[2]}`, { body: {} })).outcome).toBe(
      '404 not_found',
    );
  });

  test('sees and revokes only keys with no more pools than its own', async () => {
    const lesser = await createKey(api, master, { pools: [pools[1]] });
    const wider = await createKey(api, master, { pools: [pools[1], pools[2]] });
    const { data } = await confined.get<Page<{ key_id: string }>>('/v1/api-keys?limit=200');
    const shown = data.map((one) => one.key_id);
    expect([shown.includes(lesser.keyId), shown.includes(wider.keyId)]).toEqual([true, false]);
    expect((await confined.request('DELETE', `/v1/api-keys/${wider.keyId}`)).outcome).toBe('404 not_found');
    expect((await confined.request('DELETE', `/v1/api-keys/${lesser.keyId}`)).status).toBe(204);
  });
});

describe('a key cannot end a key that has more', () => {
  const revoke = (who: Client, { keyId }: { keyId: string }) =>
    who.request('DELETE', `/v1/api-keys/${keyId}`);

  test('scopes, neither by revocation nor by rotation; it can end one with the same scopes', async () => {
    const scopes = ['keys:write', 'keys:read', 'tasks:read'];
    const lesser = await createKey(api, master, { scopes });
    const better = await createKey(api, master, { scopes: ['tasks:read', 'tasks:create'] });
    const all = await createKey(api, master);
    for (const victim of [better, all]) {
      expect((await revoke(lesser, victim)).outcome).toBe('403 insufficient_scope');
      const rotated = await lesser.request('POST', `/v1/api-keys/${victim.keyId}/rotate`, {
        body: { expires_in_seconds: 0 },
      });
      expect(rotated.outcome).toBe('403 insufficient_scope');
    }
    expect((await better.request('GET', '/v1/tasks')).status).toBe(200);
    expect((await all.request('GET', '/v1/org')).status).toBe(200);
    const same = await createKey(api, master, { scopes: ['tasks:read'] });
    expect((await revoke(lesser, same)).status).toBe(204);
    expect((await revoke(lesser, lesser)).status).toBe(204);
  });

  test('scopes in the sandbox either', async () => {
    const lesser = await createKey(api, master, { scopes: ['keys:write'], mode: 'test' });
    const better = await createKey(api, master, { scopes: ['tasks:read'], mode: 'test' });
    expect((await revoke(lesser, better)).outcome).toBe('403 insufficient_scope');
    expect((await revoke(lesser, await createKey(api, master, { scopes: ['keys:write'] }))).outcome).toBe(
      '404 not_found',
    );
  });
});

describe('the life of a key', () => {
  test('is shown once', async () => {
    const { key, key_id } = await master.post<KeyView>('/v1/api-keys', { name: 'shown once', scopes: ['*'] });
    expect(key).toMatch(/^blk_(live|test)_[0-9A-Za-z]{22,}$/);
    const { text } = await master.request('GET', '/v1/api-keys?limit=200');
    expect(text).toContain(key_id);
    expect(text).not.toContain(key);
  });

  test('is unique', async () => {
    const keys = await Promise.all(Array.from({ length: 50 }, () => grant(master, {})));
    expect(new Set(keys.map((one) => one.as<KeyView>().key.slice(10, 30))).size).toBe(50);
  });

  test('ends at once when revoked, also while in use', async () => {
    const key = await createKey(api, master);
    const use = async () => {
      const outcomes: string[] = [];
      for (let times = 0; times < 10; times += 1)
        outcomes.push((await key.request('GET', '/v1/org')).outcome);
      return outcomes;
    };
    expect(await use()).toEqual(Array(10).fill('200'));
    await master.delete(`/v1/api-keys/${key.keyId}`);
    expect(await use()).toEqual(Array(10).fill('401 invalid_credential'));
    expect((await master.request('DELETE', `/v1/api-keys/${key.keyId}`)).outcome).toBe('404 not_found');
  });

  test('shows approximately when it was last used', async () => {
    const key = await createKey(api, master);
    const used = async () => {
      const { data } = await master.get<Page<KeyView>>('/v1/api-keys?limit=200');
      return data.find((one) => one.key_id === key.keyId)?.last_used_at;
    };
    expect(await used()).toBeNull();
    const before = Date.now();
    await key.get('/v1/org');
    const at = Date.parse((await used()) ?? '');
    expect(Math.abs(at - before)).toBeLessThan(30_000);
    await key.get('/v1/org');
    expect(Date.parse((await used()) ?? '')).toBe(at);
    // Recording a use does not restore a revoked key.
    await master.delete(`/v1/api-keys/${key.keyId}`);
    expect(await api.redis.keys(`${api.prefix}:*:key:${key.keyId}`)).toEqual([]);
  });

  test('refuses a mistyped key without a look-up', async () => {
    const good = master.credential ?? '';
    const mistyped = good.slice(0, -1) + (good.endsWith('x') ? 'y' : 'x');
    const monitor = await monitorRedis(api.redis);
    expect((await api.client(mistyped).request('GET', '/v1/org')).outcome).toBe('401 invalid_credential');
    expect((await api.client(good).request('GET', '/v1/pools/never-was')).outcome).toBe('404 not_found');
    const seen = await monitor.seen();
    monitor.close();
    expect(seen).toContain('never-was');
    expect(seen).not.toContain(createHash('sha256').update(mistyped).digest('hex'));
  });

  test('can be ended by the key itself', async () => {
    const key = await createKey(api, master);
    expect((await key.request('DELETE', `/v1/api-keys/${key.keyId}`)).status).toBe(204);
    expect((await key.request('GET', '/v1/org')).outcome).toBe('401 invalid_credential');
  });

  test.each([
    ['no name', { name: undefined }, ['/name']],
    ['an empty name', { name: '' }, ['/name']],
    ['no scopes', { scopes: undefined }, ['/scopes']],
    ['an empty list of scopes', { scopes: [] }, ['/scopes']],
    ['a scope that is none', { scopes: ['tasks:read', 'tasks:all'] }, ['/scopes/1']],
    ['scopes that are no list', { scopes: 'tasks:read' }, ['/scopes']],
    ['an empty list of pools', { pools: [] }, ['/pools']],
    ['a pool that cannot be one', { pools: ['a b'] }, ['/pools/0']],
    ['an end that has passed', { expires_at: '2020-01-01T00:00:00Z' }, ['/expires_at']],
    ['an end that is no time', { expires_at: 'later' }, ['/expires_at']],
    ['a key of its own', { key: 'blk_live_mine' }, ['/key']],
    ['several', { name: 5, scopes: [], more: 1 }, ['/more', '/name', '/scopes']],
  ])('%s is refused', async (_name, fields, pointers) => {
    const answer = await grant(master, fields);
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors?.map((one) => one.pointer).sort()).toEqual(pointers);
  });
});
