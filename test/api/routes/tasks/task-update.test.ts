// `PATCH /v1/tasks/{task_id}`: what it changes, what follows in the same commit, what it refuses, and the webhooks of
// events from before a change.
import { afterAll, describe, expect, test } from 'vitest';
import { orgKeysOf } from '../../../../src/store/redis/keys.ts';
import { startReceiver } from '../../../e2e/receiver.ts';
import {
  createKey,
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { createTaskIn, createTestWorker, OUTPUT, taskBody } from '../../../support/workers.ts';

const receiver = await startReceiver();
afterAll(() => receiver.close());
const { api, org, client } = await startApiOfFile({
  processors: true,
  webhookAllowedNetworks: ['127.0.0.0/8'],
});

const HOUR = 3600_000;
const inAnHour = () => new Date(Date.now() + HOUR).toISOString();
const get = (id: string) => client.get<TaskView>(`/v1/tasks/${id}`);
const patch = (id: string, body: unknown) => client.patch<TaskView>(`/v1/tasks/${id}`, body);
const create = (fields: Record<string, unknown> = {}) => client.post<TaskView>('/v1/tasks', taskBody(fields));
const typesOf = async (id: string) =>
  (await client.get<Page<EventView>>(`/v1/tasks/${id}/events`)).data.map((one) => one.type);

describe('a waiting task', () => {
  test('moves in its queue, in the lists and in the history at once', async () => {
    const requirements = { skills: ['only_here'] };
    const [first, second] = [await create({ requirements }), await create({ requirements })];
    const { task_id } = second;
    expect(await client.get(`/v1/tasks/${task_id}/match`)).toMatchObject({ queue: { position: 2 } });
    const deadline = inAnHour();
    const after = await patch(task_id, {
      sla: { urgency: 'critical', deadline },
      metadata: { lead: 'ada' },
    });
    expect(after).toMatchObject({
      version: second.version + 1,
      status: 'queued',
      sla: { urgency: 'critical', deadline },
      metadata: { lead: 'ada' },
      requirements,
    });
    expect(await get(task_id)).toEqual(after);
    expect(await client.get(`/v1/tasks/${task_id}/match`)).toMatchObject({ queue: { position: 1 } });
    expect(await client.get(`/v1/tasks/${first.task_id}/match`)).toMatchObject({ queue: { position: 2 } });
    const listed = (urgency: string) => client.get<Page<TaskView>>(`/v1/tasks?urgency=${urgency}`);
    expect((await listed('critical')).data).toEqual([after]);
    expect((await listed('normal')).data.map((one) => one.task_id)).not.toContain(task_id);
    const { data } = await client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
    expect(data.at(-1)).toMatchObject({
      type: 'task.updated',
      status: 'queued',
      previous_status: 'queued',
      actor: expect.stringMatching(/^api_key:/),
      data: {
        changes: [
          { pointer: '/sla/urgency', from: 'normal', to: 'critical' },
          { pointer: '/sla/deadline', from: null, to: deadline },
          { pointer: '/metadata', from: null, to: { lead: 'ada' } },
        ],
      },
    });
  });

  test('is offered as soon as a worker meets the new requirements', async () => {
    const [poolId, other] = [await createPool(client), await createPool(client)];
    const person = await createTestWorker(api, client, { pool_ids: [other] });
    const { task_id } = await create({ requirements: { worker_pool_id: poolId } });
    // Nothing else asks for a match: all that happened so far is relayed and served.
    const keys = orgKeysOf(api.prefix, org.org_id);
    const open = () =>
      Promise.all([
        api.redis.xlen(keys.outbox),
        api.redis.hlen(keys.matchTurns),
        api.redis.zcard(keys.matchRequests),
      ]);
    await expect.poll(open).toEqual([0, 0, 0]);
    expect((await client.get<Page<TaskView>>(`/v1/tasks?pool=${poolId}`)).data).toHaveLength(1);
    await patch(task_id, { requirements: { worker_pool_id: other } });
    // The sweeper would find it too, but later.
    await expect.poll(async () => (await get(task_id)).status, { timeout: 5000 }).toBe('offered');
    await person.offerOf(task_id);
    expect((await client.get<Page<TaskView>>(`/v1/tasks?pool=${poolId}`)).data).toEqual([]);
    expect((await client.get<Page<TaskView>>(`/v1/tasks?pool=${other}`)).data).toHaveLength(1);
  });

  test('fails at its new deadline', async () => {
    const { task_id } = await create({ sla: { urgency: 'low', deadline: inAnHour() } });
    await patch(task_id, { sla: { deadline: new Date(Date.now() + 700).toISOString() } });
    const task = await client.get<TaskView>(`/v1/tasks/${task_id}?wait=20`);
    expect(task).toMatchObject({ status: 'failed', failure: { code: 'deadline_exceeded' } });
  });

  test('is not written when nothing changes', async () => {
    const task = await create({ metadata: { a: '1', b: '2' } });
    const body = { sla: { urgency: 'normal' }, requirements: { min_rating: null }, metadata: { b: '2' } };
    const answer = await client.request('PATCH', `/v1/tasks/${task.task_id}`, { body });
    expect(answer.as()).toEqual(task);
    expect(answer.headers.get('etag')).toBe(`"${task.version}"`);
    expect(await typesOf(task.task_id)).toEqual(['task.created', 'task.queued']);
  });
});

describe('a task in the hands of a worker', () => {
  test('loses the offers that no longer fit, in the same commit', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'offered');
    const after = await patch(task.task_id, { requirements: { skills: ['diving'] } });
    expect(after).toMatchObject({ status: 'queued', version: task.version + 1 });
    expect((await typesOf(task.task_id)).slice(-2)).toEqual(['task.updated', 'task.queued']);
    expect((await person.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
    const diver = await createTestWorker(api, client, { pool_ids: [poolId], skills: ['diving'] });
    await diver.accept(task.task_id);
  });

  test('keeps the offers that fit', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const after = await patch(task.task_id, { requirements: { min_rating: 2 }, sla: { urgency: 'high' } });
    expect(after.status).toBe('offered');
    expect((await person.accept(task.task_id)).sla).toMatchObject({ urgency: 'high' });
  });

  test('stays with a worker who has accepted it', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const after = await patch(task.task_id, { requirements: { skills: ['diving'] } });
    expect(after).toMatchObject({ status: 'started', assignment: { worker_id: person.worker_id } });
    expect((await person.submit(task.task_id)).status).toBe('submitted');
    await patch(task.task_id, { metadata: { seen: 'yes' } });
    const reviewed = await client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'approve' });
    expect(reviewed).toMatchObject({ status: 'completed', metadata: { seen: 'yes' } });
    expect(await get(task.task_id)).toMatchObject({ requirements: { skills: ['diving'] } });
  });

  test('is changed and accepted, or changed and submitted, at the same time without losing either', async () => {
    const offered = await Promise.all(Array.from({ length: 4 }, () => createTaskIn(api, org, 'offered')));
    const started = await Promise.all(Array.from({ length: 4 }, () => createTaskIn(api, org, 'started')));
    const updates = (id: string) =>
      ['a', 'b', 'c'].map((key) => patch(id, { metadata: { [key]: 'set' }, sla: { urgency: 'high' } }));
    await Promise.all([
      ...offered.flatMap(({ task, person }) => [person.accept(task.task_id), ...updates(task.task_id)]),
      ...started.flatMap(({ task, person }) => [
        person.submit(task.task_id, OUTPUT),
        ...updates(task.task_id),
      ]),
    ]);
    for (const [status, all] of [
      ['accepted', offered],
      ['submitted', started],
    ] as const)
      for (const { task } of all)
        expect(await get(task.task_id)).toMatchObject({
          status,
          version: task.version + 4,
          metadata: { a: 'set', b: 'set', c: 'set' },
          sla: { urgency: 'high' },
        });
  });
});

describe('a refused change', () => {
  test('of a final task is 409, also when it would change nothing', async () => {
    for (const status of ['completed', 'cancelled'] as const) {
      const { task } = await createTaskIn(api, org, status);
      for (const body of [{ sla: { urgency: 'critical' } }, {}])
        expect((await client.request('PATCH', `/v1/tasks/${task.task_id}`, { body })).outcome).toBe(
          '409 invalid_transition',
        );
    }
  });

  test('of an older version is 412', async () => {
    const { task_id, version } = await create();
    const send = (ifMatch: number) =>
      client.request('PATCH', `/v1/tasks/${task_id}`, {
        body: { metadata: { a: '1' } },
        headers: { 'If-Match': `"${ifMatch}"` },
      });
    expect((await send(version + 1)).outcome).toBe('412 version_mismatch');
    expect((await send(version)).outcome).toBe('200');
    expect((await send(version)).outcome).toBe('412 version_mismatch');
  });

  test('that breaks the rules of a new task is 422 with its pointer', async () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`key${index}`, 'x']));
    const { task_id } = await create({
      metadata: many,
      requirements: { skills: ['a'], hard: ['skills'] },
    });
    const cases: [body: unknown, pointer: string][] = [
      [{ sla: { deadline: '2020-01-01T00:00:00Z' } }, '/sla/deadline'],
      [{ sla: { urgency: null } }, '/sla/urgency'],
      [{ requirements: { worker_pool_id: 'no-such-pool' } }, '/requirements/worker_pool_id'],
      [
        { requirements: { steps: [{ after_seconds: 5, requirements: { skills: [] } }] } },
        '/requirements/steps/0/requirements/skills',
      ],
      [{ metadata: { one_more: 'x' } }, '/metadata'],
      [{ title: 'Another' }, '/title'],
      [{ origin: { product: 'x' } }, '/origin'],
    ];
    for (const [body, pointer] of cases) {
      const answer = await client.request('PATCH', `/v1/tasks/${task_id}`, { body });
      expect(answer.outcome).toBe('422 validation_failed');
      expect(answer.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
    }
    expect((await get(task_id)).version).toBe(1);
  });

  test('beyond the pools of the key is 403, and of a task in another pool 404', async () => {
    const [own, other] = [await createPool(client), await createPool(client)];
    const confined = await createKey(api, client, { pools: [own] });
    const { task_id } = await create({ requirements: { worker_pool_id: own } });
    const move = (body: unknown) => confined.request('PATCH', `/v1/tasks/${task_id}`, { body });
    expect((await move({ requirements: { worker_pool_id: other } })).outcome).toBe('403 pool_forbidden');
    expect((await move({ requirements: null })).outcome).toBe('403 pool_forbidden');
    expect((await move({ sla: { urgency: 'high' } })).outcome).toBe('200');
    await patch(task_id, { requirements: { worker_pool_id: other } });
    expect((await move({ sla: { urgency: 'low' } })).outcome).toBe('404 not_found');
  });
});

test('webhooks send the metadata of the time of their event, with the same bytes on every attempt', async () => {
  const handoff = {
    callback_url: receiver.url,
    events: ['task.created', 'task.updated', 'task.cancelled'],
    retry_policy: { max_retries: 5, backoff_seconds: 1 },
  };
  // The members are not in the order of the alphabet.
  const metadata = { z: 'first', a: 'second' };
  receiver.answer = ({ body }) => (body.type === 'task.created' ? 500 : 204);
  const { task_id } = await create({ handoff, metadata });
  const received = (type: string) =>
    receiver.received.filter((one) => one.body.data.task_id === task_id && one.body.type === type);
  const arrived = (type: string, count: number) =>
    expect.poll(() => received(type).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(count);
  await arrived('task.created', 1);
  await patch(task_id, { metadata: { z: null, b: 'third' } });
  await arrived('task.created', 2);
  // Once more when the task is final and its record packed.
  await client.post(`/v1/tasks/${task_id}/cancel`);
  const open = received('task.created').length;
  await arrived('task.created', open + 1);
  receiver.answer = () => 204;
  await receiver.taken(['task.created', 'task.updated', 'task.cancelled']);
  expect(new Set(received('task.created').map((one) => one.raw)).size).toBe(1);
  expect(received('task.created')[0]?.raw).toContain('"metadata":{"z":"first","a":"second"}');
  for (const type of ['task.updated', 'task.cancelled'])
    expect(received(type)[0]?.body.data.metadata).toEqual({ a: 'second', b: 'third' });
});
