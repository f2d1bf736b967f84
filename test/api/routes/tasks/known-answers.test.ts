// Tasks with a known answer: hidden from workers, counted for their accuracy, which tasks can require.
import { describe, expect, it } from 'vitest';
import {
  createPool,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTestWorker, OUTPUT, type TestWorker, taskBody } from '../../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true });

const SCHEMA = { seen: 'boolean' };
const known = (pool: string, seen = true) =>
  taskBody({
    requirements: { worker_pool_id: pool },
    output: { expected_format: 'structured_json', schema: SCHEMA, gold: { output: { seen } } },
  });

async function stage(): Promise<{ pool: string; person: TestWorker }> {
  const pool = await createPool(org.client);
  return { pool, person: await createTestWorker(api, org.client, { pool_ids: [pool] }) };
}

/** The worker does a task whose known answer is `seen`, and always answers true. */
async function does({ pool, person }: { pool: string; person: TestWorker }, seen: boolean): Promise<void> {
  const { task_id } = await org.client.post<TaskView>('/v1/tasks', known(pool, seen));
  const texts = [JSON.stringify(await person.offerOf(task_id))];
  texts.push(JSON.stringify(await person.accept(task_id)), JSON.stringify(await person.start(task_id)));
  texts.push(JSON.stringify(await person.submit(task_id, OUTPUT)));
  await org.client.get(`/v1/tasks/${task_id}?wait=30`);
  texts.push((await person.client.request('GET', `/v1/worker/tasks/${task_id}`)).text);
  for (const text of texts) expect(text).not.toContain('gold');
}

it('runs the walk-through of the document', async () => {
  const { pool, person } = await stage();
  await walk(
    walkThrough('supervision.md', 'Known answers'),
    { integrator: org.client, worker: person.client },
    { pool_id: pool, worker_id: person.worker_id },
  );
});

describe('the accuracy', () => {
  it('is the share of known answers that the worker gave right, and they are never shown one', async () => {
    const given = await stage();
    const path = `/v1/workers/${given.person.worker_id}`;
    expect(await org.client.get(path)).toMatchObject({ accuracy: null, accuracy_count: 0 });
    for (const seen of [true, false, true]) await does(given, seen);
    expect(await org.client.get(path)).toMatchObject({ accuracy: 0.667, accuracy_count: 3 });
  });

  it('can be required: who has too little, or no known answer, gets no offer', async () => {
    const given = await stage();
    const { pool, person } = given;
    const strict = (min_accuracy: number) =>
      org.client.post<TaskView>(
        '/v1/tasks',
        taskBody({ requirements: { worker_pool_id: pool, min_accuracy } }),
      );
    const wanted = await strict(0.6);
    const reason = async () =>
      (await org.client.get<{ reason: string; requirements: object[] }>(`/v1/tasks/${wanted.task_id}/match`))
        .requirements;
    expect(await reason()).toContainEqual({ requirement: 'min_accuracy', wanted: 0.6, rules_out: 1 });
    await does(given, false);
    expect((await person.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
    // With 1 of 2 right it is not enough; with 2 of 3 it is.
    await does(given, true);
    expect((await person.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
    await does(given, true);
    expect((await person.offerOf(wanted.task_id)).status).toBe('pending');
  });
});

it('a known answer that breaks the schema is refused', async () => {
  const output = { expected_format: 'structured_json', schema: SCHEMA, gold: { output: { seen: 'yes' } } };
  const refused = await org.client.request('POST', '/v1/tasks', { body: taskBody({ output }) });
  expect(refused.problem.errors?.map((one) => one.pointer)).toEqual(['/output/gold/output/seen']);
});
