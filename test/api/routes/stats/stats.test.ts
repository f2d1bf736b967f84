// Numbers through the API alone: whole lives with processors, compared with a recount of their histories.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HistoryEntry } from '../../../../src/state/tasks/event.ts';
import { createKey, createOrg, type Org, type Page, startApi, type TestApi } from '../../../support/api.ts';
import { differences, type StatsAnswer } from '../../../support/recount.ts';
import { createTaskIn, type TaskInStatus, taskBody } from '../../../support/workers.ts';

let api: TestApi;
let org: Org;
let staged: Record<'completed' | 'failed' | 'cancelled' | 'submitted' | 'queued', TaskInStatus>;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  staged = {
    completed: await createTaskIn(api, org, 'completed', { domain: 'legal' }),
    failed: await createTaskIn(api, org, 'failed'),
    cancelled: await createTaskIn(api, org, 'cancelled', { sla: { urgency: 'high' } }),
    submitted: await createTaskIn(api, org, 'submitted', {
      sla: { urgency: 'low', target_latency_seconds: 3600 },
    }),
    queued: await createTaskIn(api, org, 'queued', { task_type: 'moderation' }),
  };
}, 60_000);
afterAll(() => api.close());

const historyOf = async ({ task }: TaskInStatus): Promise<HistoryEntry[]> =>
  (await org.client.get<Page<HistoryEntry>>(`/v1/tasks/${task.task_id}/events?limit=200`)).data;

const stats = (query = '', client = org.client) => client.get<StatsAnswer>(`/v1/stats${query}`);

async function expectTotals(answer: StatsAnswer, of: Record<string, TaskInStatus[]>): Promise<void> {
  expect(answer.totals.map((row) => row.group ?? 'none')).toEqual(Object.keys(of).sort());
  for (const row of answer.totals) {
    const histories = await Promise.all((of[row.group ?? 'none'] ?? []).map(historyOf));
    expect(differences(row, histories), row.group ?? 'none').toEqual([]);
  }
}

describe('GET /v1/stats', () => {
  test('counts all tasks and measures their times', async () => {
    const answer = await stats();
    await expectTotals(answer, { none: Object.values(staged) });
    expect(answer.data).toHaveLength(30);
    const filled = answer.data.filter((row) => row.completed > 0);
    expect(filled).toHaveLength(1);
    expect(Date.parse(filled[0]?.start ?? '')).toBeLessThanOrEqual(Date.now());
  });

  test('groups by domain, task type, urgency and pool', async () => {
    const { completed, failed, cancelled, submitted, queued } = staged;
    await expectTotals(await stats('?group_by=domain'), {
      legal: [completed],
      security: [failed, cancelled, submitted, queued],
    });
    await expectTotals(await stats('?group_by=task_type'), {
      moderation: [queued],
      verification: [completed, failed, cancelled, submitted],
    });
    await expectTotals(await stats('?group_by=urgency'), {
      high: [cancelled],
      low: [submitted],
      normal: [completed, failed, queued],
    });
    const pools = Object.fromEntries(Object.values(staged).map((one) => [one.poolId, [one]]));
    await expectTotals(await stats('?group_by=pool'), pools);
  });

  test('groups by worker, without created tasks', async () => {
    const { totals } = await stats('?group_by=worker');
    expect(totals.every((row) => row.created === null)).toBe(true);
    const of = (worker: string | null) => totals.find((row) => row.group === worker);
    expect(of(staged.completed.person.worker_id)).toMatchObject({ completed: 1 });
    expect(of(staged.failed.person.worker_id)).toMatchObject({ failed: { rejected: 1 } });
    expect(of(staged.submitted.person.worker_id)?.handling_seconds.count).toBe(1);
    expect(of(null)).toMatchObject({ cancelled: 1 });
  });

  test('answers by hour, for the last day without a range', async () => {
    const answer = await stats('?interval=hour');
    expect(answer.data).toHaveLength(24);
    await expectTotals(answer, { none: Object.values(staged) });
  });

  test('widens a range to whole days and leaves out the rest', async () => {
    const answer = await stats('?from=2026-01-01T10:00:00Z&to=2026-01-02T10:00:00Z');
    expect(answer).toMatchObject({ from: '2026-01-01T00:00:00.000Z', to: '2026-01-03T00:00:00.000Z' });
    expect(answer.data.map((row) => row.created)).toEqual([0, 0]);
  });

  test('answers the requests of the walk-through', async () => {
    const [, section = ''] = readFileSync('docs/supervision.md', 'utf8').split('\n## Numbers\n');
    const requests = [...section.matchAll(/^GET (\/v1\/stats\S*)$/gm)].map(([, path = '']) => path);
    expect(requests.length).toBeGreaterThan(3);
    for (const path of requests) expect((await org.client.request('GET', path)).status, path).toBe(200);
    const [row = {}] = (await stats()).totals;
    for (const [, field = ''] of section.matchAll(/^\| `(\w+)` +\|/gm)) expect(row).toHaveProperty(field);
  });

  test.each([
    ['interval=minute', 'interval'],
    ['group_by=title', 'group_by'],
    ['from=yesterday', 'from'],
    ['from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['interval=hour&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z', 'from'],
  ])('refuses %s, and names the parameter', async (query, parameter) => {
    const { outcome, problem } = await org.client.request('GET', `/v1/stats?${query}`);
    expect(outcome).toBe('400 invalid_query');
    expect(problem.errors).toEqual([{ pointer: `/${parameter}`, parameter, message: expect.any(String) }]);
    expect(problem.detail).toBe(`${parameter} ${problem.errors?.[0]?.message}`);
  });

  test('shows a confined key the numbers of its pools alone', async () => {
    const { completed, submitted } = staged;
    const key = await createKey(api, org.client, { pools: [completed.poolId, submitted.poolId] });
    await expectTotals(await stats('', key), { none: [completed, submitted] });
    await expectTotals(await stats('?group_by=pool', key), {
      [completed.poolId]: [completed],
      [submitted.poolId]: [submitted],
    });
    for (const name of ['domain', 'task_type', 'urgency', 'worker'])
      expect((await key.request('GET', `/v1/stats?group_by=${name}`)).outcome).toBe('403 pool_forbidden');
  });

  test('keeps the sandbox and other orgs apart', async () => {
    const tester = await createKey(api, org.client, { mode: 'test' });
    await tester.post('/v1/tasks', taskBody({ domain: 'sandbox' }));
    expect((await stats('', tester)).totals).toMatchObject([{ created: 1, completed: 0 }]);
    const other = await createOrg(api);
    expect((await stats('', other.client)).totals).toMatchObject([{ created: 0, completed: 0 }]);
    expect((await stats('?group_by=domain', other.client)).totals).toEqual([]);
    expect((await stats('?group_by=domain')).totals.map((row) => row.group)).not.toContain('sandbox');
  });
});
