// Changes of workers who have pending offers: offers that they may no longer accept go to others, the rest stays.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createOrg,
  createPool,
  type EventView,
  type OfferView,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ processors: true });
});

afterAll(() => api.close());

/** A new org with one worker who meets all requirements of the tests. */
async function staged(fields: object = {}) {
  const { client } = await createOrg(api);
  const pool = await createPool(client);
  const all = { pool_ids: [pool], skills: ['calls'], certifications: ['soc'], trust_level: 3, rating: 4 };
  const person = await createTestWorker(api, client, { ...all, ...fields });
  const wanted: Record<string, object> = {
    pool_ids: { worker_pool_id: pool },
    skills: { skills: ['calls'] },
    certifications: { certifications: ['soc'] },
    trust_level: { trust_level: 3 },
    rating: { min_rating: 4 },
    nothing: {},
  };
  const create = async (what: string, more: object = {}) => {
    const body = taskBody({ requirements: wanted[what], ...more });
    return (await client.post<TaskView>('/v1/tasks', body)).task_id;
  };
  const change = (body: object) => client.patch(`/v1/workers/${person.worker_id}`, body);
  const queued = (id: string) =>
    expect.poll(async () => (await taskOf(client, id)).status, SOON).toBe('queued');
  return { client, person, all, create, change, queued };
}

const taskOf = (client: Client, id: string) => client.get<TaskView>(`/v1/tasks/${id}`);
const eventsOf = async (client: Client, id: string) =>
  (await client.get<Page<EventView>>(`/v1/tasks/${id}/events`)).data;
const accept = (person: TestWorker, { offer_id }: OfferView) =>
  person.client.request('POST', `/v1/worker/offers/${offer_id}/accept`);

describe('a worker who no longer meets the requirements of a pending offer', () => {
  test.each<[string, unknown]>([
    ['pool_ids', []],
    ['skills', ['reads']],
    ['certifications', []],
    ['trust_level', 2.9],
    ['rating', 3.9],
  ])('%s: the offer is revoked, and another worker gets one', async (what, less) => {
    const { client, person, all, create, change, queued } = await staged();
    const id = await create(what);
    const offer = await person.offerOf(id);
    // The offer uses the worker's whole capacity; the change must still be applied.
    expect(await person.client.get('/v1/worker')).toMatchObject({ capacity: 1, active_tasks: 1 });
    await change({ [what]: less });
    await queued(id);
    expect((await eventsOf(client, id)).at(-1)).toMatchObject({
      type: 'task.queued',
      actor: 'system',
      data: { reason: 'revoked', worker_id: person.worker_id, offer_id: offer.offer_id },
    });
    expect((await accept(person, offer)).outcome).toBe('409 offer_not_pending');
    // This does not count as declined by the worker.
    expect(await person.client.get('/v1/worker')).toMatchObject({ active_tasks: 0, acceptance_rate: null });
    const other = await createTestWorker(api, client, all);
    expect(await other.accept(id)).toMatchObject({ status: 'accepted', attempt: 1 });
  });

  test('by a review of another task: the offer is revoked too', async () => {
    const { client, person, create, queued } = await staged({ capacity: 2 });
    const output = {
      expected_format: 'structured_json',
      schema: { seen: 'boolean' },
      review: { mode: 'manual' },
    };
    const reviewed = await create('nothing', { output });
    await person.accept(reviewed);
    await person.start(reviewed);
    await person.submit(reviewed);
    const id = await create('rating');
    await person.offerOf(id);
    await client.post(`/v1/tasks/${reviewed}/review`, { decision: 'approve', rating: 1 });
    await queued(id);
  });

  test('keeps other offers and all accepted tasks', async () => {
    const { client, person, create, change, queued } = await staged({ capacity: 4 });
    const [accepted, started] = [await create('certifications'), await create('certifications')];
    for (const id of [accepted, started]) await person.accept(id);
    await person.start(started);
    const [kept, lost] = [await create('skills'), await create('certifications')];
    const offer = await person.offerOf(kept);
    await person.offerOf(lost);
    await change({ certifications: [], trust_level: 1, name: 'Somebody' });
    await queued(lost);
    expect((await taskOf(client, accepted)).status).toBe('accepted');
    await person.start(accepted);
    for (const id of [accepted, started]) expect((await person.submit(id)).status).toBe('submitted');
    expect((await eventsOf(client, kept)).map((one) => one.type)).toEqual([
      'task.created',
      'task.queued',
      'task.matched',
      'task.offered',
    ]);
    expect((await accept(person, offer)).outcome).toBe('200');
  });

  test('and is one of several with an offer: the other offers stay pending', async () => {
    const { client } = await createOrg(api);
    const pool = await createPool(client, { offer_mode: 'broadcast', broadcast_size: 2 });
    const fields = { pool_ids: [pool], certifications: ['soc'] };
    const one = await createTestWorker(api, client, fields);
    const other = await createTestWorker(api, client, fields);
    const requirements = { worker_pool_id: pool, certifications: ['soc'] };
    const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    const offer = await one.offerOf(task_id);
    await other.offerOf(task_id);
    await client.patch(`/v1/workers/${one.worker_id}`, { certifications: [] });
    await expect
      .poll(async () => (await one.client.get<Page<OfferView>>('/v1/worker/offers')).data, SOON)
      .toEqual([]);
    expect((await taskOf(client, task_id)).status).toBe('offered');
    expect((await accept(one, offer)).outcome).toBe('409 offer_not_pending');
    expect((await other.accept(task_id)).status).toBe('accepted');
  });
});

test('a worker with a reduced capacity loses the latest offers beyond it', async () => {
  const { client, person, create, change, queued } = await staged({ capacity: 4 });
  const work = await create('nothing');
  await person.accept(work);
  const [first, second, third] = [await asked(), await asked(), await asked()];
  await change({ capacity: 2 });
  for (const id of [second, third]) await queued(id);
  expect((await taskOf(client, work)).status).toBe('accepted');
  await person.accept(first);
  expect(await person.client.get('/v1/worker')).toMatchObject({ capacity: 2, active_tasks: 2 });

  async function asked(): Promise<string> {
    const id = await create('nothing');
    await person.offerOf(id);
    return id;
  }
});
