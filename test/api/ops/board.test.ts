// Actions on the queue board: retrying and removing jobs, which the audit log records. Jobs are made to fail in a queue that
// no processor reads.

import { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Queues } from '../../../src/queues/queues.ts';
import { queuePrefix } from '../../../src/queues/shards.ts';
import { createOrg, freshName, type Org, startApi, type TestApi } from '../../support/api.ts';

let api: TestApi;
let queues: Queues;
let orgs: Org[];

beforeAll(async () => {
  api = await startApi({ web: { boardActions: true } });
  queues = new Queues({ connectionOf: () => api.redis as Redis, prefix: api.prefix, now: Date.now });
  orgs = [await createOrg(api), await createOrg(api)];
});

afterEach(() => queues.shards[0].all.bulk.obliterate({ force: true }));

afterAll(async () => {
  await queues.close();
  await api.close();
});

/** Adds a job of `bulk` for each of these orgs, and runs them. */
async function ranJobs(outcome: 'failed' | 'completed', orgIds: readonly string[]): Promise<string[]> {
  const ids = orgIds.map(() => freshName('job'));
  await Promise.all(
    ids.map((jobId, at) =>
      queues.shards[0].all.bulk.add(
        'bulk_action',
        { form: 1, org_id: orgIds[at] },
        { jobId, attempts: 1, removeOnComplete: false },
      ),
    ),
  );
  const connection = api.redis.duplicate();
  const worker = new Worker('bulk', null, { connection, prefix: queuePrefix(api.prefix, 0) });
  worker.on('error', () => undefined);
  for (let left = ids.length; left > 0; left -= 1) {
    const job = await worker.getNextJob('token');
    if (outcome === 'failed') await job?.moveToFailed(new Error('the reason'), 'token', false);
    else await job?.moveToCompleted(null, 'token', false);
  }
  await worker.close();
  connection.disconnect();
  return ids;
}

const put = (path: string, headers: Record<string, string> = { 'Sec-Fetch-Site': 'same-origin' }, of = api) =>
  of.operator.request('PUT', `/admin/queues/api/queues/tasks.bulk/${path}`, { headers });
const stateOf = (id: string) => queues.shards[0].all.bulk.getJobState(id);

interface Entry {
  actor: string;
  action: string;
  target: { type: string; id: string };
  data: Record<string, unknown>;
}
const audited = async (org: Org | undefined): Promise<Entry[]> => {
  const page = await org?.client.get<{ data: Entry[] }>('/v1/audit?actor=operator&order=desc');
  return (page?.data ?? []).filter(({ action }) => action.startsWith('job.'));
};

describe('actions on the board', () => {
  test('show the reason of a failed job, retry it, and record who did so', async () => {
    const [org] = orgs;
    const [id = ''] = await ranJobs('failed', [org?.org_id ?? '']);
    const { job } = await api.operator.get<{ job: { failedReason: string } }>(
      `/admin/queues/api/queues/tasks.bulk/${id}`,
    );
    expect(job.failedReason).toBe('the reason');
    const answer = await put(`${id}/retry/failed`);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { retried: 1, skipped: 0 }]);
    expect(await stateOf(id)).toBe('waiting');
    expect((await audited(org))[0]).toMatchObject({
      actor: 'operator',
      action: 'job.retried',
      target: { type: 'job', id: `bulk/${id}` },
      data: { queue: 'bulk', jobs: 1 },
    });
    // It waits now, so it can be neither retried nor removed.
    const before = (await audited(org)).length;
    for (const does of ['retry', 'clean']) expect((await put(`${id}/${does}`)).outcome).toBe('409 conflict');
    for (const none of ['nothing', '%zz']) expect((await put(`${none}/retry`)).outcome).toBe('404 not_found');
    expect(await audited(org)).toHaveLength(before);
  });

  test('retry and remove all jobs of a state, with an entry for each org', async () => {
    const [one, other] = orgs.map((org) => org.org_id);
    const failed = await ranJobs('failed', [one ?? '', one ?? '', other ?? '', 'no-org']);
    const done = await ranJobs('completed', [one ?? '']);
    expect(JSON.parse((await put('retry/failed')).text)).toEqual({ retried: 4, skipped: 0 });
    expect(await Promise.all(failed.map(stateOf))).toEqual(failed.map(() => 'waiting'));
    expect(JSON.parse((await put('clean/completed')).text)).toEqual({ removed: 1, skipped: 0 });
    expect(await stateOf(done[0] ?? '')).toBe('unknown');
    const latest = async (org: Org | undefined) =>
      (await audited(org)).map(({ action, target, data }) => [action, target.type, data.jobs]);
    expect((await latest(orgs[0])).slice(0, 2)).toEqual([
      ['job.removed', 'job', 1],
      ['job.retried', 'queue', 2],
    ]);
    expect((await latest(orgs[1]))[0]).toEqual(['job.retried', 'job', 1]);
  });

  test.each([
    [{}],
    [{ 'Sec-Fetch-Site': 'cross-site' }],
    [{ 'Sec-Fetch-Site': 'same-site' }],
    [{ 'Sec-Fetch-Site': 'none' }],
    [{ Origin: 'https://evil.example' }],
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'https://evil.example' }],
  ])('refuse a request that is not of the page: %j', async (headers: Record<string, string>) => {
    const [id = ''] = await ranJobs('failed', [orgs[0]?.org_id ?? '']);
    expect((await put(`${id}/retry`, headers)).outcome).toBe('403 origin_not_allowed');
    expect(await stateOf(id)).toBe('failed');
  });

  test('are the only ones', async () => {
    for (const path of [
      'pause',
      'resume',
      'empty',
      'obliterate',
      'promote',
      'clean/wait',
      'retry/completed',
      'x/promote',
    ])
      expect([path, (await put(path)).status]).toEqual([path, 405]);
    for (const method of ['POST', 'PATCH', 'DELETE']) {
      const path = '/admin/queues/api/queues/tasks.bulk/add';
      expect(
        (await api.operator.request(method, path, { headers: { 'Sec-Fetch-Site': 'same-origin' } })).status,
      ).toBe(405);
    }
    expect(await queues.shards[0].all.bulk.isPaused()).toBe(false);
  });

  test('need the operator token, and BOARD_ACTIONS', async () => {
    const path = '/admin/queues/api/queues/tasks.bulk/retry/failed';
    const headers = { 'Sec-Fetch-Site': 'same-origin' };
    for (const who of [api.client(null), orgs[0]?.client])
      expect((await who?.request('PUT', path, { headers }))?.outcome).toBe('401 invalid_credential');
    const usual = await startApi({ prefix: api.prefix });
    expect((await put('retry/failed', headers, usual)).status).toBe(405);
    await usual.close();
  });
});

test('groups the queues by shard where there are several, and acts on the right one', async () => {
  const sharded = await startApi({ web: { boardActions: true, queueShards: 2 } });
  const own = new Queues({
    connectionOf: () => sharded.redis,
    prefix: sharded.prefix,
    shards: 2,
    now: Date.now,
  });
  const { queues: shown } = await sharded.operator.get<{ queues: { name: string }[] }>(
    '/admin/queues/api/queues',
  );
  const names = shown.map((one) => one.name);
  expect(names).toHaveLength(12);
  expect(names).toContain('shard1.tasks.bulk');
  const [first, second] = own.named('bulk');
  for (const queue of [first, second])
    await queue?.add('bulk_action', { form: 1, org_id: 'o' }, { jobId: 'same', attempts: 1 });
  const connection = sharded.redis.duplicate();
  for (const shard of [0, 1]) {
    const worker = new Worker('bulk', null, { connection, prefix: queuePrefix(sharded.prefix, shard) });
    await (await worker.getNextJob('token'))?.moveToFailed(new Error('the reason'), 'token', false);
    await worker.close();
  }
  const path = '/admin/queues/api/queues/shard1.tasks.bulk/same/retry/failed';
  const headers = { 'Sec-Fetch-Site': 'same-origin' };
  expect((await sharded.operator.request('PUT', path, { headers })).status).toBe(200);
  expect([await first?.getJobState('same'), await second?.getJobState('same')]).toEqual([
    'failed',
    'waiting',
  ]);
  connection.disconnect();
  await own.close();
  await sharded.close();
});
