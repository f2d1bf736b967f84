// Commands about workers, their submissions, and the events of the org, against a running API.
import { expect, it } from 'vitest';
import { freshName, startApiOfFile } from '../support/api.ts';
import { jsonOf, runCommand, startCli } from '../support/cli.ts';
import { createTaskIn, taskBody } from '../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true });

const settings = { env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' } };
const run = (...args: string[]) => runCommand(args, settings);
const json = <T = Record<string, unknown>>(...args: string[]) => jsonOf<T>(args, settings);

it('creates a worker who is available, changes, shows and drains them', async () => {
  const worker_id = freshName('worker');
  const made = await json('workers', 'create', '--name', 'Ada', '--worker-id', worker_id, '--skill', 'phone');
  expect(made).toMatchObject({ worker_id, availability: 'available', skills: ['phone'] });
  const away = await json('workers', 'create', '--name', 'Bo', '--availability', 'away');
  expect(away).toMatchObject({ availability: 'away' });

  const changed = await json('workers', 'update', worker_id, '--skill', 'chat,email', '--capacity', '3');
  expect(changed).toMatchObject({ name: 'Ada', skills: ['chat', 'email'], capacity: 3 });
  expect(await json('workers', 'update', worker_id, '--skill', '')).toMatchObject({
    skills: [],
    capacity: 3,
  });
  expect(await json('workers', 'get', worker_id)).toMatchObject({ worker_id, name: 'Ada' });
  expect((await run('workers', 'get', worker_id)).stdout).toMatch(/^capacity +3$/m);
  expect(await run('workers', 'update', worker_id, '--capacity', '0')).toMatchObject({ code: 1, stdout: '' });

  // Without tasks there is nothing to finish.
  expect(await json('workers', 'drain', worker_id)).toMatchObject({ availability: 'offline' });
  expect(await run('workers', 'drain', 'nobody')).toMatchObject({ code: 1 });
});

it('reviews a submission', async () => {
  const { task } = await createTaskIn(api, org, 'submitted');
  const review = ['tasks', 'review', task.task_id];
  expect(await run(...review)).toMatchObject({ code: 2 });
  const bare = await run(...review, '--decision', 'rework');
  expect([bare.code, bare.stderr]).toEqual([1, expect.stringContaining('/feedback')]);
  const reworked = await json(...review, '--decision', 'rework', '--feedback', 'Look again.');
  expect(reworked).toMatchObject({ status: 'started', reviews: [{ feedback: 'Look again.' }] });
});

it('replaces the secret of callback URLs', async () => {
  const before = (await run('webhooks', 'secret')).stdout;
  const rotated = await json('webhooks', 'secret', 'rotate');
  expect(`${rotated.secret}\n`).toBe((await run('webhooks', 'secret')).stdout);
  expect(`${rotated.secret}\n`).not.toBe(before);
});

it('does not follow events of a server that is down', async () => {
  expect(await run('events', '--for', '1s')).toMatchObject({ code: 2 });
  const down = { env: { ...settings.env, BIOLAYER_URL: 'http://127.0.0.1:1' } };
  expect(await runCommand(['events', '--follow'], down)).toMatchObject({ code: 3, stdout: '' });
});

it('lists the events of a period', async () => {
  const body = taskBody();
  const { task_id, created_at } = await org.client.post<{ task_id: string; created_at: string }>(
    '/v1/tasks',
    body,
  );
  const later = new Date(Date.parse(created_at) + 1).toISOString();
  const list = async (...flags: string[]) => {
    const { data } = await json<{ data: { task_id: string; at: string }[] }>(
      'events',
      '--type',
      'task.created',
      ...flags,
    );
    return data.map((one) => one.task_id);
  };
  expect(await list('--since', created_at, '--until', later)).toEqual([task_id]);
  expect(await list('--since', later)).toEqual([]);
  const following = await run('events', '--follow', '--since', created_at);
  expect(following).toMatchObject({ code: 2, stderr: expect.stringContaining('do not go with --follow') });
});

it('lists events, and follows them from where it stopped', async () => {
  const types = ['--type', 'task.created,task.cancelled'];
  const create = async () => (await org.client.post<{ task_id: string }>('/v1/tasks', taskBody())).task_id;
  const follow = (...flags: string[]) =>
    startCli(['events', ...types, '--follow', '--json', ...flags], settings);
  interface Line {
    id: string;
    type: string;
    data: { task_id: string };
  }
  const linesOf = (stdout: string) =>
    stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
  const known = async () => {
    const ids: string[] = [];
    let cursor: string[] = [];
    for (;;) {
      const page = await json<{ data: { task_id: string }[]; has_more: boolean; next_cursor: string }>(
        ...['events', ...types, '--limit', '200', ...cursor],
      );
      ids.push(...page.data.map((one) => one.task_id));
      cursor = ['--cursor', page.next_cursor];
      if (!page.has_more) return { ids, cursor };
    }
  };

  const first = await create();
  const { ids, cursor } = await known();
  expect(ids.at(-1)).toBe(first);
  expect((await run('events', ...types)).stdout).toContain('task.created');

  const second = await create();
  const seen = await follow(...cursor, '--for', '2s').done;
  expect(seen).toMatchObject({ code: 0, stderr: '' });
  expect(linesOf(seen.stdout)).toMatchObject([{ type: 'task.created', data: { task_id: second } }]);

  const { ran, done } = follow('--after', linesOf(seen.stdout)[0]?.id ?? '', '--for', '3s');
  await org.client.post(`/v1/tasks/${second}/cancel`);
  await expect
    .poll(() => linesOf(ran.stdout), { timeout: 3000 })
    .toMatchObject([{ type: 'task.cancelled', data: { task_id: second } }]);
  expect(await done).toMatchObject({ code: 0 });
});
