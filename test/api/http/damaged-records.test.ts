// A damaged record does not break its list, and a record of a newer form is not reported as missing. The operator can list
// and replay dead entries.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addDeadRecord, moveMemberToDead } from '../../../src/store/maintenance/dead-entries.ts';
import { ARCHIVED, archivedMember } from '../../../src/store/redis/archive.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import {
  Client,
  createOrg,
  createPool,
  OPERATOR_TOKEN,
  type Org,
  type Page,
  startApi,
  type TestApi,
} from '../../support/api.ts';
import { jsonOf } from '../../support/cli.ts';
import { taskBody } from '../../support/workers.ts';

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi();
  org = await createOrg(api);
}, 30_000);
afterAll(() => api.close());

const keys = () => orgKeysOf(api.prefix, org.org_id);

/** Creates a record of a kind. */
const KINDS: Record<string, () => Promise<{ path: string; id: string; key: string }>> = {
  worker: async () => {
    const { worker_id: id } = await org.client.post<{ worker_id: string }>('/v1/workers', { name: 'Ada' });
    return { path: '/v1/workers', id, key: keys().worker(id) };
  },
  pool: async () => {
    const id = await createPool(org.client);
    return { path: '/v1/pools', id, key: keys().pool(id) };
  },
  endpoint: async () => {
    const body = { url: 'https://receiver.example/' };
    const { endpoint_id: id } = await org.client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', body);
    return { path: '/v1/webhook-endpoints', id, key: keys().endpoint(id) };
  },
  task: async () => {
    const { task_id: id } = await org.client.post<{ task_id: string }>('/v1/tasks', taskBody());
    return { path: '/v1/tasks', id, key: keys().task(id) };
  },
};

const idsOf = async (path: string): Promise<string> =>
  JSON.stringify((await org.client.get<Page<object>>(`${path}?limit=200`)).data);

describe.each(Object.keys(KINDS))('a damaged %s', (kind) => {
  const make = () => (KINDS[kind] ?? KINDS.task)?.() ?? Promise.reject(new Error('no kind'));

  it.each([
    ['no JSON', 'd', 's', '{"half'],
    ['another kind of JSON', 'd', 's', '[]'],
    ['too few fields', 'd', 's', '{"version":1}'],
  ])('the list shows all others when one contains %s', async (_name, plain, state, value) => {
    const [broken, fine] = [await make(), await make()];
    await api.redis.hset(broken.key, kind === 'task' ? state : plain, value);
    const shown = await idsOf(broken.path);
    expect(shown).toContain(fine.id);
    expect(shown).not.toContain(broken.id);
    const told = () => api.operator.get<Page<{ name: string }>>('/admin/dead-entries?limit=200');
    await expect.poll(async () => (await told()).data.map((one) => one.name)).toContain(broken.key);
    await api.redis.del(broken.key);
  });

  it('a newer form is left out of the list, and a read answers 503', async () => {
    const [newer, fine] = [await make(), await make()];
    await api.redis.hset(newer.key, 'f', 99);
    expect(await idsOf(newer.path)).toContain(fine.id);
    expect((await org.client.request('GET', `${newer.path}/${newer.id}`)).outcome).toBe('503 unavailable');
    expect(await api.redis.hget(newer.key, 'f')).toBe('99');
  });
});

it.each(['worker', 'pool', 'endpoint'])('unknown fields of a %s survive a change', async (kind) => {
  const made = await KINDS[kind]?.();
  if (made === undefined) throw new Error('no kind');
  const record = JSON.parse((await api.redis.hget(made.key, 'd')) ?? '') as object;
  await api.redis.hset(made.key, 'd', JSON.stringify({ ...record, colour: { of: 'the future' } }));
  const change = kind === 'endpoint' ? { description: 'changed' } : { name: 'changed' };
  // Its answer may show the field, which is not documented.
  const client = new Client(api.url, org.client.credential, () => []);
  await client.patch(`${made.path}/${made.id}`, change);
  expect(JSON.parse((await api.redis.hget(made.key, 'd')) ?? '')).toMatchObject({
    ...change,
    colour: { of: 'the future' },
  });
});

it('unknown fields of a task survive a change', async () => {
  const made = await KINDS.task?.();
  if (made === undefined) throw new Error('no task');
  const state = JSON.parse((await api.redis.hget(made.key, 's')) ?? '') as object;
  await api.redis.hset(made.key, 's', JSON.stringify({ ...state, colour: 'blue' }));
  const { path, id } = made;
  await org.client.post(`${path}/${id}/cancel`, {});
  const { loadTask } = await import('../../../src/store/tasks/tasks.ts');
  expect((await loadTask(api.web.db, org.org_id, id))?.task).toMatchObject({
    status: 'cancelled',
    colour: 'blue',
  });
});

it('the command lists, replays and discards dead entries', async () => {
  const settings = { env: { BIOLAYER_URL: api.url, OPERATOR_TOKEN } };
  const run = <T>(...args: string[]) => jsonOf<T>(['dead-entries', ...args], settings);
  await run('replay', '--all');
  const { partition } = keys();
  const [one, two] = [`${api.prefix}:{${partition}}:one`, `${api.prefix}:{${partition}}:two`];
  for (const key of [one, two]) await addDeadRecord(api.web.db, key, 'of no use');
  const { data } = await run<Page<{ entry_id: string; name: string; reason: string }>>('list');
  expect(data).toMatchObject([{ name: one, reason: 'of no use' }, { name: two }]);
  expect(await run('replay', data[0]?.entry_id ?? '')).toEqual({ replayed: 1 });
  expect(await run('discard', data[1]?.entry_id ?? '')).toEqual({ discarded: data[1]?.entry_id });
  expect((await run<Page<object>>('list')).data).toEqual([]);
  const metrics = await api.operator.request('GET', '/metrics');
  expect(metrics.text).toMatch(/^biolayer_dead_entries 0$/m);
});

it('discarding a lost file of the archive forgets its tasks', async () => {
  const { index, partition, segments } = keys();
  const [name, kept] = [`${org.org_id} lost`, archivedMember('another', 'there', [])];
  await api.redis.zadd(index(ARCHIVED), 0, archivedMember('one', 'lost', ['w']), 0, kept);
  await api.redis.zadd(segments, 1, name);
  await moveMemberToDead(api.web.db, partition, segments, { name, score: 1, reason: 'lost' });
  const { data } = await api.operator.get<Page<{ entry_id: string; name: string }>>('/admin/dead-entries');
  const entry = data.find((one) => one.name === name)?.entry_id;
  expect((await api.operator.request('DELETE', `/admin/dead-entries/${entry}`)).status).toBe(204);
  expect(await api.redis.zrange(index(ARCHIVED), 0, '-1')).toEqual([kept]);
  await api.redis.del(index(ARCHIVED));
});

it('unknown fields of an org or a replay survive a change', async () => {
  const { endpoint_id } = await org.client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
    url: 'https://receiver.example/',
  });
  await org.client.post('/v1/tasks', taskBody());
  const replays = `/v1/webhook-endpoints/${endpoint_id}`;
  const { replay_id } = await org.client.post<{ replay_id: string }>(`${replays}/replay`, {
    since: '2020-01-01T00:00:00.000Z',
    deliveries: 'all',
  });
  const { stepReplay } = await import('../../../src/processors/webhooks/replays.ts');
  const changes: [key: string, change: () => Promise<unknown>][] = [
    [keys().org, () => api.operator.patch(`/admin/orgs/${org.org_id}`, { name: 'changed' })],
    [keys().replay(replay_id), () => stepReplay(api.web.db, org.org_id, replay_id)],
  ];
  for (const [key, change] of changes) {
    const record = JSON.parse((await api.redis.hget(key, 'd')) ?? '') as { version: number };
    await api.redis.hset(key, 'd', JSON.stringify({ ...record, colour: { of: 'the future' } }));
    await change();
    const after = JSON.parse((await api.redis.hget(key, 'd')) ?? '') as { version: number };
    expect(after.version).toBeGreaterThan(record.version);
    expect(after).toMatchObject({ colour: { of: 'the future' } });
  }
});
