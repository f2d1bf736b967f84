// Numbers of open tasks, through the API alone.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey, createOrg, type Org, startApi, type TestApi } from '../../../support/api.ts';
import { createTaskIn, type TaskInStatus, taskBody } from '../../../support/workers.ts';

interface OpenTasks {
  status: Record<string, number>;
  in_review: number;
  overdue: number;
  has_open_question: number;
  by_urgency: { group: string; count: number; is_exact: boolean }[];
  by_domain: { group: string; count: number; is_exact: boolean }[];
}

let api: TestApi;
let org: Org;
let queued: TaskInStatus;
let submitted: TaskInStatus;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  queued = await createTaskIn(api, org, 'queued', { sla: { urgency: 'high' }, domain: 'legal' });
  submitted = await createTaskIn(api, org, 'submitted');
  await createTaskIn(api, org, 'started', { domain: 'legal' });
  await createTaskIn(api, org, 'cancelled', { domain: 'sales' });
}, 60_000);
afterAll(() => api.close());

const open = (client = org.client) => client.get<OpenTasks>('/v1/stats/open-tasks');
const none = {
  created: 0,
  queued: 0,
  matched: 0,
  offered: 0,
  accepted: 0,
  started: 0,
  submitted: 0,
  verified: 0,
};

describe('GET /v1/stats/open-tasks', () => {
  test('counts open tasks by state, urgency and domain', async () => {
    expect(await open()).toMatchObject({
      status: { ...none, queued: 1, started: 1, submitted: 1 },
      in_review: 1,
      overdue: 0,
      has_open_question: 0,
      by_urgency: [
        { group: 'low', count: 0, is_exact: true },
        { group: 'normal', count: 2, is_exact: true },
        { group: 'high', count: 1, is_exact: true },
        { group: 'critical', count: 0, is_exact: true },
      ],
      by_domain: [
        { group: 'legal', count: 2, is_exact: true },
        { group: 'security', count: 1, is_exact: true },
      ],
    });
  });

  test('counts only the tasks of the pools of the key', async () => {
    const key = await createKey(api, org.client, { pools: [queued.poolId] });
    const counts = await open(key);
    expect(counts).toMatchObject({ status: { ...none, queued: 1 }, in_review: 0 });
    expect(counts.by_domain).toEqual([{ group: 'legal', count: 1, is_exact: true }]);
    const both = await createKey(api, org.client, { pools: [queued.poolId, submitted.poolId] });
    expect(await open(both)).toMatchObject({ status: { queued: 1, submitted: 1, started: 0 }, in_review: 1 });
  });

  test('refuses a key for too many pools', async () => {
    const pools = await Promise.all(
      Array.from({ length: 21 }, async (_, at) => {
        const { pool_id } = await org.client.post<{ pool_id: string }>('/v1/pools', { name: `pool ${at}` });
        return pool_id;
      }),
    );
    const key = await createKey(api, org.client, { pools });
    expect((await key.request('GET', '/v1/stats/open-tasks')).outcome).toBe('403 pool_forbidden');
  });

  test('follows changes, and shows nothing of other orgs', async () => {
    const other = await createOrg(api);
    expect(await open(other.client)).toMatchObject({ status: none, by_domain: [] });
    await other.client.post('/v1/tasks', taskBody({ domain: 'new_domain' }));
    await expect
      .poll(() => open(other.client), { timeout: 10_000 })
      .toMatchObject({ status: { queued: 1 }, by_domain: [{ group: 'new_domain', count: 1 }] });
  });
});
