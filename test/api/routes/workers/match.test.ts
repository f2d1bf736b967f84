// Explanations of matching, for waiting tasks and for bodies of tasks that do not exist yet, compared with workers created
// for the test. Asking for one changes nothing and shows only what the key may see.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createKey,
  createOrg,
  createPool,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { changeWorker, openTestDb, workerOf } from '../../../support/db.ts';
import { snapshot } from '../../../support/snapshot.ts';
import { createTestWorker, taskBody } from '../../../support/workers.ts';

let api: TestApi;

const db = await openTestDb();

beforeAll(async () => {
  api = await startApi({ processors: true, prefix: db.prefix });
});

afterAll(() => api.close());

interface Match {
  reason: string;
  workers: { considered: number; qualified: number; available: number; eligible: number };
  requirements: { requirement: string; wanted: string | number; rules_out: number }[];
  unavailable: Record<string, number>;
  nearest_misses: { worker_id: string; lacks: { requirement: string; wanted: unknown; has?: number }[] }[];
  ask_again_at: string | null;
  queue: { position: number; same_requirements: number } | null;
  estimated_wait_seconds: number | null;
}

const WANTED = { skills: ['calls', 'reads'], certifications: ['soc'], trust_level: 3, min_rating: 4 };
const FIT = { skills: ['calls', 'reads'], certifications: ['soc'], trust_level: 3, rating: 4 };

async function staged() {
  const org = await createOrg(api);
  const body = taskBody({ requirements: WANTED });
  const add = (worker_id: string, fields: object) =>
    createTestWorker(api, org.client, { worker_id, ...FIT, ...fields });
  const preview = (given: unknown = body) => org.client.post<Match>('/v1/tasks/preview', given);
  const match = (id: string) => org.client.get<Match>(`/v1/tasks/${id}/match`);
  const create = async (given: unknown = body) =>
    (await org.client.post<TaskView>('/v1/tasks', given)).task_id;
  return { org, client: org.client, body, add, preview, match, create };
}

test('shows for each requirement how many workers it excludes, and which misses it by the least', async () => {
  const { add, create, match, preview } = await staged();
  await add('no-reader', { skills: ['calls'] });
  await add('novice', { skills: [], certifications: [], trust_level: 1, rating: 2 });
  await add('a-bit-low', { trust_level: 2.5 });
  await add('away-and-low', { rating: 3.9, availability: 'away' });
  const expected = {
    reason: 'nobody_qualifies',
    workers: { considered: 4, qualified: 0, available: 0, eligible: 0 },
    requirements: [
      { requirement: 'skills', wanted: 'calls', rules_out: 1 },
      { requirement: 'skills', wanted: 'reads', rules_out: 2 },
      { requirement: 'certifications', wanted: 'soc', rules_out: 1 },
      { requirement: 'trust_level', wanted: 3, rules_out: 2 },
      { requirement: 'min_rating', wanted: 4, rules_out: 2 },
    ],
    estimated_wait_seconds: null,
  };
  const before = await preview();
  expect(before).toMatchObject(expected);
  expect(before.nearest_misses.map((one) => one.worker_id)).toEqual([
    'a-bit-low',
    'no-reader',
    'away-and-low',
    'novice',
  ]);
  expect(before.nearest_misses[0]?.lacks).toEqual([{ requirement: 'trust_level', wanted: 3, has: 2.5 }]);
  expect(before.queue).toEqual({ position: 1, same_requirements: 0 });
  const [first, second] = [await create(), await create()];
  expect(await match(second)).toMatchObject({ ...expected, status: 'queued' });
  expect((await match(first)).queue).toEqual({ position: 1, same_requirements: 2 });
  expect((await match(second)).queue).toEqual({ position: 2, same_requirements: 2 });
});

test('distinguishes workers who are away and busy, and estimates the wait', async () => {
  const { add, create, match, preview } = await staged();
  await add('gone', { availability: 'offline' });
  expect(await preview()).toMatchObject({ reason: 'away', unavailable: { offline: 1 } });
  const person = await add('busy', {});
  expect(await preview()).toMatchObject({ reason: 'eligible', estimated_wait_seconds: 0 });
  const first = await create();
  await person.accept(first);
  await person.start(first);
  const second = await create();
  const waiting = await match(second);
  // No throughput is known yet.
  expect(waiting).toMatchObject({ reason: 'at_capacity', estimated_wait_seconds: null });
  expect(waiting.unavailable).toEqual({ offline: 1, away: 0, at_capacity: 1, cooling_down: 0 });
  await person.submit(first);
  await person.accept(second);
  expect(await match(second)).toMatchObject({ reason: 'not_waiting', queue: null, status: 'accepted' });
  const critical = await preview(taskBody({ requirements: WANTED, sla: { urgency: 'critical' } }));
  expect(critical.estimated_wait_seconds).toBeGreaterThanOrEqual(1);
});

test('estimates the wait from the queue position and the speed of the available workers', async () => {
  const { org, add, create, match, preview } = await staged();
  const [quick, unknown] = [
    await add('quick', { capacity: 2 }),
    await add('unknown', { availability: 'away' }),
  ];
  for (let count = 0; count < 2; count += 1) await quick.accept(await create());
  // Capacity two, one minute per task: capacity becomes free every half minute.
  const { track } = await workerOf(db, org.org_id, 'quick');
  await changeWorker(db, org.org_id, 'quick', { track: { ...track, task_ms: 60_000 } });
  const waiting = [await create(), await create(), await create()];
  const waits = async () => Promise.all(waiting.map(async (id) => (await match(id)).estimated_wait_seconds));
  expect(await waits()).toEqual([30, 60, 90]);
  const low = taskBody({ requirements: WANTED, sla: { urgency: 'low' } });
  expect((await preview(low)).estimated_wait_seconds).toBe(120);
  // A worker without finished tasks counts as fast as the others: capacity three, one free every twenty seconds.
  await unknown.client.patch('/v1/worker', { availability: 'available' });
  await unknown.accept(waiting.shift() ?? '');
  expect(await waits()).toEqual([20, 40]);
});

test('counts other tasks that wait for the same workers, by urgency', async () => {
  const { client, create, match, add } = await staged();
  await add('one', {});
  const busy = await create();
  await expect.poll(async () => (await match(busy)).reason).toBe('not_waiting');
  await create(taskBody({ requirements: { skills: ['calls'] } }));
  await create(taskBody({ requirements: { skills: ['nobody_has_this'] } }));
  const low = await create(taskBody({ requirements: WANTED, sla: { urgency: 'low' } }));
  const urgent = await create(taskBody({ requirements: WANTED, sla: { urgency: 'critical' } }));
  expect((await match(urgent)).queue).toEqual({ position: 1, same_requirements: 2 });
  expect((await match(low)).queue).toEqual({ position: 3, same_requirements: 2 });
  await client.post(`/v1/tasks/${urgent}/cancel`);
  expect((await match(low)).queue?.position).toBe(2);
});

test('shows when a worker who declined can get the task again', async () => {
  const { add, create, match } = await staged();
  const person = await add('unwilling', {});
  const id = await create();
  const { offer_id } = await person.offerOf(id);
  await person.client.post(`/v1/worker/offers/${offer_id}/decline`);
  const waiting = await match(id);
  expect(waiting.reason).toBe('cooling_down');
  expect(Date.parse(waiting.ask_again_at ?? '')).toBeGreaterThan(Date.now());
  expect(waiting.estimated_wait_seconds).toBeGreaterThan(0);
  expect(waiting.estimated_wait_seconds).toBeLessThanOrEqual(30);
});

describe('a preview', () => {
  test('stores nothing', async () => {
    const { org, preview } = await staged();
    const ofOrg = async () =>
      [...(await snapshot(api.redis, api.prefix))].filter(([key]) => key.includes(org.org_id));
    // Use the key once first: its last use is written at intervals.
    await preview();
    const before = await ofOrg();
    await preview();
    expect(await ofOrg()).toEqual(before);
  });

  test('refuses what a create would refuse', async () => {
    const { client } = await staged();
    const body = taskBody({ requirements: { worker_pool_id: 'none', trust_level: 9 }, more: 1 });
    const created = await client.request('POST', '/v1/tasks', { body });
    const previewed = await client.request('POST', '/v1/tasks/preview', { body });
    expect([previewed.outcome, previewed.problem.errors]).toEqual([created.outcome, created.problem.errors]);
    expect(previewed.outcome).toBe('422 validation_failed');
  });
});

test('a confined key sees nothing of workers and queues of other pools', async () => {
  const { org, client, add } = await staged();
  const [own, other] = [await createPool(client), await createPool(client)];
  await add('mine', { pool_ids: [own], trust_level: 1 });
  await add('theirs', { pool_ids: [other], trust_level: 1 });
  const confined = await createKey(api, org.client, { pools: [own] });
  const body = taskBody({ requirements: { ...WANTED, worker_pool_id: own } });
  const seen = await confined.post<Match>('/v1/tasks/preview', body);
  expect(seen.workers.considered).toBe(1);
  expect(seen.nearest_misses.map((one) => one.worker_id)).toEqual(['mine']);
  const forbidden = taskBody({ requirements: { worker_pool_id: other } });
  expect((await confined.request('POST', '/v1/tasks/preview', { body: forbidden })).outcome).toBe(
    '403 pool_forbidden',
  );
  const whole = await client.post<Match>('/v1/tasks/preview', body);
  expect(whole.nearest_misses.map((one) => one.worker_id)).toEqual(['mine', 'theirs']);
});

test('for a waiting task, a confined key sees only workers and competing tasks of its pools', async () => {
  const { org, client, add, create, match } = await staged();
  const [own, other] = [await createPool(client), await createPool(client)];
  const shared = await add('shared', { pool_ids: [own, other] });
  await add('mine', { pool_ids: [own], trust_level: 1 });
  await add('theirs', { pool_ids: [other], trust_level: 1 });
  await add('nobodys', { trust_level: 1 });
  const wanting = (pool: string | undefined, urgency: string) =>
    create(taskBody({ requirements: { ...WANTED, worker_pool_id: pool }, sla: { urgency } }));
  await shared.accept(await wanting(other, 'normal'));
  const [theirs, nobodys] = [await wanting(other, 'critical'), await wanting(undefined, 'critical')];
  await wanting(own, 'critical');
  const mine = await wanting(own, 'normal');
  const confined = await createKey(api, org.client, { pools: [own] });
  const seen = await confined.get<Match>(`/v1/tasks/${mine}/match`);
  expect(seen).toMatchObject({
    reason: 'at_capacity',
    workers: { considered: 2, qualified: 1, available: 1, eligible: 0 },
    unavailable: { offline: 0, away: 0, at_capacity: 1, cooling_down: 0 },
    queue: { position: 2, same_requirements: 2 },
  });
  expect(seen.requirements).toContainEqual({ requirement: 'worker_pool_id', wanted: own, rules_out: 0 });
  expect(seen.requirements).toContainEqual({ requirement: 'trust_level', wanted: 3, rules_out: 1 });
  expect(seen.nearest_misses.map((one) => one.worker_id)).toEqual(['mine']);
  // The same task for a key that may see everything.
  const whole = await match(mine);
  expect(whole).toMatchObject({
    workers: { considered: 4, qualified: 1 },
    queue: { position: 4, same_requirements: 2 },
  });
  expect(whole.nearest_misses.map((one) => one.worker_id)).toEqual(['mine', 'nobodys', 'theirs']);
  // Pools of others are hidden from the key.
  const unknown = await confined.request('GET', `/v1/tasks/${org.org_id}/match`);
  for (const id of [theirs, nobodys]) {
    const answer = await confined.request('GET', `/v1/tasks/${id}/match`);
    expect([answer.outcome, answer.problem.detail]).toEqual(['404 not_found', unknown.problem.detail]);
  }
});
