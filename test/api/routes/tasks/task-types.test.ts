// Task types: versions, what a create fills in, errors, processes that must agree, quotas and keys.
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { taskBody } from '../../../support/workers.ts';

interface TypeView {
  name: string;
  version: number;
  title?: string;
  [field: string]: unknown;
}

let api: TestApi;
/** Another process on the same data. */
let other: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi();
  other = await startApi({ prefix: api.prefix });
  org = await createOrg(api);
});
afterAll(async () => {
  await api?.close();
  await other?.close();
});

const DEFAULTS = {
  domain: 'security',
  title: 'Look',
  instructions: 'Look at it.',
  sla: { urgency: 'high', target_latency_seconds: 600 },
  requirements: { skills: ['skill_of_nobody'] },
  output: { expected_format: 'structured_json', schema: { seen: 'boolean' } },
  metadata: { team: 'blue' },
};
const put = (name: string, body: object, client: Client = org.client, headers: Record<string, string> = {}) =>
  client.request('PUT', `/v1/task-types/${name}`, { body, headers });
const origin = () => ({ product: 'tests', request_id: freshName('request') });
const create = (task_type: string, fields: object = {}, client: Client = org.client): Promise<Answer> =>
  client.request('POST', '/v1/tasks', { body: { origin: origin(), task_type, ...fields } });
const nameOf = () => freshName('type').replaceAll('-', '_');

test('runs the walk-through of the document', async () => {
  const names = { request: freshName('request') };
  await walk(walkThrough('supervision.md', 'Task types'), { requester: org.client }, names);
});

describe('a PUT', () => {
  test('registers, makes versions that stay, and none when nothing differs', async () => {
    const name = nameOf();
    const first = await put(name, DEFAULTS);
    expect([first.status, first.headers.get('location'), first.headers.get('etag')]).toEqual([
      201,
      `/v1/task-types/${name}`,
      '"1"',
    ]);
    expect(first.as<TypeView>()).toEqual({
      name,
      version: 1,
      ...DEFAULTS,
      created_at: expect.any(String),
      created_by: expect.stringMatching(/^api_key:/),
    });
    expect((await put(name, DEFAULTS)).as<TypeView>()).toEqual(first.as<TypeView>());
    const second = await put(name, { title: 'Only this' });
    expect([second.status, second.as<TypeView>().version]).toEqual([200, 2]);
    const path = `/v1/task-types/${name}`;
    expect(await org.client.get<TypeView>(`${path}/versions/1`)).toEqual(first.as<TypeView>());
    expect(await org.client.get<TypeView>(path)).toEqual(second.as<TypeView>());
    const pages = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page: Page<TypeView> = await org.client.get(`${path}/versions?limit=1${query}`);
      pages.push(page.data.map((one) => one.version));
      cursor = page.next_cursor;
    }
    expect(pages).toEqual([[2], [1]]);
    const { data } = await org.client.get<Page<TypeView>>('/v1/task-types?limit=1');
    expect(data.map((one) => one.name)).toEqual([name]);
    expect((await org.client.request('GET', `${path}/versions/3`)).outcome).toBe('404 not_found');
    const { data: log } = await org.client.get<Page<{ action: string; target: object }>>('/v1/audit?limit=2');
    expect(log.map((one) => one.action)).toEqual(['task_type.updated', 'task_type.registered']);
    expect(log[0]?.target).toEqual({ type: 'task_type', id: name });
  });

  test('with an outdated If-Match is refused, and of several at once each makes its own version', async () => {
    const name = nameOf();
    expect((await put(name, DEFAULTS, org.client, { 'If-Match': '"1"' })).outcome).toBe(
      '412 version_mismatch',
    );
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        put(name, { title: `t${index}` }, index % 2 === 0 ? org.client : other.client(org.client.credential)),
      ),
    );
    expect(answers.map((one) => one.as<TypeView>().version).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(answers.map((one) => one.status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
    expect((await put(name, DEFAULTS, org.client, { 'If-Match': '"5"' })).outcome).toBe(
      '412 version_mismatch',
    );
    expect((await put(name, DEFAULTS, org.client, { 'If-Match': '"6"' })).status).toBe(200);
  });

  test('checks the defaults like those of a task, and takes no secret and no deadline', async () => {
    const bad = {
      title: '',
      sla: { deadline: '2099-01-01T00:00:00Z', escalations: [{ after_seconds: 1, while: 'unassigned' }] },
      handoff: { callback_auth: { type: 'bearer', token: 'x' } },
      output: { expected_format: 'structured_json', schema: { seen: 'nonsense' } },
      requirements: { worker_pool_id: 'no-such' },
      origin: origin(),
    };
    const answer = await put(nameOf(), bad);
    expect(answer.problem.errors?.map((one) => one.pointer).sort()).toEqual([
      '/handoff/callback_auth',
      '/origin',
      '/output/schema/seen',
      '/requirements/worker_pool_id',
      '/sla/deadline',
      '/sla/escalations/0',
      '/title',
    ]);
    // What a task may add is not required.
    const part = {
      output: { expected_format: 'structured_json' },
      sla: { on_deadline: { action: 'complete', output: 1 } },
    };
    expect((await put(nameOf(), part)).status).toBe(201);
    expect((await put('Not-A-Slug', {})).status).toBe(404);
  });
});

describe('a create', () => {
  test('needs only what the type does not have, and its own members win', async () => {
    const name = nameOf();
    await put(name, DEFAULTS);
    const task = (
      await create(name, { sla: { urgency: 'low' }, requirements: { skills: ['x'] } })
    ).as<TaskView>();
    expect(task).toMatchObject({
      ...DEFAULTS,
      task_type: name,
      task_type_version: 1,
      sla: { urgency: 'low', target_latency_seconds: 600 },
      requirements: { skills: ['x'] },
    });
    await put(name, { ...DEFAULTS, title: 'New' });
    const read = await org.client.get<TaskView>(`/v1/tasks/${task.task_id}`);
    expect([read.title, read.task_type_version]).toEqual(['Look', 1]);
    const [newest, older] = [await create(name), await create(name, { task_type_version: 1 })];
    expect([newest.as<TaskView>().title, older.as<TaskView>().title]).toEqual(['New', 'Look']);
  });

  test('reports errors at what was sent, and names the type for what was not', async () => {
    const name = nameOf();
    const on_deadline = { action: 'complete', output: { seen: true } };
    await put(name, { ...DEFAULTS, title: undefined, sla: { on_deadline } });
    const answer = await create(name, { sla: { urgency: 'sometime' }, output: { evidence_required: 'x' } });
    expect(answer.status).toBe(422);
    const from = ` (from version 1 of the task type ${name})`;
    const errors = new Map(answer.problem.errors?.map((one) => [one.pointer, one.message]));
    expect([...errors.keys()].sort()).toEqual([
      '/output/evidence_required',
      '/sla/on_deadline',
      '/sla/urgency',
      '/title',
    ]);
    for (const [pointer, message] of errors)
      expect(message.endsWith(from)).toBe(pointer === '/sla/on_deadline');
    expect(errors.get('/title')).toBe('is required');
  });

  test('refuses unknown versions, and versions of names that are not registered', async () => {
    const name = nameOf();
    await put(name, DEFAULTS);
    for (const [type, task_type_version] of [
      [name, 2],
      [nameOf(), 1],
    ] as const)
      expect(
        (await create(type, { ...taskBody(), task_type: type, task_type_version })).problem.errors,
      ).toEqual([{ pointer: '/task_type_version', message: expect.stringContaining(type) }]);
    // What the type would have filled in is not missed, but other faults are told.
    const bare = { origin: taskBody().origin, task_type: name, task_type_version: 2, title: '' };
    const { problem } = await api.client(org.client.credential).request('POST', '/v1/tasks', { body: bare });
    expect(problem.errors?.map((one) => one.pointer)).toEqual(['/task_type_version', '/title']);
    const fresh = await createOrg(api);
    const answer = await create(
      'free',
      { ...taskBody(), task_type: 'free', task_type_version: 1 },
      fresh.client,
    );
    expect(answer.problem.errors).toMatchObject([{ pointer: '/task_type_version' }]);
  });

  test('of an unregistered or a retired name is as before', async () => {
    const name = nameOf();
    await put(name, DEFAULTS);
    await org.client.delete(`/v1/task-types/${name}`);
    for (const type of [name, nameOf()]) {
      expect((await create(type)).outcome).toBe('422 validation_failed');
      const task = (await create(type, { ...taskBody(), task_type: type })).as<TaskView>();
      expect(task).not.toHaveProperty('task_type_version');
    }
    const path = `/v1/task-types/${name}`;
    expect((await org.client.request('GET', path)).outcome).toBe('404 not_found');
    expect((await org.client.get<TypeView>(`${path}/versions/1`)).title).toBe('Look');
    const listed = await org.client.get<Page<TypeView>>('/v1/task-types?limit=200');
    expect(listed.data.map((one) => one.name)).not.toContain(name);
    const again = await put(name, { title: 'Back' });
    expect([again.status, again.as<TypeView>().version]).toEqual([201, 2]);
  });

  test('uses the new version in every process as soon as the PUT is answered', async () => {
    const name = nameOf();
    for (const round of [1, 2, 3]) {
      const fresh = await createOrg(api);
      const there = other.client(fresh.client.credential);
      // The other process has cached that the org has no task types.
      expect((await create(name, { ...taskBody(), task_type: name }, there)).status).toBe(201);
      expect((await put(name, { ...DEFAULTS, title: `Round ${round}` }, fresh.client)).status).toBe(201);
      const answer = await create(name, {}, there);
      expect([answer.status, answer.as<TaskView>().title]).toEqual([201, `Round ${round}`]);
      expect((await put(name, { ...DEFAULTS, title: 'Next' }, fresh.client)).status).toBe(200);
      expect((await create(name, {}, there)).as<TaskView>().title).toBe('Next');
    }
  });

  test('with an Idempotency-Key gets its response again, whatever became of the type', async () => {
    const name = nameOf();
    await put(name, DEFAULTS);
    const body = { origin: origin(), task_type: name };
    const headers = { 'Idempotency-Key': freshName('key') };
    const send = () => org.client.request('POST', '/v1/tasks', { body, headers });
    const first = await send();
    await org.client.delete(`/v1/task-types/${name}`);
    const again = await send();
    expect([first.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      first.text,
      'true',
    ]);
  });

  test('is filled in also in batches and previews', async () => {
    const name = nameOf();
    await put(name, DEFAULTS);
    const good = { origin: origin(), task_type: name };
    const tasks = [good, { ...good, sla: { urgency: 'x' } }, { ...good, task_type_version: 9 }, taskBody()];
    const { results } = await org.client.post<{
      results: { status: number; task?: TaskView; error?: { errors: { pointer: string }[] } }[];
    }>('/v1/tasks/batch', { tasks });
    expect(results.map((one) => one.status)).toEqual([201, 422, 422, 201]);
    expect(results[0]?.task).toMatchObject({ ...DEFAULTS, task_type_version: 1 });
    expect(results.slice(1, 3).map((one) => one.error?.errors[0]?.pointer)).toEqual([
      '/tasks/1/sla/urgency',
      '/tasks/2/task_type_version',
    ]);
    const preview = await org.client.post<{ requirements: object[] }>('/v1/tasks/preview', good);
    expect(preview.requirements).toMatchObject([{ requirement: 'skills', wanted: 'skill_of_nobody' }]);
  });

  test('reads no type in an org without task types, and one in others', async () => {
    const name = nameOf();
    const fresh = await createOrg(api);
    // Not MONITOR: ioredis takes the first lines of a busy Redis for replies.
    const sent = vi.spyOn(api.web.db.redis, 'sendCommand');
    onTestFinished(() => sent.mockRestore());
    /** The commands about task types that `act` causes. */
    const readsDuring = async (act: () => Promise<Answer>) => {
      sent.mockClear();
      expect((await act()).status).toBe(201);
      return sent.mock.calls
        .filter(([{ args }]) =>
          args.some((one) => String(one).startsWith(api.prefix) && String(one).includes(':task-type')),
        )
        .map(([{ name }]) => name);
    };
    const plain = () => create(name, { ...taskBody(), task_type: name }, fresh.client);
    expect(await readsDuring(plain)).toEqual([]);
    await put(nameOf(), DEFAULTS, fresh.client);
    expect(await readsDuring(plain)).toEqual(['hmget']);
    await put(name, DEFAULTS, fresh.client);
    expect(await readsDuring(() => create(name, {}, fresh.client))).toEqual(['hmget']);
  });
});

test('types and their bytes are limited, also when retired', async () => {
  const fresh = await createOrg(api);
  const limit = (quotas: object) => api.operator.patch(`/admin/orgs/${fresh.org_id}`, { quotas });
  await limit({ task_types: 1 });
  expect((await put('one', { title: 'x' }, fresh.client)).status).toBe(201);
  await fresh.client.delete('/v1/task-types/one');
  expect((await put('two', {}, fresh.client)).problem).toMatchObject({
    code: 'quota_exceeded',
    quota: 'task_types',
  });
  expect((await put('one', { title: 'y' }, fresh.client)).status).toBe(201);
  const { usage } = await fresh.client.get<{ usage: Record<string, { used: number }> }>('/v1/org');
  expect([usage.task_types?.used, usage.task_type_bytes?.used]).toEqual([1, 2 * '{"title":"x"}'.length]);
  await limit({ task_type_bytes: 30 });
  expect((await put('one', { title: 'longer' }, fresh.client)).problem).toMatchObject({
    quota: 'task_type_bytes',
  });
});

test('a key confined to pools reads and uses types, but does not change them', async () => {
  const [pool, another] = [await createPool(org.client), await createPool(org.client)];
  const key = await createKey(api, org.client, { pools: [pool] });
  const [mine, theirs] = [nameOf(), nameOf()];
  await put(mine, { ...DEFAULTS, requirements: { worker_pool_id: pool } });
  await put(theirs, { ...DEFAULTS, requirements: { worker_pool_id: another } });
  expect((await put(mine, {}, key)).outcome).toBe('403 pool_forbidden');
  expect((await key.request('DELETE', `/v1/task-types/${mine}`)).outcome).toBe('403 pool_forbidden');
  expect((await key.get<TypeView>(`/v1/task-types/${theirs}`)).version).toBe(1);
  expect((await create(mine, {}, key)).status).toBe(201);
  expect((await create(theirs, {}, key)).outcome).toBe('403 pool_forbidden');
  // The sandbox has its own.
  const sandbox = await createKey(api, org.client, { mode: 'test' });
  expect((await sandbox.request('GET', `/v1/task-types/${mine}`)).status).toBe(404);
  expect((await put(mine, DEFAULTS, sandbox)).as<TypeView>().version).toBe(1);
  expect((await create(mine, {}, sandbox)).status).toBe(201);
});
