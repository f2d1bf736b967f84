// Keys: what one may give another, what a key of some pools may do and see, and how long a key lives.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCOPES } from '../../src/api/route.ts';
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
} from '../support/api.ts';
import { taskBody } from '../support/people.ts';

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
  scopes: string[];
  pools: string[];
  expires_at: string | null;
}

function grant(who: Client, fields: Record<string, unknown>) {
  return who.request('POST', '/v1/api-keys', {
    body: { name: 'granted', scopes: ['tasks:read'], ...fields },
  });
}

function into(pool: string | null): Record<string, unknown> {
  return taskBody({ requirements: pool === null ? {} : { worker_pool_id: pool } });
}

describe('a key cannot grant what it lacks', () => {
  test.each(SCOPES)('not the scope %s', async (scope) => {
    const lacks = await createKey(api, master, {
      scopes: SCOPES.filter((one) => one !== scope || one === 'keys:write'),
    });
    if (scope !== 'keys:write')
      expect((await grant(lacks, { scopes: [scope] })).outcome).toBe('403 insufficient_scope');
    expect((await grant(lacks, { scopes: ['*'] })).outcome).toBe('403 insufficient_scope');
    const has = await createKey(api, master, { scopes: [...new Set(['keys:write', scope])] });
    expect((await grant(has, { scopes: [scope] })).outcome).toBe('201');
  });

  test('not a pool, nor all of them, even though it has every scope', async () => {
    const confined = await createKey(api, master, { pools: [pools[0], pools[1]] });
    for (const wanted of [[pools[2]], [pools[0], pools[2]], ['*'], ['never-was']])
      expect((await grant(confined, { pools: wanted })).outcome).toBe('403 pool_forbidden');
    expect((await grant(confined, { pools: [pools[1]] })).outcome).toBe('201');
  });

  test('and gives its own pools when none are named', async () => {
    const confined = await createKey(api, master, { pools: [pools[0]] });
    const given = (await grant(confined, {})).as<KeyView>();
    expect(given.pools).toEqual([pools[0]]);
    expect((await master.post<KeyView>('/v1/api-keys', { name: 'free', scopes: ['*'] })).pools).toEqual([
      '*',
    ]);
  });

  test('a pool that is not there can be granted by nobody', async () => {
    const answer = await grant(master, { pools: [pools[0], 'never-was'] });
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual(['/pools/1']);
  });
});

describe('a key of some pools', () => {
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

  test('creates only into them', async () => {
    expect((await confined.request('POST', '/v1/tasks', { body: into(pools[1]) })).outcome).toBe('201');
    for (const pool of [pools[2], null])
      expect((await confined.request('POST', '/v1/tasks', { body: into(pool) })).outcome).toBe(
        '403 pool_forbidden',
      );
  });

  test('sees only their tasks, alone, in lists and in the feed', async () => {
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

  test('cancels only theirs', async () => {
    for (const { task_id } of [theirs, free])
      expect((await confined.request('POST', `/v1/tasks/${task_id}/cancel`)).outcome).toBe('404 not_found');
    const own = await confined.post<TaskView>('/v1/tasks', into(pools[0]));
    expect((await confined.post<TaskView>(`/v1/tasks/${own.task_id}/cancel`)).status).toBe('cancelled');
  });

  test('sees and makes only their workers', async () => {
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

  test('sees only its own pools and can make no other', async () => {
    const { data } = await confined.get<Page<{ pool_id: string }>>('/v1/pools');
    expect(data.map((one) => one.pool_id).sort()).toEqual([pools[0], pools[1]].sort());
    expect((await confined.request('POST', '/v1/pools', { body: { name: 'more' } })).outcome).toBe(
      '403 pool_forbidden',
    );
    expect((await confined.request('PATCH', `/v1/pools/${pools[2]}`, { body: {} })).outcome).toBe(
      '404 not_found',
    );
  });

  test('sees and revokes only keys of no more pools than its own', async () => {
    const lesser = await createKey(api, master, { pools: [pools[1]] });
    const wider = await createKey(api, master, { pools: [pools[1], pools[2]] });
    const { data } = await confined.get<Page<{ key_id: string }>>('/v1/api-keys?limit=200');
    const shown = data.map((one) => one.key_id);
    expect([shown.includes(lesser.keyId), shown.includes(wider.keyId)]).toEqual([true, false]);
    expect((await confined.request('DELETE', `/v1/api-keys/${wider.keyId}`)).outcome).toBe('404 not_found');
    expect((await confined.request('DELETE', `/v1/api-keys/${lesser.keyId}`)).status).toBe(204);
  });
});

describe('the life of a key', () => {
  test('it is shown once', async () => {
    const { key, key_id } = await master.post<KeyView>('/v1/api-keys', { name: 'shown once', scopes: ['*'] });
    expect(key).toMatch(/^blk_(live|test)_[0-9A-Za-z]{22,}$/);
    const { text } = await master.request('GET', '/v1/api-keys?limit=200');
    expect(text).toContain(key_id);
    expect(text).not.toContain(key);
  });

  test('no two are alike', async () => {
    const keys = await Promise.all(Array.from({ length: 50 }, () => grant(master, {})));
    expect(new Set(keys.map((one) => one.as<KeyView>().key.slice(10, 30))).size).toBe(50);
  });

  test('revoked, it is over at once, also in the middle of use', async () => {
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

  test('a key may revoke itself', async () => {
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
