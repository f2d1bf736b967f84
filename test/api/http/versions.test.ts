// Versions and ETags: a write with an outdated version is rejected with 412 and changes nothing.
import { beforeEach, describe, expect, test } from 'vitest';
import { ROUTES } from '../../../src/api/routes/index.ts';
import {
  type Client,
  createOrg,
  createPool,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../support/api.ts';
import { createTaskIn, createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

const STALE = '"999"';

function ifMatch(value: string): { headers: Record<string, string> } {
  return { headers: { 'If-Match': value } };
}

test('every response with a single task has its version as a strong ETag', async () => {
  const created = await client.request('POST', '/v1/tasks', { body: taskBody() });
  const { task_id, version } = created.as<TaskView>();
  expect(version).toBe(1);
  expect(created.headers.get('etag')).toBe('"1"');
  const read = await client.request('GET', `/v1/tasks/${task_id}`);
  expect(read.headers.get('etag')).toBe(`"${read.as<TaskView>().version}"`);
  const cancelled = await client.request('POST', `/v1/tasks/${task_id}/cancel`);
  expect(cancelled.headers.get('etag')).toBe(`"${cancelled.as<TaskView>().version}"`);
  expect(cancelled.as<TaskView>().version).toBeGreaterThan(read.as<TaskView>().version);
});

test('If-None-Match returns 304 for an unchanged record', async () => {
  const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody());
  const path = `/v1/tasks/${task_id}`;
  const etag = (await client.request('GET', path)).headers.get('etag') ?? '';
  const same = await client.request('GET', path, {
    headers: { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' },
  });
  expect([same.status, same.text]).toEqual([304, '']);
  await client.post(`${path}/cancel`);
  const changed = await client.request('GET', path, {
    headers: { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' },
  });
  expect(changed.status).toBe(200);
});

describe('If-Match', () => {
  test.each([
    ['the version that is', (etag: string) => etag, '200'],
    ['any', () => '*', '200'],
    ['a stale version', () => STALE, '412 version_mismatch'],
    ['a weak form of the version that is', (etag: string) => `W/${etag}`, '412 version_mismatch'],
    ['an ETag of another make', () => '"abc"', '412 version_mismatch'],
    ['no ETag', (etag: string) => etag.replaceAll('"', ''), '400 invalid_header'],
    ['nonsense', () => '"', '400 invalid_header'],
  ])('%s', async (_name, valueFor, outcome) => {
    const created = await client.request('POST', '/v1/tasks', {
      body: taskBody(),
    });
    const path = `/v1/tasks/${created.as<TaskView>().task_id}`;
    const etag = created.headers.get('etag') ?? '';
    expect((await client.request('POST', `${path}/cancel`, ifMatch(valueFor(etag)))).outcome).toBe(outcome);
    const { status } = await client.get<TaskView>(path);
    expect(status).toBe(outcome === '200' ? 'cancelled' : 'queued');
  });

  test('protects every step of a worker and the review', async () => {
    const { task, person } = await createTaskIn(api, org, 'accepted');
    const mine = `/v1/worker/tasks/${task.task_id}`;
    const steps: [Client, string, unknown][] = [
      [person.client, `${mine}/start`, {}],
      [person.client, `${mine}/submit`, { output: { seen: true } }],
      [client, `/v1/tasks/${task.task_id}/review`, { decision: 'approve' }],
    ];
    for (const [who, path, body] of steps) {
      const { version } = await client.get<TaskView>(`/v1/tasks/${task.task_id}`);
      const stale = await who.request('POST', path, { body, ...ifMatch(`"${version - 1}"`) });
      expect(stale.outcome).toBe('412 version_mismatch');
      const unchanged = await client.get<TaskView>(`/v1/tasks/${task.task_id}`);
      expect(unchanged.version).toBe(version);
      expect((await who.request('POST', path, { body, ...ifMatch(`"${version}"`) })).status).toBe(200);
    }
  });

  test('protects the release of a task', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const path = `/v1/worker/tasks/${task.task_id}/release`;
    expect((await person.client.request('POST', path, ifMatch(STALE))).outcome).toBe('412 version_mismatch');
    expect((await client.get<TaskView>(`/v1/tasks/${task.task_id}`)).status).toBe('started');
  });

  test.each(['accept', 'decline'])('protects the answer to an offer: %s', async (word) => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    const path = `/v1/worker/offers/${offer_id}/${word}`;
    expect((await person.client.request('POST', path, ifMatch(STALE))).outcome).toBe('412 version_mismatch');
    const { version } = await client.get<TaskView>(`/v1/tasks/${task.task_id}`);
    expect(version).toBe(task.version);
    expect((await person.client.request('POST', path, ifMatch(`"${version}"`))).status).toBeLessThan(300);
  });

  test.each(
    ROUTES.filter((one) => one.method !== 'GET' && !one.versioned && one.access.kind === 'scope').map(
      (one) => [one.method, one.path] as const,
    ),
  )('is refused by %s %s, which changes no record with a version', async (method, path) => {
    const id = '0190163d-8694-739b-aea5-966c26f8ad90';
    const answer = await client.request(method, path.replaceAll(/\{\w+\}/g, id), ifMatch(STALE));
    // Errors of the body are reported first.
    expect(['412 version_mismatch', '400 malformed_json', '415 unsupported_media_type']).toContain(
      answer.outcome,
    );
  });

  test('refuses creates', async () => {
    const fresh = (await createOrg(api)).client;
    const answer = await fresh.request('POST', '/v1/tasks', { body: taskBody(), ...ifMatch('"1"') });
    expect(answer.outcome).toBe('412 version_mismatch');
    expect((await fresh.get<Page<TaskView>>('/v1/tasks')).data).toEqual([]);
  });

  test('allows one of many concurrent changes of the same version', async () => {
    const { task } = await createTaskIn(api, org, 'submitted');
    const review = (decision: string) =>
      client.request('POST', `/v1/tasks/${task.task_id}/review`, {
        body: { decision, feedback: 'as the test says' },
        ...ifMatch(`"${task.version}"`),
      });
    const answers = await Promise.all(
      ['approve', 'reject', 'rework', 'reassign', 'approve', 'reject'].map(review),
    );
    const outcomes = answers.map((one) => one.outcome).sort();
    expect(outcomes.filter((one) => one === '200')).toHaveLength(1);
    expect(new Set(outcomes.slice(1))).toEqual(new Set(['412 version_mismatch']));
  });
});

describe('other records with a version', () => {
  let person: TestWorker;
  let poolId: string;
  beforeEach(async () => {
    poolId = await createPool(client);
    person = await createTestWorker(api, client);
  });

  const cases: [string, () => [Client, string, string, unknown]][] = [
    ['pool, PATCH', () => [client, 'PATCH', `/v1/pools/${poolId}`, { name: 'stale' }]],
    ['pool, DELETE', () => [client, 'DELETE', `/v1/pools/${poolId}`, undefined]],
    ['worker, PATCH', () => [client, 'PATCH', `/v1/workers/${person.worker_id}`, { name: 'stale' }]],
    ['worker, DELETE', () => [client, 'DELETE', `/v1/workers/${person.worker_id}`, undefined]],
    [
      'worker, PATCH by themselves',
      () => [person.client, 'PATCH', '/v1/worker', { availability: 'offline' }],
    ],
    ['org, PATCH', () => [client, 'PATCH', '/v1/org', { name: 'stale' }]],
  ];
  test.each(cases)('%s', async (_name, made) => {
    const [who, method, path, body] = made();
    const before = await who.request('GET', path);
    const etag = before.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"\d+"$/);
    const stale = await who.request(method, path, { body, ...ifMatch(STALE) });
    expect(stale.outcome).toBe('412 version_mismatch');
    expect((await who.request('GET', path)).text).toBe(before.text);
    expect((await who.request(method, path, { body, ...ifMatch(etag) })).status).toBeLessThan(300);
  });
});
