// What workers find of their own work: their history with ratings, and the files that they have uploaded.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createOrg, type Org, type Page, startApi, type TestApi } from '../../../support/api.ts';
import { type EvidenceView, send, upload } from '../../../support/uploads.ts';
import { createTaskIn, createTestWorker, taskBody } from '../../../support/workers.ts';

interface Worked {
  task_id: string;
  status: string;
  rating: number | null;
  feedback: string | null;
}

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
});
afterAll(() => api?.close());

it('lists what a worker has submitted, the newest first, with rating and feedback', async () => {
  const { task, person, poolId } = await createTaskIn(api, org, 'submitted');
  const history = () => person.client.get<Page<Worked>>('/v1/worker/history');
  expect((await history()).data).toMatchObject([
    { task_id: task.task_id, status: 'submitted', rating: null },
  ]);
  await org.client.post(`/v1/tasks/${task.task_id}/review`, {
    decision: 'rework',
    feedback: 'wider',
    rating: 2,
  });
  expect((await history()).data).toEqual([]);
  await person.submit(task.task_id);
  await org.client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'approve', rating: 5 });
  const next = await org.client.post<{ task_id: string }>(
    '/v1/tasks',
    taskBody({ requirements: { worker_pool_id: poolId } }),
  );
  await person.accept(next.task_id);
  await person.start(next.task_id);
  await person.submit(next.task_id);
  await org.client.get(`/v1/tasks/${next.task_id}?wait=30`);
  const { data } = await history();
  expect(data).toMatchObject([
    { task_id: next.task_id, status: 'completed', rating: null },
    { task_id: task.task_id, rating: 5 },
  ]);
  const first = await person.client.get<Page<Worked>>('/v1/worker/history?limit=1');
  expect(first.has_more).toBe(true);
  const second = await person.client.get<Page<Worked>>(
    `/v1/worker/history?limit=1&cursor=${first.next_cursor}`,
  );
  expect(second.data).toMatchObject([{ task_id: task.task_id }]);
  const other = await createTestWorker(api, org.client);
  expect((await other.client.get<Page<Worked>>('/v1/worker/history')).data).toEqual([]);
});

it('lists copies of tasks that several workers answer', async () => {
  const { person, poolId } = await createTaskIn(api, org, 'completed');
  const another = await createTestWorker(api, org.client, { pool_ids: [poolId] });
  const output = {
    expected_format: 'structured_json',
    schema: { seen: 'boolean' },
    copies: { count: 2, agreement: { mode: 'unanimous' } },
  };
  const { task_id } = await org.client.post<{ task_id: string }>(
    '/v1/tasks',
    taskBody({ output, requirements: { worker_pool_id: poolId } }),
  );
  const copies = [];
  for (const one of [person, another]) {
    const { data } =
      await one.client.get<Page<{ offer_id: string; task_id: string }>>('/v1/worker/offers?wait=20');
    const copy = data[0]?.task_id ?? '';
    copies.push(copy);
    await one.accept(copy);
    await one.start(copy);
    await one.submit(copy);
  }
  await org.client.get(`/v1/tasks/${task_id}?wait=30`);
  const { data } = await another.client.get<Page<Worked>>('/v1/worker/history');
  expect(data).toMatchObject([{ task_id: copies[1], status: 'completed' }]);
  // Copies are the workers' own: no filter of integrators finds them.
  const found = await org.client.get<Page<Worked>>(`/v1/tasks?assigned_to=${another.worker_id}`);
  expect(found.data).toEqual([]);
});

it('gives workers their own files back, and removes them until they are submitted', async () => {
  const { task, person } = await createTaskIn(api, org, 'started');
  const bytes = randomBytes(1000);
  const add = async () =>
    (await upload(person.client, task.task_id, bytes, {}, 'a.png')).json<EvidenceView>().evidence_id;
  const [kept, removed] = [await add(), await add()];
  const path = (id: string) => `/v1/worker/tasks/${task.task_id}/evidence/${id}`;
  const got = await send(person.client, path(kept), { method: 'GET' });
  expect([got.outcome, got.body.equals(bytes)]).toEqual(['200', true]);
  const other = await createTestWorker(api, org.client);
  expect((await other.client.request('GET', path(kept))).outcome).toBe('404 not_found');
  expect((await other.client.request('DELETE', path(removed))).outcome).toBe('404 not_found');
  expect(
    (await person.client.request('DELETE', path(removed), { headers: { 'If-Match': '"1"' } })).outcome,
  ).toBe('412 version_mismatch');
  expect((await person.client.request('DELETE', path(removed))).outcome).toBe('204');
  expect((await person.client.request('DELETE', path(removed))).outcome).toBe('404 not_found');
  await person.submit(task.task_id);
  expect((await person.client.request('DELETE', path(kept))).outcome).toBe('409 invalid_transition');
  await org.client.post(`/v1/tasks/${task.task_id}/review`, { decision: 'rework', feedback: 'more' });
  expect((await person.client.request('DELETE', path(kept))).outcome).toBe('409 invalid_transition');
  const { submission } = await org.client.get<{ submission: { evidence: EvidenceView[] } }>(
    `/v1/tasks/${task.task_id}`,
  );
  expect(submission.evidence.map((one) => one.evidence_id)).toEqual([kept]);
});
