// The commands with which a lead or reviewer looks at tasks, workers and numbers, against a running API.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOrg, type Org, type Page, startApi, type TaskView, type TestApi } from '../support/api.ts';
import { jsonOf, runCommand } from '../support/cli.ts';
import { createTaskIn, type TaskInStatus } from '../support/workers.ts';

let api: TestApi;
let org: Org;
let late: TaskInStatus;
let completed: TaskInStatus;
let first: TaskInStatus;
let second: TaskInStatus;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  const deadline = new Date(Date.now() + 3600_000).toISOString();
  const sla = { urgency: 'high', target_latency_seconds: 1, deadline };
  [late, completed] = [
    await createTaskIn(api, org, 'started', { sla }),
    await createTaskIn(api, org, 'completed'),
  ];
  // Created later, submitted earlier.
  second = await createTaskIn(api, org, 'started', {
    output: { expected_format: 'text', review: { mode: 'manual' } },
  });
  first = await createTaskIn(api, org, 'submitted', { instructions: 'Line one.\nLine two.' });
  const upload = { raw: 'bytes', headers: { 'Content-Type': 'text/plain' } };
  const path = `/v1/worker/tasks/${second.task.task_id}/evidence?name=seen.txt`;
  const { evidence_id } = await second.person.client.post<{ evidence_id: string }>(path, undefined, upload);
  await second.person.submit(second.task.task_id, 'It is blue.', {
    evidence_ids: [evidence_id],
    notes: 'ok',
  });
}, 60_000);
afterAll(() => api.close());

const settings = (columns?: number) => ({
  env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' },
  ...(columns !== undefined && { columns }),
});
const run = (...args: string[]) => runCommand(args, settings());
const json = <T = Record<string, unknown>>(...args: string[]) => jsonOf<T>(args, settings());
const rowsOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

describe('biolayer tasks list', () => {
  it('finds what a lead looks for, with the worker and the deadline', async () => {
    const { task_id, sla, title } = late.task;
    const list = async () => (await run('tasks', 'list', '--overdue', '--order-by', 'deadline')).stdout;
    await expect.poll(list, { timeout: 10_000 }).toContain(task_id);
    expect(rowsOf(await list())).toEqual([
      ['task_id', 'status', 'urgency', 'deadline', 'worker_id', 'title'],
      [task_id, 'started', 'high', Object(sla).deadline, late.person.worker_id, title],
    ]);
    const found = async (...flags: string[]) =>
      (await json<Page<TaskView>>('tasks', 'list', '--order', 'asc', ...flags)).data.map(
        (one) => one.task_id,
      );
    expect(await found('--in-review')).toEqual([second.task.task_id, first.task.task_id]);
    expect(await found('--assigned-to', completed.person.worker_id)).toEqual([completed.task.task_id]);
    expect(await found('--has-open-question')).toEqual([]);
    expect(await found('--gold')).toEqual([]);
    expect(await found()).not.toEqual([]);
  });
});

describe('biolayer workers list', () => {
  it('filters by idle time, availability, pool and capacity', async () => {
    const found = async (...flags: string[]) =>
      (await json<Page<{ worker_id: string }>>('workers', 'list', ...flags)).data.map((one) => one.worker_id);
    const { person, poolId } = late;
    expect(await found('--pool', poolId)).toEqual([person.worker_id]);
    expect(await found('--pool', poolId, '--availability', 'away,offline')).toEqual([]);
    expect(await found('--pool', poolId, '--at-capacity')).toEqual([person.worker_id]);
    expect(await found('--at-capacity')).not.toContain(completed.person.worker_id);
    const idle = await found('--idle', '0s');
    expect(idle).toContain(completed.person.worker_id);
    expect(idle).not.toContain(person.worker_id);
    expect(await found('--idle', '10m')).toEqual([]);
    expect((await run('workers', 'list', '--idle', 'long')).code).toBe(2);
  });
});

describe('biolayer stats', () => {
  it('prints a row for each day with numbers, and the total', async () => {
    const { stdout } = await run('stats');
    const [head = [], day = [], total = [], ...rest] = rowsOf(stdout);
    expect(head).toEqual(
      'start created completed failed cancelled breaches waiting handling total'.split(' '),
    );
    const today = new Date().toISOString().slice(0, 10);
    expect(day.slice(0, 3)).toEqual([today, '4', '1']);
    expect(total).toEqual(['total', ...day.slice(1)]);
    const quantiles = /^\d\S*( \d+m)? \/ \S+( \d+m)? \/ \S+/;
    for (const cell of total.slice(6)) expect(cell).toMatch(quantiles);
    expect(rest).toEqual([]);
  });

  it('prints a row for each group, and also for each interval when asked for', async () => {
    const { stdout } = await run('stats', '--group-by', 'urgency');
    expect(rowsOf(stdout).map((row) => row.slice(0, 3))).toEqual([
      ['urgency', 'created', 'completed'],
      ['high', '1', '0'],
      ['normal', '3', '1'],
    ]);
    const hours = rowsOf((await run('stats', '--group-by', 'worker', '--interval', 'hour')).stdout);
    expect(hours[0]?.slice(0, 3)).toEqual(['start', 'worker', 'created']);
    const own = hours.filter((row) => row[1] === completed.person.worker_id);
    expect(own.map((row) => row.slice(2, 4))).toEqual([
      ['-', '1'],
      ['-', '1'],
    ]);
    expect(own[0]?.[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:00$/);
    expect(own[1]?.[0]).toBe('total');
  });

  it('prints the answer of the API with --json, and refuses unknown groups', async () => {
    const from = '2026-01-01T00:00:00Z';
    expect(await json('stats', '--from', from, '--to', '2026-01-02T00:00:00Z')).toMatchObject({
      from: '2026-01-01T00:00:00.000Z',
      interval: 'day',
    });
    expect((await run('stats', '--group-by', 'title')).code).toBe(2);
    expect((await run('stats', '--from', 'yesterday')).code).toBe(1);
  });
});

describe('biolayer reviews next', () => {
  it('shows the oldest submission, and decides on it', async () => {
    const shown = await run('reviews', 'next');
    expect(shown.stdout).toContain(`task_id                  ${first.task.task_id}\n`);
    expect(shown.stdout).toContain('\nInstructions:\nLine one.\nLine two.\n');
    expect(shown.stdout).toContain('\nOutput:\n{\n  "seen": true\n}\n');
    expect(shown.stderr).toContain(`--task ${first.task.task_id}`);

    expect((await run('reviews', 'next', '--approve', '--reject')).code).toBe(2);
    expect((await run('reviews', 'next', '--feedback', 'x')).code).toBe(2);
    const unexplained = await run('reviews', 'next', '--rework');
    expect([unexplained.code, unexplained.stderr]).toEqual([1, expect.stringContaining('/feedback')]);
    const again = ['--rework', '--feedback', 'Look again.'];
    expect(await json('reviews', 'next', ...again)).toMatchObject({
      task_id: first.task.task_id,
      status: 'started',
    });

    const { task_id } = second.task;
    const { stdout } = await run('reviews', 'next', '--task', task_id);
    expect(stdout).toContain('\nOutput:\n"It is blue."\n');
    expect(stdout).toMatch(/\nEvidence:\nevidence_id .*\n[0-9a-f-]{36} {2}text\/plain {2}5 .*seen\.txt\n/);
    const approved = await json('reviews', 'next', '--task', task_id, '--approve', '--rating', '5');
    expect(approved.task_id).toBe(task_id);
    expect((await run('reviews', 'next', '--task', task_id, '--approve')).code).toBe(1);
    expect(await run('reviews', 'next')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'Nothing waits for a reviewer.\n',
    });
    expect(await json('reviews', 'next')).toBeNull();
  });

  it('shows reports and disputes too, with the command that decides', async () => {
    const reported = await createTaskIn(api, org, 'started');
    await reported.person.client.post(`/v1/worker/tasks/${reported.task.task_id}/report`, {
      reason: 'unclear',
      text: 'Which one?',
    });
    const { task_id } = reported.task;
    const report = await run('reviews', 'next');
    expect(report.stdout).toMatch(/\nreport\.reason +unclear\nreport\.text +Which one\?\n/);
    expect(report.stderr).toContain(`--task ${task_id} --reassign`);
    await run('reviews', 'next', '--reject', '--feedback', 'Withdrawn.');

    const rejected = await createTaskIn(api, org, 'failed');
    const path = `/v1/worker/tasks/${rejected.task.task_id}/dispute`;
    await rejected.person.client.post(path, { text: 'It is right.' });
    const dispute = await run('reviews', 'next');
    expect(dispute.stdout).toContain('\nRejected because:\nwrong\n\nDispute:\nIt is right.\n');
    const decide = `tasks resolve-dispute --decision uphold ${rejected.task.task_id}`;
    expect(dispute.stderr).toContain(`Decide: biolayer ${decide}`);
    expect(await run('reviews', 'next', '--approve')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(decide),
    });
    expect((await run(...decide.split(' '))).code).toBe(0);
    expect(await json('reviews', 'next')).toBeNull();
  });
});

describe('biolayer --version', () => {
  it('prints the version of the package', async () => {
    const ran = await run('--version');
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/)]);
  });
});
