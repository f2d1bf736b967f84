// Tasks with several answers, by REST and webhooks: the integrator sees one task, each worker an ordinary one of their own.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createOrg,
  createPool,
  type EventView,
  type OfferView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { listen } from '../../../support/events.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../../support/workers.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
});
afterAll(() => api.close());

const SCHEMA = { label: 'string', at: 'number' };
const MAJORITY = { count: 3, agreement: { mode: 'majority' } };

interface Stage {
  org: Org;
  people: TestWorker[];
  task: TaskView;
}

/** An org with a pool of workers and a task with copies for it. */
async function stage(
  workers: number,
  copies: Record<string, unknown> = MAJORITY,
  { output = {}, ...fields }: { output?: Record<string, unknown>; [field: string]: unknown } = {},
): Promise<Stage> {
  const org = await createOrg(api);
  const pool = await createPool(org.client);
  const people = await Promise.all(
    Array.from({ length: workers }, () => createTestWorker(api, org.client, { pool_ids: [pool] })),
  );
  const task = await org.client.post<TaskView>(
    '/v1/tasks',
    taskBody({
      requirements: { worker_pool_id: pool },
      output: { expected_format: 'structured_json', schema: SCHEMA, copies, ...output },
      ...fields,
    }),
  );
  return { org, people, task };
}

/** The worker's only offer. */
async function offerOf(person: TestWorker): Promise<OfferView> {
  let data: OfferView[] = [];
  await expect
    .poll(
      async () => {
        ({ data } = await person.client.get<Page<OfferView>>('/v1/worker/offers?wait=5'));
        return data.length;
      },
      { timeout: 25_000 },
    )
    .toBe(1);
  const [offer] = data;
  if (offer === undefined) throw new Error('no offer');
  return offer;
}

/** Accepts and starts the worker's offer. @returns the id of their copy. */
async function begin(person: TestWorker): Promise<string> {
  const { offer_id, task_id } = await offerOf(person);
  await person.client.post(`/v1/worker/offers/${offer_id}/accept`);
  await person.start(task_id);
  return task_id;
}

async function answer(person: TestWorker, output: unknown): Promise<string> {
  const id = await begin(person);
  await person.submit(id, output);
  return id;
}

const events = async ({ org, task }: Stage) =>
  (await org.client.get<Page<EventView>>(`/v1/tasks/${task.task_id}/events?limit=200`)).data;
const shown = ({ org, task }: Stage, query = '') =>
  org.client.get<TaskView>(`/v1/tasks/${task.task_id}${query}`);

/** Waits until the task is in a status. */
async function until(given: Stage, status: string): Promise<TaskView> {
  await expect.poll(async () => (await shown(given)).status, { timeout: 25_000 }).toBe(status);
  return shown(given);
}

const cat = { label: 'cat', at: 1 };
const dog = { label: 'dog', at: 1 };

describe('a task with copies', () => {
  it('is one task with one life and one result, delivered once', async () => {
    const receiver = await startCallbackReceiver();
    const given = await stage(3, MAJORITY, { handoff: { callback_url: receiver.url } });
    const [a, b, c] = given.people as [TestWorker, TestWorker, TestWorker];
    expect(given.task).toMatchObject({ status: 'queued', assignment: null, output: { copies: MAJORITY } });

    const first = await begin(a);
    expect((await until(given, 'started')).assignment).toBeNull();
    const ids = [first, await begin(b), await begin(c)];
    expect(new Set([...ids, given.task.task_id]).size).toBe(4);
    await a.submit(first, cat);
    await b.submit(ids[1] ?? '', dog);
    await expect
      .poll(async () => (await a.client.get<TaskView>(`/v1/worker/tasks/${first}`)).status)
      .toBe('completed');
    expect(await shown(given)).toMatchObject({ status: 'started', submission: null, result: null });
    await c.submit(ids[2] ?? '', cat);

    const done = await shown(given, '?wait=30');
    expect(done).toMatchObject({ status: 'completed', attempt: 1, failure: null });
    expect(done.result).toEqual({
      output: cat,
      agreement: { mode: 'majority', agreed: true, count: 3, agreeing: 2, share: 0.667 },
      copies: [
        [a, cat],
        [b, dog],
        [c, cat],
      ].map(([person, output]) => ({
        worker_id: (person as TestWorker).worker_id,
        output,
        evidence: [],
        notes: null,
        submitted_at: expect.any(String),
      })),
    });
    const types = (await events(given)).map((one) => one.type.replace('task.', ''));
    expect(types).toEqual(
      'created queued matched offered accepted started submitted verified completed'.split(' '),
    );
    await expect.poll(() => receiver.received.length, { timeout: 25_000 }).toBe(types.length);
    expect(new Set(receiver.received.map((one) => one.body.match(/"task_id":"([^"]+)"/)?.[1]))).toEqual(
      new Set([given.task.task_id]),
    );
    const completed = receiver.received.find((one) => one.type === 'task.completed');
    expect(JSON.parse(completed?.body ?? '{}').data.result).toEqual(done.result);
  });

  it('is decided as soon as the answers suffice; an open copy ends and frees its worker', async () => {
    const given = await stage(3);
    const [a, b, c] = given.people as [TestWorker, TestWorker, TestWorker];
    const open = await begin(c);
    await answer(a, cat);
    await answer(b, cat);
    expect((await shown(given, '?wait=30')).result).toMatchObject({ agreement: { count: 2, share: 1 } });
    expect(await c.client.get(`/v1/worker/tasks/${open}`)).toMatchObject({ status: 'cancelled' });
    expect(
      (await c.client.request('POST', `/v1/worker/tasks/${open}/submit`, { body: { output: cat } })).outcome,
    ).toBe('409 invalid_transition');
    expect(await c.client.get('/v1/worker')).toMatchObject({ active_tasks: 0 });
  });

  it('returns open copies to the queue when their pool is removed, and keeps the answers', async () => {
    const { org, people, task } = await stage(3);
    const [a, b, c] = people as [TestWorker, TestWorker, TestWorker];
    await a.submit(await begin(a), { label: 'cat', at: 1 });
    const begun = await begin(b);
    await offerOf(c);
    const pool = String(Reflect.get(task.requirements ?? {}, 'worker_pool_id'));
    await org.client.delete(`/v1/pools/${pool}`);
    const heldBy = async (person: TestWorker) =>
      (await person.client.get<{ active_tasks: number }>('/v1/worker')).active_tasks;
    await expect.poll(async () => [await heldBy(b), await heldBy(c)], { timeout: 10_000 }).toEqual([0, 0]);
    expect((await b.client.request('GET', `/v1/worker/tasks/${begun}`)).outcome).toBe('404 not_found');
    expect((await org.client.get<TaskView>(`/v1/tasks/${task.task_id}`)).status).toBe('started');
    // In a new pool of this id the copies find other workers.
    const again = () => org.client.request('POST', '/v1/pools', { body: { pool_id: pool, name: 'Again' } });
    await expect.poll(async () => (await again()).status, { timeout: 10_000 }).toBe(201);
    const other = await createTestWorker(api, org.client, { pool_ids: [pool] });
    await other.submit(await begin(other), { label: 'cat', at: 1 });
    const { result } = await org.client.get<TaskView>(`/v1/tasks/${task.task_id}?wait=10`);
    expect(result).toMatchObject({
      agreement: { agreed: true, agreeing: 2 },
      copies: [{ worker_id: a.worker_id }, { worker_id: other.worker_id }],
    });
  });

  it('asks further workers when the answers differ, and no more than could decide', async () => {
    const given = await stage(5, { ...MAJORITY, count: 2, max_count: 5 });
    const [a, b, c, d, e] = given.people as [TestWorker, TestWorker, TestWorker, TestWorker, TestWorker];
    // A worker with an answer or a copy is asked for no other one.
    await answer(a, cat);
    await answer(b, dog);
    const third = [c, d, e];
    const offered = await Promise.race(third.map(async (one) => ({ one, offer: await offerOf(one) })));
    const others = third.filter((one) => one !== offered.one);
    for (const one of [a, b, ...others])
      expect((await one.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
    await answer(offered.one, dog);
    expect((await shown(given, '?wait=30')).result).toMatchObject({
      output: dog,
      agreement: { agreed: true, count: 3, agreeing: 2 },
    });
  });

  it('fails with no_agreement when no further worker may be asked, and shows the answers', async () => {
    const given = await stage(2, { count: 2, agreement: { mode: 'unanimous' } });
    const [a, b] = given.people as [TestWorker, TestWorker];
    await answer(a, cat);
    await answer(b, dog);
    expect(await shown(given, '?wait=30')).toMatchObject({
      status: 'failed',
      failure: { code: 'no_agreement' },
      result: null,
      submission: {
        output: null,
        agreement: { agreed: false, share: 0.5 },
        copies: [{ output: cat }, { output: dog }],
      },
    });
    expect((await events(given)).map((one) => one.type).slice(-2)).toEqual(['task.started', 'task.failed']);
  });

  it('compares the named fields, with tolerance', async () => {
    const agreement = { mode: 'unanimous', fields: ['/at'], tolerance: 0.5 };
    const given = await stage(2, { count: 2, agreement });
    const [a, b] = given.people as [TestWorker, TestWorker];
    await answer(a, { label: 'cat', at: 1 });
    await answer(b, { label: 'dog', at: 1.5 });
    expect(await shown(given, '?wait=30')).toMatchObject({
      status: 'completed',
      result: { agreement: { share: 1 } },
    });
  });
});

describe('answers that do not agree, under manual review', () => {
  const manual = { output: { review: { mode: 'manual' } } };
  const differ = async () => {
    const given = await stage(2, { count: 2, agreement: { mode: 'majority' } }, manual);
    const [a, b] = given.people as [TestWorker, TestWorker];
    await answer(a, cat);
    await answer(b, dog);
    await until(given, 'submitted');
    return { ...given, a, b };
  };
  const review = ({ org, task }: Stage, body: Record<string, unknown>) =>
    org.client.request('POST', `/v1/tasks/${task.task_id}/review`, { body });

  it('are before the reviewer, who takes the answer of one worker', async () => {
    const given = await differ();
    expect(await shown(given)).toMatchObject({
      submission: { output: cat, agreement: { agreed: false }, copies: [{ output: cat }, { output: dog }] },
      result: null,
    });
    const body = { decision: 'approve', worker_id: given.b.worker_id, rating: 4 };
    const answered = await review(given, { ...body, worker_id: 'nobody' });
    expect(answered.problem.errors?.map((one) => one.pointer)).toEqual(['/worker_id']);
    expect((await review(given, body)).as<TaskView>()).toMatchObject({
      status: 'completed',
      result: { output: dog, agreement: { agreed: false, count: 2 } },
      reviews: [{ decision: 'approve', worker_id: given.b.worker_id, rating: 4 }],
    });
    expect(await given.org.client.get(`/v1/workers/${given.b.worker_id}`)).toMatchObject({ rating_count: 1 });
  });

  it('are approved without a choice by the one that most agree with, or rejected', async () => {
    const [first, second] = [await differ(), await differ()];
    expect((await review(first, { decision: 'approve' })).as<TaskView>().result).toMatchObject({
      output: cat,
    });
    expect((await review(second, { decision: 'reject', feedback: 'neither' })).as<TaskView>()).toMatchObject({
      status: 'failed',
      failure: { code: 'rejected' },
    });
  });

  it('cannot be sent back or to another worker', async () => {
    const given = await differ();
    for (const decision of ['rework', 'reassign'])
      expect((await review(given, { decision, feedback: 'again' })).outcome).toBe('409 invalid_transition');
    expect((await review(given, { decision: 'reject', feedback: 'x', worker_id: 'w' })).status).toBe(422);
  });

  it('need no reviewer when they agree', async () => {
    const given = await stage(2, { count: 2, agreement: { mode: 'majority' } }, manual);
    for (const one of given.people) await answer(one, cat);
    expect((await shown(given, '?wait=30')).status).toBe('completed');
  });
});

describe('the body', () => {
  it.each([
    [{ count: 1, agreement: { mode: 'majority' } }, '/output/copies/count'],
    [{ count: 26, agreement: { mode: 'majority' } }, '/output/copies/count'],
    [{ count: 3, max_count: 2, agreement: { mode: 'majority' } }, '/output/copies/max_count'],
    [{ count: 3 }, '/output/copies/agreement'],
    [{ count: 3, agreement: { mode: 'some' } }, '/output/copies/agreement/mode'],
    [{ count: 3, agreement: { mode: 'threshold' } }, '/output/copies/agreement/threshold'],
    [{ count: 3, agreement: { mode: 'majority', threshold: 0.5 } }, '/output/copies/agreement/threshold'],
    [{ count: 3, agreement: { mode: 'majority', fields: ['label'] } }, '/output/copies/agreement/fields/0'],
    [{ count: 3, agreement: { mode: 'majority', fields: ['/lable'] } }, '/output/copies/agreement/fields/0'],
    [{ count: 3, agreement: { mode: 'majority', tolerance: -1 } }, '/output/copies/agreement/tolerance'],
  ])('%j is refused', async (copies, pointer) => {
    const { client } = await createOrg(api);
    const output = { expected_format: 'structured_json', schema: SCHEMA, copies };
    const refused = await client.request('POST', '/v1/tasks', { body: taskBody({ output }) });
    expect(refused.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
  });

  it('needs as many named workers as copies', async () => {
    const { client } = await createOrg(api);
    const poolId = await createPool(client);
    const workers: string[] = [];
    for (let index = 0; index < 2; index += 1)
      workers.push((await createTestWorker(api, client, { pool_ids: [poolId] })).worker_id);
    const create = (count: number) => {
      const copies = { count, agreement: { mode: 'majority' } };
      const output = { expected_format: 'structured_json', schema: SCHEMA, copies };
      const body = taskBody({ output, requirements: { worker_ids: workers } });
      return client.request('POST', '/v1/tasks', { body });
    };
    expect((await create(3)).problem.errors).toEqual([
      { pointer: '/requirements/worker_ids', message: 'must name at least 3 workers, one for each copy' },
    ]);
    expect((await create(2)).status).toBe(201);
  });

  it('may not ask for automatic approval, nor for fields of a text', async () => {
    const { client } = await createOrg(api);
    const review = { mode: 'manual', auto_approve_after_seconds: 5 };
    const agreement = { mode: 'majority', fields: ['/a'] };
    const output = { expected_format: 'text', review, copies: { count: 2, agreement } };
    const refused = await client.request('POST', '/v1/tasks', { body: taskBody({ output }) });
    expect(refused.problem.errors?.map((one) => one.pointer).sort()).toEqual([
      '/output/copies/agreement/fields',
      '/output/review/auto_approve_after_seconds',
    ]);
  });
});

it('runs the walk-through of the document', async () => {
  const { client } = await createOrg(api);
  const pool_id = await createPool(client);
  // One after the other: the longest idle is asked first.
  const ada = await createTestWorker(api, client, { pool_ids: [pool_id] });
  const bob = await createTestWorker(api, client, { pool_ids: [pool_id] });
  const cleo = await createTestWorker(api, client, { pool_ids: [pool_id] });
  await walk(
    walkThrough('supervision.md', 'Several answers to one task'),
    { integrator: client, ada: ada.client, bob: bob.client, cleo: cleo.client },
    { pool_id, ada: ada.worker_id, bob: bob.worker_id, cleo: cleo.worker_id },
  );
});

describe('what is hidden', () => {
  it('no worker sees an answer of another, and no integrator a copy, in any response, feed or stream', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('cat', 'dog', 'lynx'), { minLength: 3, maxLength: 3 }),
        fc.constantFrom('auto', 'manual'),
        fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
        async (labels, mode, order) => {
          const given = await stage(
            3,
            { count: 3, agreement: { mode: 'unanimous' } },
            { output: { review: { mode } } },
          );
          const { org, people, task } = given;
          const ids = await Promise.all(people.map(begin));
          const streams = await Promise.all(people.map((one) => listen(one.client, '/v1/worker/stream')));
          const seen = people.map((): string[] => []);
          const reading = streams.map(async (stream, at) => {
            for (const one of await stream.all().catch(() => [])) seen[at]?.push(JSON.stringify(one));
          });
          // Each answer has a mark of its worker, which no other worker may see.
          const mark = (at: number) => `${labels[at]}-of-worker-${at}`;
          const look = async () => {
            for (const [at, person] of people.entries())
              for (const path of ['/offers', '/tasks', `/tasks/${ids[at]}`, ''])
                seen[at]?.push((await person.client.request('GET', `/v1/worker${path}`)).text);
          };
          const outside: string[] = [];
          for (const at of order) {
            const copy = people[at];
            await copy?.client.request('POST', `/v1/worker/tasks/${ids[at]}/submit`, {
              body: { output: { label: mark(at), at } },
            });
            await look();
            const [one, all, feed] = await Promise.all([
              org.client.request('GET', `/v1/tasks/${task.task_id}`),
              org.client.request('GET', '/v1/tasks?limit=200'),
              org.client.request('GET', '/v1/events?limit=200'),
            ]);
            if (!/"status":"(submitted|failed)"/.test(one.text))
              outside.push(one.text, all.text, feed.text, JSON.stringify(await events(given)));
            // A worker asks for what is not theirs.
            for (const [other, id] of ids.entries()) {
              const asked = await copy?.client.request('GET', `/v1/worker/tasks/${id}`);
              expect(asked?.status).toBe(other === at ? 200 : 404);
              expect((await org.client.request('GET', `/v1/tasks/${id}`)).status).toBe(404);
              expect((await org.client.request('GET', `/v1/tasks/${id}/events`)).status).toBe(404);
              for (const text of [all.text, feed.text]) expect(text).not.toContain(id);
            }
            expect((await copy?.client.request('GET', `/v1/worker/tasks/${task.task_id}`))?.status).toBe(404);
          }
          await look();
          for (const stream of streams) stream.close();
          await Promise.all(reading);
          for (const at of people.keys()) {
            for (const text of outside) expect(text).not.toContain(mark(at));
            for (const [other, texts] of seen.entries())
              if (other !== at) for (const text of texts) expect(text).not.toContain(mark(at));
            for (const text of seen[at] ?? []) {
              expect(text).not.toContain('copies');
              expect(text).not.toContain(task.task_id.concat('"'));
            }
          }
        },
      ),
      { numRuns: 6 },
    );
  }, 60_000);

  it('the numbers count one task', async () => {
    const given = await stage(2, { count: 2, agreement: { mode: 'majority' } });
    for (const one of given.people) await answer(one, cat);
    await shown(given, '?wait=30');
    const { totals } = await given.org.client.get<{ totals: Record<string, unknown>[] }>('/v1/stats');
    expect(totals).toMatchObject([{ created: 1, completed: 1 }]);
  });
});
