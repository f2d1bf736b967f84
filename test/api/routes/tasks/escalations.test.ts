// Escalations by REST and webhooks alone: a task that waits too long gets more urgent or moves to other workers.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  createKey,
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { createTestWorker, taskBody } from '../../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

const createMember = () =>
  org.client.post<{ member_id: string }>('/v1/members', {
    email: `${randomUUID()}@example.com`,
    name: 'Lead',
    password: 'correct horse battery staple',
    scopes: ['tasks:read'],
  });
const create = (fields: Record<string, unknown>) => org.client.post<TaskView>('/v1/tasks', taskBody(fields));
const now = ({ task_id }: TaskView) => org.client.get<TaskView>(`/v1/tasks/${task_id}`);
const escalatedOf = async ({ task_id }: TaskView) =>
  (await org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`)).data.filter(
    (one) => one.type === 'task.escalated',
  );

describe('a task that no worker takes', () => {
  test('gets more urgent and moves to a pool whose worker gets it, with an event that says so', async () => {
    const receiver = await startCallbackReceiver();
    const [first, second] = [await createPool(org.client), await createPool(org.client)];
    const person = await createTestWorker(api, org.client, { pool_ids: [second] });
    const { member_id } = await createMember();
    const escalations = [
      {
        after_seconds: 1,
        while: 'unassigned',
        urgency: 'critical',
        worker_pool_id: second,
        notify_members: [member_id],
      },
      { after_seconds: 3, while: 'unassigned', urgency: 'critical' },
    ];
    const task = await create({
      sla: { urgency: 'low', escalations },
      requirements: { worker_pool_id: first },
      handoff: { callback_url: receiver.url, events: ['task.escalated'] },
    });
    expect(task.sla).toMatchObject({ escalations });
    const offer = await person.offerOf(task.task_id);
    expect(JSON.stringify(offer)).not.toContain('escalations');
    await person.accept(task.task_id);
    await person.start(task.task_id);

    const event = {
      after_seconds: 1,
      while: 'unassigned',
      urgency: 'critical',
      worker_pool_id: second,
      notified_members: [member_id],
    };
    await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBe(1);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({
      type: 'task.escalated',
      data: event,
    });
    expect(await escalatedOf(task)).toMatchObject([
      { status: 'queued', previous_status: 'queued', actor: 'system', data: event },
    ]);
    expect(await now(task)).toMatchObject({
      sla: { urgency: 'critical' },
      requirements: { worker_pool_id: second },
    });
    // Lists and keys of pools follow.
    for (const [pool, count] of [
      [first, 0],
      [second, 1],
    ] as const) {
      const listed = await org.client.get<Page<TaskView>>(`/v1/tasks?pool=${pool}&urgency=critical,low`);
      expect(listed.data.length).toBe(count);
      const key = await createKey(api, org.client, { pools: [pool] });
      const answer = await key.request('GET', `/v1/tasks/${task.task_id}`);
      expect(answer.status).toBe(count === 1 ? 200 : 404);
    }
    // The second escalation finds the task assigned: it changes nothing but the version.
    const { version } = await now(task);
    await expect.poll(async () => (await now(task)).version, { timeout: 10_000 }).toBe(version + 1);
    expect((await escalatedOf(task)).length).toBe(1);
    await person.submit(task.task_id);
    expect((await org.client.get<TaskView>(`/v1/tasks/${task.task_id}?wait=20`)).status).toBe('completed');
  });

  test('is taken from a worker who only has an offer of it and is not in the new pool', async () => {
    const [first, second] = [await createPool(org.client), await createPool(org.client)];
    const one = await createTestWorker(api, org.client, { pool_ids: [first] });
    const other = await createTestWorker(api, org.client, { pool_ids: [second] });
    const escalations = [{ after_seconds: 2, while: 'unassigned', worker_pool_id: second }];
    const task = await create({
      sla: { urgency: 'normal', escalations },
      requirements: { worker_pool_id: first },
    });
    const offer = await one.offerOf(task.task_id);
    await other.offerOf(task.task_id);
    const mine = await one.client.get<Page<OfferView>>('/v1/worker/offers');
    expect(mine.data).toEqual([]);
    const late = await one.client.request('POST', `/v1/worker/offers/${offer.offer_id}/accept`);
    expect(late.outcome).toBe('409 offer_not_pending');
  });

  test('stays where it is when the pool is gone by then, and the event names the pool', async () => {
    const [first, second] = [await createPool(org.client), await createPool(org.client)];
    const escalations = [{ after_seconds: 2, while: 'unfinished', urgency: 'high', worker_pool_id: second }];
    const task = await create({
      sla: { urgency: 'normal', escalations },
      requirements: { worker_pool_id: first },
    });
    await org.client.delete(`/v1/pools/${second}`);
    await expect
      .poll(() => escalatedOf(task), { timeout: 10_000 })
      .toMatchObject([{ data: { urgency: 'high', missing_worker_pool_id: second } }]);
    expect((await now(task)).requirements).toEqual({ worker_pool_id: first });
  });
});

test('an unfinished task gets more urgent while its worker goes on', async () => {
  const person = await createTestWorker(api, org.client, { skills: ['slow'] });
  const escalations = [
    { after_seconds: 2, while: 'unassigned', urgency: 'critical' },
    { after_seconds: 2, while: 'unfinished', urgency: 'high' },
  ];
  const task = await create({ sla: { urgency: 'low', escalations }, requirements: { skills: ['slow'] } });
  await person.accept(task.task_id);
  await person.start(task.task_id);
  await expect
    .poll(() => escalatedOf(task), { timeout: 10_000 })
    .toMatchObject([{ data: { urgency: 'high' } }]);
  await person.submit(task.task_id);
  const done = await org.client.get<TaskView>(`/v1/tasks/${task.task_id}?wait=20`);
  expect(done).toMatchObject({ status: 'completed', sla: { urgency: 'high' } });
});

describe('the escalations of a body', () => {
  const faults = async (escalations: unknown[], client = org.client, fields = {}) => {
    const body = taskBody({ sla: { urgency: 'low', escalations }, ...fields });
    const answer = await client.request('POST', '/v1/tasks', { body });
    return answer.status === 422 ? answer.problem.errors?.map((one) => one.pointer).sort() : answer.status;
  };
  const at = (after_seconds: number, more: object = { urgency: 'high' }) => ({
    after_seconds,
    while: 'unassigned',
    ...more,
  });

  test('need an effect, an order by time, pools and members that exist', async () => {
    expect(await faults([at(2), at(2), at(3)])).toBe(201);
    expect(await faults([at(1, {}), at(1, { urgency: 'high', notify_members: [] })])).toEqual([
      '/sla/escalations/0',
      '/sla/escalations/1/notify_members',
    ]);
    expect(await faults([at(5), at(4), at(5)])).toEqual(['/sla/escalations/1/after_seconds']);
    expect(await faults([at(1, { worker_pool_id: 'no-such', notify_members: [randomUUID()] })])).toEqual([
      '/sla/escalations/0/notify_members/0',
      '/sla/escalations/0/worker_pool_id',
    ]);
    expect(await faults(Array.from({ length: 11 }, () => at(1)))).toEqual(['/sla/escalations']);
    expect(await faults([{ ...at(0), while: 'idle', more: 1 }])).toEqual([
      '/sla/escalations/0/after_seconds',
      '/sla/escalations/0/more',
      '/sla/escalations/0/while',
    ]);
  });

  test('name only pools that the key may see', async () => {
    const [own, other] = [await createPool(org.client), await createPool(org.client)];
    const key = await createKey(api, org.client, { pools: [own] });
    const inOwn = { requirements: { worker_pool_id: own } };
    expect(await faults([at(1, { worker_pool_id: own })], key, inOwn)).toBe(201);
    expect(await faults([at(1, { worker_pool_id: other })], key, inOwn)).toEqual([
      '/sla/escalations/0/worker_pool_id',
    ]);
  });
});
