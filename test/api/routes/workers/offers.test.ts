// Offers under difficult conditions: hundreds of workers accept at once, the only worker declines, a worker goes offline
// with a pending offer or never answers, and answers arrive at the moment of expiry.
import { describe, expect, test } from 'vitest';
import type { HistoryEntry } from '../../../../src/state/tasks/event.ts';
import { firstBroken } from '../../../../src/state/tasks/history.ts';
import {
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
  waitUntil,
} from '../../../support/api.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };

const { api, org } = await startApiOfFile({ processors: true });

interface WorkerView {
  availability: string;
  draining: boolean;
  active_tasks: number;
  pool_ids: string[];
  acceptance_rate: number | null;
  lapse_rate: number | null;
}

const workerOf = (person: TestWorker) => person.client.get<WorkerView>('/v1/worker');
const taskOf = (id: string) => org.client.get<TaskView>(`/v1/tasks/${id}`);
const offersOf = async (person: TestWorker) =>
  (await person.client.get<Page<OfferView>>('/v1/worker/offers')).data;

async function poolWith(people: number, fields: object, worker: object = {}) {
  const poolId = await createPool(org.client, fields as Record<string, unknown>);
  const made = await Promise.all(
    Array.from({ length: people }, () =>
      createTestWorker(api, org.client, { pool_ids: [poolId], ...worker }),
    ),
  );
  const create = async (more: Record<string, unknown> = {}) => {
    const body = taskBody({ requirements: { worker_pool_id: poolId }, ...more });
    return (await org.client.post<TaskView>('/v1/tasks', body)).task_id;
  };
  return { poolId, people: made, create, person: made[0] as TestWorker };
}

async function eventsOf(id: string): Promise<EventView[]> {
  return (await org.client.get<Page<EventView>>(`/v1/tasks/${id}/events?limit=200`)).data;
}

/** The history of a task, checked to be a valid hash chain. */
async function consistentEventsOf(id: string): Promise<EventView[]> {
  const events = await eventsOf(id);
  expect(firstBroken(events as unknown as HistoryEntry[])).toBeNull();
  expect(events.map((one) => one.previous_status)).toEqual([
    null,
    ...events.slice(0, -1).map((one) => one.status),
  ]);
  return events;
}

const accept = (person: TestWorker, offerId: string) =>
  person.client.request('POST', `/v1/worker/offers/${offerId}/accept`);

describe('a broadcast offer', () => {
  test('lets one of 100 parallel accepts win and returns 409 to the others', async () => {
    const { people, create } = await poolWith(100, { offer_mode: 'broadcast', broadcast_size: 100 });
    const id = await create();
    const offers = await Promise.all(people.map((person) => person.offerOf(id)));
    const answers = await Promise.all(
      people.map((person, index) => accept(person, offers[index]?.offer_id ?? '')),
    );
    const outcomes = answers.map((one) => one.outcome);
    expect(outcomes.filter((one) => one === '200')).toHaveLength(1);
    const losers = outcomes.filter((one) => one !== '200');
    expect([losers.length, ...new Set(losers)]).toEqual([99, '409 offer_not_pending']);
    const winner = people[outcomes.indexOf('200')];
    expect((await taskOf(id)).assignment?.worker_id).toBe(winner?.worker_id);
    const told = (await consistentEventsOf(id)).filter((one) => one.type === 'task.accepted');
    expect(told).toHaveLength(1);
    const busy = await Promise.all(people.map(workerOf));
    expect(busy.reduce((sum, one) => sum + one.active_tasks, 0)).toBe(1);
    // For late workers the offer counts neither as declined nor as expired.
    expect(busy.filter((one) => one.acceptance_rate === null)).toHaveLength(99);
  }, 60_000);
});

describe('a worker who declines', () => {
  test('and is the only one gets the task again, and it completes', async () => {
    const { person, create } = await poolWith(1, { offer_ttl_seconds: 1 });
    const id = await create();
    const { offer_id } = await person.offerOf(id);
    await person.client.post(`/v1/worker/offers/${offer_id}/decline`);
    await person.accept(id);
    await person.start(id);
    await person.submit(id);
    expect((await org.client.get<TaskView>(`/v1/tasks/${id}?wait=10`)).status).toBe('completed');
  });

  test('with retry_after_seconds gets the task again after it and not before', async () => {
    const { person, create } = await poolWith(1, { offer_ttl_seconds: 1 });
    const id = await create();
    const { offer_id } = await person.offerOf(id);
    const decline = (body: object) =>
      person.client.request('POST', `/v1/worker/offers/${offer_id}/decline`, { body });
    for (const seconds of [0, -1, 1.5, 86_401, '5', null])
      expect((await decline({ retry_after_seconds: seconds })).problem.errors?.[0]?.pointer).toBe(
        '/retry_after_seconds',
      );
    const before = Date.now();
    expect((await decline({ retry_after_seconds: 3 })).status).toBe(204);
    const again = await person.offerOf(id);
    expect(Date.parse(String(again.offered_at)) - before).toBeGreaterThanOrEqual(2900);
    const { ask_again_at } = await org.client.get<{ ask_again_at: string | null }>(`/v1/tasks/${id}/match`);
    expect(ask_again_at).toBeNull();
  });
});

describe('a worker who leaves', () => {
  test.each(['offline', 'away'])('%s keeps no offer', async (availability) => {
    const { person, create } = await poolWith(1, {});
    const id = await create();
    const { offer_id } = await person.offerOf(id);
    await person.client.patch('/v1/worker', { availability });
    await expect.poll(async () => (await taskOf(id)).status, SOON).toBe('queued');
    expect((await accept(person, offer_id)).outcome).toBe('409 offer_not_pending');
    expect(await offersOf(person)).toEqual([]);
    expect((await eventsOf(id)).at(-1)?.data).toMatchObject({ reason: 'revoked' });
    expect(await workerOf(person)).toMatchObject({ active_tasks: 0, acceptance_rate: null });
  });

  test('without notice is set away after three expired offers in a row', async () => {
    const { person, create } = await poolWith(1, { offer_ttl_seconds: 1 }, { capacity: 3 });
    const ids = [await create(), await create(), await create()];
    await expect.poll(async () => (await workerOf(person)).availability, SOON).toBe('away');
    for (const id of ids) await expect.poll(async () => (await taskOf(id)).status, SOON).toBe('queued');
    expect(await workerOf(person)).toMatchObject({ lapse_rate: 1, acceptance_rate: 0, active_tasks: 0 });
    await person.client.patch('/v1/worker', { availability: 'available' });
    await person.accept(ids[0] ?? '');
  });

  test('by draining finishes their tasks, gets no new ones, and becomes offline', async () => {
    const { person, create } = await poolWith(1, {}, { capacity: 2 });
    const [mine, offered] = [await create(), await create()];
    await person.accept(mine);
    await person.offerOf(offered);
    const drained = await person.client.post<WorkerView>('/v1/worker/drain');
    expect(drained).toMatchObject({ availability: 'away', draining: true });
    await expect.poll(async () => (await taskOf(offered)).status, SOON).toBe('queued');
    await person.start(mine);
    expect(await offersOf(person)).toEqual([]);
    await person.submit(mine);
    expect(await workerOf(person)).toMatchObject({ availability: 'offline', draining: false });
    // A worker without tasks goes offline at once; a key can drain the worker too, and undo it.
    await org.client.patch(`/v1/workers/${person.worker_id}`, { availability: 'available' });
    await person.accept(offered);
    const path = `/v1/workers/${person.worker_id}`;
    expect(await org.client.post(`${path}/drain`)).toMatchObject({ availability: 'away', draining: true });
    expect(await org.client.patch(path, { availability: 'available' })).toMatchObject({ draining: false });
    await person.start(offered);
    await person.submit(offered);
    expect(await workerOf(person)).toMatchObject({ availability: 'available' });
    expect(await person.client.post('/v1/worker/drain')).toMatchObject({ availability: 'offline' });
  });

  test('by draining with only a pending offer is offline as soon as it is revoked', async () => {
    const { person, create } = await poolWith(1, {});
    const id = await create();
    const { offer_id } = await person.offerOf(id);
    await person.client.post('/v1/worker/drain');
    // Not even in the moment before that.
    expect((await accept(person, offer_id)).outcome).toBe('409 offer_not_pending');
    await expect.poll(async () => (await workerOf(person)).availability, SOON).toBe('offline');
    expect(await workerOf(person)).toMatchObject({ draining: false, active_tasks: 0, acceptance_rate: null });
    expect((await taskOf(id)).status).toBe('queued');
    expect((await consistentEventsOf(id)).at(-1)?.data).toMatchObject({ reason: 'revoked', offer_id });
  });
});

test('the tasks of a removed pool return to the queue, and a new pool with its id takes them', async () => {
  const { poolId, person, create } = await poolWith(1, {}, { capacity: 3 });
  const [started, accepted, offered] = [await create(), await create(), await create()];
  for (const id of [started, accepted]) await person.accept(id);
  await person.start(started);
  await person.offerOf(offered);
  await org.client.delete(`/v1/pools/${poolId}`);
  for (const id of [started, accepted, offered]) {
    await expect.poll(async () => (await taskOf(id)).status, SOON).toBe('queued');
    expect((await eventsOf(id)).at(-1)?.data).toMatchObject({ reason: 'pool_gone', pool_id: poolId });
  }
  expect(await workerOf(person)).toMatchObject({ active_tasks: 0, pool_ids: [] });
  await org.client.post('/v1/pools', { pool_id: poolId, name: 'again' });
  await org.client.patch(`/v1/workers/${person.worker_id}`, { pool_ids: [poolId] });
  for (const id of [started, accepted, offered]) await person.offerOf(id);
});

describe('an accept that races with', () => {
  const ROUNDS = 12;

  test('the expiry has one outcome, which the history shows', async () => {
    const { people, create } = await poolWith(ROUNDS, { offer_ttl_seconds: 2 });
    const ids = await Promise.all(Array.from({ length: ROUNDS }, () => create()));
    const offers = (await Promise.all(people.map(offersUntilThere))).flat();
    expect(offers.map((one) => one.task_id).sort()).toEqual([...ids].sort());
    const answers = await Promise.all(
      offers.map(async (offer, index) => {
        // Answers from shortly before to shortly after the expiry.
        await waitUntil(Date.parse(String(offer.expires_at)) - 30 + index * 5);
        return accept(people[index] as TestWorker, offer.offer_id);
      }),
    );
    for (const [index, { outcome }] of answers.entries()) {
      const { task_id, offer_id } = offers[index] as OfferView;
      expect(['200', '409 offer_not_pending']).toContain(outcome);
      await expect
        .poll(async () => (await eventsOf(task_id)).some(({ data }) => ended(data, offer_id)), SOON)
        .toBe(true);
      const about = (await consistentEventsOf(task_id)).filter(({ data }) => ended(data, offer_id));
      expect(about.map((one) => one.type)).toEqual([outcome === '200' ? 'task.accepted' : 'task.queued']);
      // The worker's record and the task agree with the answer.
      const person = people[index] as TestWorker;
      const rates = outcome === '200' ? [1, 0] : [0, 1];
      const { acceptance_rate, lapse_rate } = await workerOf(person);
      expect([acceptance_rate, lapse_rate]).toEqual(rates);
      const holder = (await taskOf(task_id)).assignment?.worker_id;
      expect(holder === person.worker_id).toBe(outcome === '200');
    }
  });

  /** Whether the event ends the offer. */
  function ended(data: Record<string, unknown>, offerId: string): boolean {
    return data.offer_id === offerId && data.expires_at === undefined;
  }

  async function offersUntilThere(person: TestWorker): Promise<OfferView[]> {
    return (await person.client.get<Page<OfferView>>('/v1/worker/offers?wait=20')).data;
  }

  test('the cancellation leaves the task cancelled and no worker assigned', async () => {
    const { people, create } = await poolWith(ROUNDS, {});
    await Promise.all(Array.from({ length: ROUNDS }, () => create()));
    const offers = (await Promise.all(people.map(offersUntilThere))).flat();
    const seen = await Promise.all(
      offers.map(async ({ task_id, offer_id }, index) => {
        const [accepted, cancelled] = await Promise.all([
          accept(people[index] as TestWorker, offer_id),
          org.client.request('POST', `/v1/tasks/${task_id}/cancel`),
        ]);
        return { task_id, accepted: accepted.outcome, cancelled: cancelled.outcome };
      }),
    );
    for (const { task_id, accepted, cancelled } of seen) {
      expect([cancelled, (await taskOf(task_id)).status]).toEqual(['200', 'cancelled']);
      const types = (await consistentEventsOf(task_id)).map((one) => one.type).slice(4);
      expect([accepted, types]).toEqual(
        accepted === '200'
          ? ['200', ['task.accepted', 'task.cancelled']]
          : ['409 offer_not_pending', ['task.cancelled']],
      );
    }
    for (const person of people) expect((await workerOf(person)).active_tasks).toBe(0);
  });
});
