// Suspension of an org by the operator, with two processes of the same system: which requests are refused and when, what
// goes on meanwhile, and how work resumes.
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Processors, startProcessors } from '../../../src/processors/processors.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { startCallbackReceiver } from '../../support/callback-receiver.ts';
import { listen } from '../../support/events.ts';
import { freshPrefix, testTopology } from '../../support/redis.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

/** Longest time until a suspension takes effect in another process, plus time for a busy machine, ms. */
const AT_MOST = 1000 + 700;
const SOON = { timeout: 15_000 };
const SUSPENDED = '403 org_suspended';

let told: TestApi;
let other: TestApi;
let processors: Processors;

beforeAll(async () => {
  const log = pino({ level: 'error' });
  const networks = { webhookAllowedNetworks: ['127.0.0.0/8'] };
  const common = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]), ...networks };
  const web = { quotas: { key: null, org: null, address: null }, publicUrl: 'own' as const };
  [told, other] = await Promise.all([startApi({ ...common, web }), startApi({ ...common, web })]);
  const running = { ...common, redis: testTopology(), log, concurrency: 20, sweepEvery: 300 };
  processors = await startProcessors(running);
}, 30_000);
afterAll(() => Promise.all([told.close(), other.close(), processors.close()]));

const suspend = ({ org_id }: Org, body?: object) =>
  told.operator.post<object>(`/admin/orgs/${org_id}/suspend`, body);
const resume = ({ org_id }: Org) => told.operator.post<object>(`/admin/orgs/${org_id}/resume`);
const outcomeOf = async (client: Client, path: string) => (await client.request('GET', path)).outcome;

/** The token endpoint's status and body for a client's own credentials. */
async function requestToken(api: TestApi, id: string, secret: string) {
  const response = await fetch(`${api.url}/oauth/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

describe('a suspended org', () => {
  test('is refused with every credential, at once in the process that was told and soon in others', async () => {
    const org = await createOrg(told);
    const { worker_id, client: worker } = await createTestWorker(told, org.client);
    const made = await org.client.post<{ client_id: string; client_secret: string }>('/v1/oauth-clients', {
      name: 'x',
      scopes: ['org:read'],
    });
    const { client_id, client_secret } = made;
    const { access_token = '' } = (await requestToken(told, client_id, client_secret)).body;
    const tester = await createKey(told, org.client, { mode: 'test' });
    const callers: [Client, string][] = [
      [org.client, '/v1/tasks'],
      [tester, '/v1/tasks'],
      [worker, '/v1/worker'],
      [told.client(access_token), '/v1/org'],
    ];
    const elsewhere = callers.map(([{ credential }, path]) => [other.client(credential), path] as const);
    const all = [...callers, ...elsewhere];
    for (const [client, path] of all) expect(await outcomeOf(client, path)).toBe('200');

    expect(await suspend(org, { reason: 'unpaid' })).toMatchObject({
      status: 'suspended',
      suspension: { reason: 'unpaid' },
    });
    for (const [client, path] of callers) expect(await outcomeOf(client, path)).toBe(SUSPENDED);
    for (const [client, path] of elsewhere)
      await expect.poll(() => outcomeOf(client, path), { timeout: AT_MOST }).toBe(SUSPENDED);
    // New credentials are of no use, and the authorization server issues none.
    const renewed = await requestToken(other, client_id, client_secret);
    expect(renewed).toMatchObject({ status: 403, body: { code: 'org_suspended' } });
    const query = new URLSearchParams({ client_id, response_type: 'code' });
    expect((await fetch(`${other.url}/oauth/authorize?${query}`)).status).toBe(403);
    const stranger = await createOrg(told);
    expect(await outcomeOf(stranger.client, `/v1/workers/${worker_id}`)).toBe('404 not_found');

    expect(await resume(org)).toMatchObject({ status: 'active', suspension: null });
    for (const [client, path] of callers) expect(await outcomeOf(client, path)).toBe('200');
    for (const [client, path] of elsewhere)
      await expect.poll(() => outcomeOf(client, path), { timeout: AT_MOST }).toBe('200');
    expect((await requestToken(other, client_id, client_secret)).status).toBe(200);
  });

  test('gets nothing more on streams and long requests in any process', async () => {
    const org = await createOrg(told);
    const { task_id } = await org.client.post<TaskView>('/v1/tasks', taskBody());
    const near = [told, other].map((api) => api.client(org.client.credential));
    const streams = await Promise.all(near.map((client) => listen(client, '/v1/events/stream')));
    const waits = near.map((client) => client.request('GET', `/v1/tasks/${task_id}?wait=60`));
    const started = performance.now();
    await suspend(org);
    for (const answer of await Promise.all(waits)) expect(answer.outcome).toBe(SUSPENDED);
    await Promise.all(streams.map((stream) => stream.all()));
    expect(performance.now() - started).toBeLessThan(AT_MOST + 1000);
  });

  test('gets no offers, while clocks and deliveries go on, and its tasks are offered after it resumes', async () => {
    const org = await createOrg(told);
    const receiver = await startCallbackReceiver();
    const events = (type: string) => receiver.received.filter((one) => one.type === type);
    const pool = await createPool(org.client, { offer_ttl_seconds: 1 });
    for (const _ of [1, 2]) await createTestWorker(told, org.client, { pool_ids: [pool] });
    const handoff = { callback_url: receiver.url };
    const { task_id } = await org.client.post<TaskView>(
      '/v1/tasks',
      taskBody({ handoff, requirements: { worker_pool_id: pool } }),
    );
    const deadline = new Date(Date.now() + 2500).toISOString();
    const sla = { urgency: 'normal', deadline };
    const overdue = await org.client.post<TaskView>('/v1/tasks', taskBody({ handoff, sla }));
    await expect.poll(() => events('task.offered').length, SOON).toBe(1);
    await suspend(org);
    // The offer to the first worker ends, and the second would get one; then the other task fails at its deadline.
    await expect.poll(() => events('task.queued').length, SOON).toBe(3);
    await expect.poll(() => events('task.failed').length, SOON).toBe(1);
    expect(events('task.offered')).toHaveLength(1);

    await resume(org);
    await expect.poll(() => events('task.offered').length, SOON).toBeGreaterThan(1);
    const failed = await org.client.get<TaskView>(`/v1/tasks/${overdue.task_id}`);
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'deadline_exceeded' } });
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
  });
});

describe('suspend and resume', () => {
  test('are audited as the operator, once for each change', async () => {
    const org = await createOrg(told);
    const first = await suspend(org, { reason: 'unpaid' });
    expect(await suspend(org, { reason: 'unpaid' })).toEqual(first);
    const again = await suspend(org, { reason: 'fraud' });
    expect(again).toMatchObject({ suspension: { ...Object(first).suspension, reason: 'fraud' } });
    await resume(org);
    await resume(org);
    const { data } = await org.client.get<Page<object>>('/v1/audit?order=asc');
    expect(data.slice(1)).toMatchObject([
      { actor: 'operator', action: 'org.suspended', data: { reason: 'unpaid' } },
      { actor: 'operator', action: 'org.suspended', data: { reason: 'fraud' } },
      { actor: 'operator', action: 'org.resumed' },
    ]);
  });

  test.each([
    [{ reason: '' }, '422 validation_failed'],
    [{ reason: 'x'.repeat(2001) }, '422 validation_failed'],
    [{ why: 'x' }, '422 validation_failed'],
  ])('refuse %j', async (body, outcome) => {
    const org = await createOrg(told);
    const path = `/admin/orgs/${org.org_id}/suspend`;
    expect((await told.operator.request('POST', path, { body })).outcome).toBe(outcome);
    expect(await outcomeOf(org.client, '/v1/org')).toBe('200');
  });

  test('know no org of another id', async () => {
    const path = '/admin/orgs/0190163d-8694-739b-aea5-966c26f8ad90';
    for (const verb of ['suspend', 'resume'])
      expect((await told.operator.request('POST', `${path}/${verb}`)).outcome).toBe('404 not_found');
  });
});
