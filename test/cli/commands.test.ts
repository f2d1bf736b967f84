// The `biolayer` command against a running API: its verbs, and its output for users.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { historyEntry } from '../../src/state/tasks/history.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import {
  createOrg,
  freshName,
  OPERATOR_TOKEN,
  type Org,
  type Page,
  startApi,
  type TestApi,
} from '../support/api.ts';
import { jsonOf, runCommand, type Settings } from '../support/cli.ts';
import { createTaskIn, taskBody } from '../support/workers.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let api: TestApi;
let org: Org;
let key: string;
let dir: string;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  key = org.client.credential ?? '';
  dir = await mkdtemp(join(tmpdir(), 'biolayer-cli-'));
});

afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

type Given = Omit<Settings, 'env'> & { env?: Record<string, string | undefined> };

/** Settings of a command that uses the org's API key. */
function as({ env = {}, ...rest }: Given = {}): Settings {
  return { env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: key, OPERATOR_TOKEN, ...env }, ...rest };
}

const run = (args: readonly string[], given?: Given) => runCommand(args, as(given));
const json = <T = Record<string, unknown>>(args: readonly string[], given?: Given) =>
  jsonOf<T>(args, as(given));

async function file(content: string): Promise<string> {
  const path = join(dir, freshName('file'));
  await writeFile(path, content);
  return path;
}

async function createTask(fields: Record<string, unknown> = {}): Promise<string> {
  const { task_id } = await org.client.post<{ task_id: string }>('/v1/tasks', taskBody(fields));
  return task_id;
}

describe('biolayer task-types', () => {
  it('registers, shows, lists and retires a task type', async () => {
    const name = freshName('kind').replaceAll('-', '_');
    const first = await json(['task-types', 'put', name], { stdin: JSON.stringify({ title: 'One' }) });
    expect(first).toMatchObject({ name, version: 1, title: 'One' });
    const given = await file(JSON.stringify({ title: 'Two' }));
    expect((await run(['task-types', 'put', name, '--file', given])).code).toBe(0);
    expect(await json(['task-types', 'get', name])).toMatchObject({ version: 2, title: 'Two' });
    expect(await json(['task-types', 'get', name, '--number', '1'])).toEqual(first);
    const versions = await json<Page<object>>(['task-types', 'versions', name]);
    expect(versions.data).toMatchObject([{ title: 'Two' }, { title: 'One' }]);
    expect((await json<Page<object>>(['task-types', 'list'])).data).toMatchObject([{ name, version: 2 }]);
    expect((await run(['task-types', 'delete', name])).stdout).toContain(name);
    expect((await run(['task-types', 'get', name])).code).toBe(1);
  });
});

describe('biolayer tasks update', () => {
  it('changes a task', async () => {
    const id = await createTask({
      metadata: { a: '1' },
      sla: { urgency: 'low', target_latency_seconds: 60 },
    });
    const flags = ['--urgency', 'high', '--deadline', '2099-01-01T00:00:00Z', '--target-latency', 'none'];
    const more = ['--requirements', '{"min_rating": 3}', '--metadata', 'a=', '--metadata', 'b=x=y'];
    expect(await json(['tasks', 'update', id, ...flags, ...more])).toMatchObject({
      sla: { urgency: 'high', deadline: '2099-01-01T00:00:00.000Z', breaches: [] },
      requirements: { skills: ['skill_of_nobody'], min_rating: 3 },
      metadata: { b: 'x=y' },
    });
    expect((await run(['tasks', 'update', id, '--metadata', 'novalue'])).code).toBe(2);
    expect((await run(['tasks', 'update', id, '--requirements', '{'])).code).toBe(2);
  });
});

describe('biolayer tasks requeue', () => {
  it('takes a task back, and assign gives it to another worker', async () => {
    const { task } = await createTaskIn(api, org, 'started');
    const requeued = await json(['tasks', 'requeue', task.task_id, '--reason', 'shift ends']);
    expect(requeued).toMatchObject({ status: 'queued', assignment: null });
    expect((await run(['tasks', 'requeue', task.task_id])).code).toBe(2);
    const { worker_id } = await org.client.post<{ worker_id: string }>('/v1/workers', { name: 'Away' });
    const assign = ['tasks', 'assign', task.task_id, worker_id, '--mode', 'assign'];
    const refused = await run(assign);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('offline')]);
    expect(await json([...assign, '--force'])).toMatchObject({
      status: 'accepted',
      assignment: { worker_id },
    });
  });
});

describe('biolayer tasks dispute', () => {
  it('disputes a rejection with the token of its worker, and resolve-dispute decides', async () => {
    const { task, person } = await createTaskIn(api, org, 'failed');
    const env = { BIOLAYER_API_KEY: person.client.credential ?? '' };
    const opened = await json(['tasks', 'dispute', task.task_id, 'It is right.'], { env });
    expect(opened).toMatchObject({ status: 'failed', dispute: { status: 'open' } });
    const listed = await run(['tasks', 'list', '--in-review', '--status', 'failed']);
    expect(listed.stdout).toContain(task.task_id);
    const decide = ['tasks', 'resolve-dispute', task.task_id];
    expect((await run(decide)).code).toBe(2);
    const decided = await run([...decide, '--decision', 'overturn', '--text', 'You are right.']);
    expect(decided.stdout).toMatch(
      /dispute\.status +overturned[\s\S]*dispute\.decision_text +You are right\./,
    );
    expect(await run([...decide, '--decision', 'uphold'])).toMatchObject({ code: 1 });
    const events = await run(['tasks', 'events', task.task_id]);
    expect(events.stdout).toMatch(/task\.disputed +by .*\n.*task\.disputed +overturn/);
  });
});

describe('biolayer', () => {
  it('creates an org with a pool, a worker and keys, and prints one JSON document for each', async () => {
    const made = await json<{ org_id: string; api_key: string }>(['orgs', 'create', '--name', 'Acme']);
    expect(made.org_id).toMatch(UUID);
    const env = { BIOLAYER_API_KEY: made.api_key };

    const pool = await json(
      [
        'pools',
        'create',
        '--name',
        'Night',
        '--pool-id',
        'night',
        '--offer-mode',
        'broadcast',
        '--offer-ttl',
        '45',
      ],
      { env },
    );
    expect(pool).toMatchObject({ pool_id: 'night', offer_mode: 'broadcast', offer_ttl_seconds: 45 });
    expect(await json(['pools', 'list'], { env })).toMatchObject({
      data: [{ pool_id: 'night' }],
      has_more: false,
    });

    const worker = await json(
      [
        ...[
          'workers',
          'create',
          '--name',
          'Ada',
          '--worker-id',
          'ada',
          '--pool',
          'night',
          '--skill',
          'phone,chat',
        ],
        ...[
          '--skill',
          'email',
          '--certification',
          'soc',
          '--trust-level',
          '4',
          '--rating',
          '4.5',
          '--capacity',
          '2',
        ],
        ...['--availability', 'available'],
      ],
      { env },
    );
    expect(worker).toMatchObject({
      worker_id: 'ada',
      pool_ids: ['night'],
      skills: ['phone', 'chat', 'email'],
      certifications: ['soc'],
      trust_level: 4,
      rating: 4.5,
      capacity: 2,
      availability: 'available',
    });
    expect(await json(['workers', 'list'], { env })).toMatchObject({ data: [{ worker_id: 'ada' }] });
    const { token } = await json<{ token: string }>(['workers', 'token', 'ada'], { env });
    expect(await api.client(token).get('/v1/worker')).toMatchObject({ worker_id: 'ada' });

    const created = await json<{ key_id: string; key: string }>(
      ['keys', 'create', '--name', 'ci', '--scope', 'tasks:read,tasks:create', '--pool', 'night'],
      { env },
    );
    expect(created).toMatchObject({ scopes: ['tasks:read', 'tasks:create'], pools: ['night'] });
    expect((await json<{ data: object[] }>(['keys', 'list'], { env })).data).toHaveLength(2);
    expect(await json(['keys', 'revoke', created.key_id], { env })).toEqual({
      key_id: created.key_id,
      revoked: true,
    });
    expect((await api.client(created.key).request('GET', '/v1/tasks')).outcome).toBe(
      '401 invalid_credential',
    );

    const { secret } = await json<{ secret: string }>(['webhooks', 'secret'], { env });
    expect((await run(['webhooks', 'secret'], { env })).stdout).toBe(`${secret}\n`);
  });

  it('creates a test key that works only in the sandbox', async () => {
    const made = await json<{ key: string }>([
      ...['keys', 'create', '--name', 'try', '--test'],
      ...['--scope', 'tasks:read,tasks:create,pools:read'],
    ]);
    expect(made).toMatchObject({ mode: 'test', key: expect.stringMatching(/^blk_test_/) });
    const env = { BIOLAYER_API_KEY: made.key };
    const body = JSON.stringify(taskBody());
    const { task_id } = await json<{ task_id: string }>(['tasks', 'create'], { stdin: body, env });
    expect(await json(['tasks', 'get', task_id], { env })).toMatchObject({ task_id });
    expect(await run(['tasks', 'get', task_id])).toMatchObject({ code: 1, stdout: '' });
  });

  it('rotates a key: both are valid for the overlap, and the new one expires at the given time', async () => {
    const old = await json<{ key_id: string; key: string }>([
      'keys',
      'create',
      '--name',
      'turning',
      '--scope',
      'tasks:read',
    ]);
    const expires_at = new Date(Date.now() + 86_400_000).toISOString();
    const started = Date.now();
    const made = await json<{ key_id: string; key: string }>([
      'keys',
      'rotate',
      old.key_id,
      '--expires-in',
      '60',
      '--expires-at',
      expires_at,
    ]);
    expect(made).toMatchObject({ name: 'turning', scopes: ['tasks:read'], expires_at });
    expect(made.key_id).not.toBe(old.key_id);
    for (const { key } of [old, made])
      expect((await api.client(key).request('GET', '/v1/tasks')).outcome).toBe('200');
    const { data } = await json<{ data: { key_id: string; expires_at: string }[] }>([
      'keys',
      'list',
      '--limit',
      '200',
    ]);
    const ends = Date.parse(data.find(({ key_id }) => key_id === old.key_id)?.expires_at ?? '');
    expect(ends).toBeGreaterThanOrEqual(started + 59_000);
    expect(ends).toBeLessThanOrEqual(Date.now() + 61_000);

    const now = await json<{ key_id: string }>(['keys', 'rotate', made.key_id, '--expires-in', '0']);
    expect((await api.client(made.key).request('GET', '/v1/tasks')).outcome).toBe('401 invalid_credential');
    expect(now).toMatchObject({ name: 'turning' });
    expect(await run(['keys', 'rotate', made.key_id, '--expires-in', '-1'])).toMatchObject({ stdout: '' });
  });

  it('creates a task from a file or stdin, once per idempotency key, and shows and cancels it', async () => {
    const body = JSON.stringify(taskBody({ title: 'From the shell' }));
    const path = await file(body);
    const made = await json<{ task_id: string }>(['tasks', 'create', '--file', path]);
    const again = ['tasks', 'create', '--idempotency-key', freshName('key')];
    const first = await json<{ task_id: string }>(again, { stdin: body });
    expect(await json([...again, '--file', '-'], { stdin: body })).toMatchObject({ task_id: first.task_id });
    expect(first.task_id).not.toBe(made.task_id);
    const not_before = new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000).toISOString();
    const delayed = await json(['tasks', 'create', '--not-before', not_before], { stdin: body });
    expect(delayed).toMatchObject({ status: 'created', not_before, title: 'From the shell' });

    expect(await json(['tasks', 'get', made.task_id])).toMatchObject({
      title: 'From the shell',
      status: 'queued',
    });
    const cancelled = await json(['tasks', 'cancel', made.task_id, '--reason', 'no longer needed']);
    expect(cancelled).toMatchObject({ status: 'cancelled', cancellation: { reason: 'no longer needed' } });
    // The task is final, so the long poll returns at once.
    expect(await json(['tasks', 'get', made.task_id, '--wait', '60'])).toMatchObject({ status: 'cancelled' });
  });

  it('lists tasks by filters, page by page', async () => {
    const product = freshName('product');
    const origin = { product, request_id: 'r' };
    const ids = [];
    for (const domain of ['security', 'medical', 'medical']) ids.push(await createTask({ origin, domain }));
    const [first = '', second = '', third = ''] = ids;
    const list = ['tasks', 'list', '--product', product];
    const idsOf = (page: { data: { task_id: string }[] }) => page.data.map((one) => one.task_id);
    type Tasks = { data: { task_id: string }[]; next_cursor: string };

    expect(idsOf(await json<Tasks>(list))).toEqual([third, second, first]);
    expect(idsOf(await json<Tasks>([...list, '--domain', 'medical,security', '--order', 'asc']))).toEqual(
      ids,
    );
    expect(idsOf(await json<Tasks>([...list, '--domain', 'security', '--status', 'queued']))).toEqual([
      first,
    ]);
    expect(idsOf(await json<Tasks>([...list, '--urgency', 'critical']))).toEqual([]);

    const page = await json<Tasks>([...list, '--limit', '2']);
    expect(idsOf(page)).toEqual([third, second]);
    const table = await run([...list, '--limit', '2']);
    expect(table.stderr).toBe(`More entries: --cursor ${page.next_cursor}\n`);
    expect(idsOf(await json<Tasks>([...list, '--limit', '2', '--cursor', page.next_cursor]))).toEqual([
      first,
    ]);
  });

  it('shows a history and verifies it, and reports a changed or missing entry', async () => {
    const taskId = await createTask();
    const events = await run(['tasks', 'events', taskId]);
    expect(events.stdout.split('\n').map((line) => line.replace(/\d{4}-\S+/, 'time'))).toEqual([
      '  1  time  task.created            by api_key',
      '  2  time  task.queued             created',
      '',
    ]);
    expect((await json<{ data: object[] }>(['tasks', 'events', taskId])).data).toHaveLength(2);
    const whole = await json(['audit', 'verify', taskId]);
    expect(whole).toMatchObject({ task_id: taskId, valid: true, entries: 2, first_broken: null });

    const history = orgKeysOf(api.prefix, org.org_id).history(taskId);
    const entry = await api.redis.lindex(history, 1);
    await api.redis.lset(history, 1, entry?.replace('"created"', '"tampered"') ?? '');
    const broken = await run(['audit', 'verify', taskId, '--json']);
    expect(broken).toMatchObject({ code: 4, stderr: 'The history is not valid from entry 2 on.\n' });
    expect(JSON.parse(broken.stdout)).toMatchObject({ valid: false, first_broken: 2 });

    // A missing last entry is noticed because the task records the hash of its head.
    await api.redis.rpop(history);
    expect(await run(['audit', 'verify', taskId])).toMatchObject({
      code: 4,
      stderr: 'The history is not valid from entry 2 on.\n',
    });
  });

  describe('reports a history as not valid when the response', () => {
    /** Verifies the response of a server that changes the text of the real response. */
    async function verified(taskId: string, change: (text: string) => string) {
      const { text } = await org.client.request('GET', `/v1/tasks/${taskId}/events?order=desc`);
      const server = createServer((_request, response) =>
        response.setHeader('content-type', 'application/json').end(change(text)),
      );
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const env = { BIOLAYER_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
      const ran = await run(['audit', 'verify', taskId, '--json'], { env });
      server.closeAllConnections();
      server.close();
      return { ...ran, ...(JSON.parse(ran.stdout) as { valid: boolean }) };
    }
    const changes: [string, (text: string) => string, string][] = [
      ['has a member twice', (text) => text.replace('"actor":', '"actor":"x","actor":'), 'comes twice'],
      [
        'has a member twice, once escaped',
        (text) => text.replace('"actor":', '"\\u0061ctor":"x","actor":'),
        'twice',
      ],
      ['writes a number differently', (text) => text.replace('"sequence":1', '"sequence":1.0'), 'one form'],
      [
        'has an additional member in an entry',
        (text) => text.replace('"actor":', '"note":1,"actor":'),
        'A history entry',
      ],
      [
        'has an additional member',
        (text) => text.replace('"has_more"', '"note":1,"has_more"'),
        'A response does',
      ],
      ['has no head', (text) => text.replace(/,"head":\{[^}]*\}/, ''), 'A response does'],
      ['has null as its head', (text) => text.replace(/"head":\{[^}]*\}/, '"head":null'), 'history ends'],
      [
        'has an additional member in its head',
        (text) => text.replace('"head":{', '"head":{"n":1,'),
        'history ends',
      ],
      [
        'has the sequence of another head',
        (text) => text.replace('"head":{"sequence":2', '"head":{"sequence":3'),
        'entry 3',
      ],
      [
        'says that there are more entries, without a cursor',
        (text) => text.replace('"has_more":false', '"has_more":true'),
        'more',
      ],
    ];
    it.each(changes)('%s', async (_name, change, reason) => {
      const taskId = await createTask();
      expect(await verified(taskId, (text) => text)).toMatchObject({ code: 0, valid: true });
      const found = await verified(taskId, change);
      expect(found).toMatchObject({ code: 4, valid: false });
      expect(found.stderr).toContain(reason);
    });
  });

  it('shows why a task is not matched', async () => {
    const taskId = await createTask();
    const { stdout } = await run(['tasks', 'match', taskId]);
    expect(stdout).toMatch(/^reason +nobody_qualifies$/m);
    expect((await json<{ reason: string }>(['tasks', 'match', taskId])).reason).toBe('nobody_qualifies');
  });

  it('reads a history of several pages', async () => {
    const taskId = await createTask();
    const { data } = await org.client.get<Page<HistoryEntry>>(`/v1/tasks/${taskId}/events`);
    let last = data.at(-1);
    const packed: string[] = [];
    for (let sequence = 3; sequence <= 450; sequence += 1) {
      const at = Date.now();
      const event = {
        event_id: randomUUID(),
        type: 'task.queued',
        status: 'queued',
        previous_status: null,
      } as const;
      last = historyEntry(
        { ...event, sequence, at, actor: 'system', attempt: 1, data: {} },
        last?.hash ?? null,
      );
      const { event_id, type, status, previous_status: previous, actor, attempt_of_task, hash } = last;
      packed.push(
        JSON.stringify([event_id, type, status, previous, last.at, actor, attempt_of_task, {}, hash]),
      );
    }
    const keys = orgKeysOf(api.prefix, org.org_id);
    await api.redis.rpush(keys.history(taskId), ...packed);
    const state = await api.redis.hget(keys.task(taskId), 's');
    const grown = state?.replace('"sequence":2', '"sequence":450') ?? '';
    await api.redis.hset(keys.task(taskId), 'h', last?.hash ?? '', 's', grown);
    expect(await json(['audit', 'verify', taskId])).toMatchObject({
      valid: true,
      entries: 450,
      head: last?.hash,
    });
  });
});

describe('output for users', () => {
  it('is a short table, cut to the width of the terminal', async () => {
    const product = freshName('product');
    await createTask({
      origin: { product, request_id: 'r' },
      title: 'A title that is rather too long for this',
    });
    const list = await run(['tasks', 'list', '--product', product], { columns: 80 });
    const [head, row, ...rest] = list.stdout.split('\n');
    expect(head).toBe('task_id                               status  urgency  title');
    expect(row).toMatch(/^[0-9a-f-]{36} {2}queued {2}normal {3}A title that is rather t…$/);
    expect(row).toHaveLength(80);

    // The cut is one UTF-16 unit earlier where it would split a character.
    for (const title of ['\u{1f600}'.repeat(60), `a${'\u{1f600}'.repeat(60)}`]) {
      await createTask({ origin: { product: `${product}-2`, request_id: 'r' }, title });
      const { stdout } = await run(['tasks', 'list', '--product', `${product}-2`], { columns: 80 });
      expect(stdout.isWellFormed()).toBe(true);
    }
    expect(rest).toEqual(['']);
    expect(await run(['tasks', 'list', '--product', 'none'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No entries.\n',
    });
  });

  it('never cuts a secret', async () => {
    const made = await run(['keys', 'create', '--name', 'narrow', '--scope', 'tasks:read'], { columns: 20 });
    expect(made.stdout).toMatch(/^key {9}blk_live_[0-9A-Za-z]{34,}$/m);
    expect((await run(['webhooks', 'secret'], { columns: 20 })).stdout).toMatch(/^whsec_\S{44}\n$/);
  });

  it('replaces control characters in the title of a task', async () => {
    const taskId = await createTask({ title: 'a\u001b[2Jb\u009bc\u202ed\r\ne' });
    expect((await run(['tasks', 'get', taskId])).stdout).toContain('title              a�[2Jb�c�d��e\n');
    expect(await json(['tasks', 'get', taskId])).toMatchObject({ title: 'a\u001b[2Jb\u009bc\u202ed\r\ne' });
  });
});

describe('bulk-actions', () => {
  it('changes many tasks, and shows what became of them', async () => {
    const domain = freshName('d').replaceAll('-', '_');
    const ids = [await createTask({ domain }), await createTask({ domain })];
    const chosen = ['create', 'cancel', '--domain', domain];
    const bulk = (...args: string[]) => json(['bulk-actions', ...args]);
    expect(await bulk(...chosen, '--dry-run')).toEqual({ matched: 2, is_exact: true });
    const created = await bulk(...chosen, '--reason', 'recalled', '--wait', '--idempotency-key', domain);
    expect(created).toMatchObject({ status: 'completed', done: 2, parameters: { reason: 'recalled' } });
    const id = String(created.bulk_action_id);
    expect(await bulk('get', id, '--wait')).toEqual(created);
    expect((await bulk('list', '--limit', '1')).data).toMatchObject([{ bulk_action_id: id }]);
    expect(await run(['bulk-actions', 'cancel', id])).toMatchObject({ code: 1 });
    const changes = JSON.stringify({ sla: { urgency: 'high' } });
    const update = ['create', 'update', '--task-id', ids.join(), '--changes', changes, '--wait'];
    expect(await bulk(...update)).toMatchObject({ done: 0, skipped: 2 });
    const approve = ['create', 'approve', '--task-id', randomUUID(), '--rating', '5', '--wait'];
    expect((await run(['bulk-actions', ...approve])).stdout).toContain('not_found');
  });
});
