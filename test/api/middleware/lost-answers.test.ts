// Requests that are interrupted between two steps: the first request still running, the response of Redis lost, Redis
// unresponsive after the claim. In each case the effect happens once, and a retry returns it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { allTenants, loadOrg } from '../../../src/store/identity/orgs.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Answer,
  type Client,
  createOrg,
  freshName,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { freshPrefix, testRedisUrl } from '../../support/redis.ts';
import { type RedisProxy, startRedisProxy } from '../../support/redis-proxy.ts';
import { taskBody } from '../../support/workers.ts';

function create(body: unknown, key: string, who: Client): Promise<Answer> {
  return who.request('POST', '/v1/tasks', { body, headers: { 'Idempotency-Key': key } });
}

async function tasksOf(request_id: string, who: Client): Promise<string[]> {
  const { data } = await who.get<Page<TaskView>>(`/v1/tasks?request_id=${request_id}`);
  return data.map((one) => one.task_id);
}

const same = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
let proxy: RedisProxy;
let pinched: TestApi;
let direct: TestApi;
let near: Client;
let far: Client;

beforeAll(async () => {
  proxy = await startRedisProxy(testRedisUrl());
  pinched = await startApi({ redisUrl: proxy.url, ...same });
  direct = await startApi(same);
  far = (await createOrg(direct)).client;
  near = pinched.client(far.credential);
});

// The connection recovers after each test. The script is loaded, so that a commit is a single EVALSHA.
beforeEach(() =>
  expect.poll(async () => (await create(taskBody(), freshName('key'), near)).status).toBe(201),
);

afterAll(async () => {
  await pinched.close();
  await direct.close();
  await proxy.close();
});

test('returns 409 to a second request while another process runs the first', async () => {
  const [body, key] = [taskBody(), freshName('key')];
  const { held, release } = proxy.hold('evalsha');
  const first = create(body, key, near);
  await held;
  const second = await create(body, key, far);
  const otherBody = await create(taskBody(), key, far);
  release();
  expect(second.outcome).toBe('409 idempotency_in_flight');
  expect(second.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(otherBody.outcome).toBe('422 idempotency_key_reused');
  expect((await first).status).toBe(201);
  expect((await create(body, key, far)).text).toBe((await first).text);
});

test('a lost reply of Redis is never reported as a refusal, and the retry finds the one task', async () => {
  const [body, key] = [taskBody(), freshName('key')];
  const cut = proxy.cutReply('evalsha');
  const first = await create(body, key, near);
  await cut;
  expect(['201', '503 unavailable']).toContain(first.outcome);
  const again = await create(body, key, far);
  expect(again.status).toBe(201);
  const { request_id } = body.origin as { request_id: string };
  expect(await tasksOf(request_id, far)).toEqual([again.as<TaskView>().task_id]);
});

test('a commit whose reply is lost is not reported as a conflict, also without a key', async () => {
  const { task_id } = await far.post<TaskView>('/v1/tasks', taskBody());
  const cut = proxy.cutReply('evalsha');
  const first = await near.request('POST', `/v1/tasks/${task_id}/cancel`);
  await cut;
  expect(['200', '503 unavailable']).toContain(first.outcome);
  expect((await far.get<TaskView>(`/v1/tasks/${task_id}`)).status).toBe('cancelled');
});

test('a crash between the commits of a new org leaves one org, which the retry returns', async () => {
  const [name, key] = [freshName('org'), freshName('key')];
  const create = (api: TestApi) =>
    api.operator.request('POST', '/admin/orgs', { body: { name }, headers: { 'Idempotency-Key': key } });
  const creation = proxy.hold('org.created');
  const first = create(pinched);
  await creation.held;
  const recording = proxy.hold('evalsha');
  creation.release();
  await recording.held;
  // The request ends here: no process renews or releases its claim, which expires.
  const claims = await direct.redis.keys(`${same.prefix}:*:idem*`);
  for (const claim of claims) if ((await direct.redis.pttl(claim)) < 20_000) await direct.redis.del(claim);
  const again = await create(direct);
  expect(again.status).toBe(201);
  const { org_id, api_key } = again.as<{ org_id: string; api_key: string }>();
  const ids = await allTenants(direct.web.db);
  const orgs = await Promise.all(ids.map((id) => loadOrg(direct.web.db, id)));
  expect(orgs.filter((org) => org?.name === name).map((org) => org?.org_id)).toEqual([org_id]);
  expect(await direct.client(api_key).get('/v1/org')).toMatchObject({ org_id });
  recording.release();
  const late = await first;
  if (late.status === 201) expect(late.text).toBe(again.text);
  else expect(late.outcome).toBe('503 unavailable');
  expect((await create(direct)).text).toBe(again.text);
});

test('a claim that Redis takes after an outage does not block the retry', async () => {
  const [body, key] = [taskBody(), freshName('key')];
  const { held, release } = proxy.hold('nx');
  const first = create(body, key, near);
  await held;
  expect((await first).outcome).toBe('503 unavailable');
  release();
  // The connection carries out what it was sent, one after the other.
  await expect.poll(async () => (await near.request('GET', '/v1/org')).status).toBe(200);
  expect((await create(body, key, far)).outcome).toBe('201');
});

test('answers within two seconds when Redis stops responding between claim and commit', async () => {
  const [body, key] = [taskBody(), freshName('key')];
  const { held, release } = proxy.hold('evalsha');
  const started = performance.now();
  const first = create(body, key, near);
  await held;
  expect((await first).outcome).toBe('503 unavailable');
  const took = performance.now() - started;
  release();
  expect(took).toBeLessThan(2500);
  // The command may still have reached Redis. Either way there is one task, and the key returns it.
  await expect.poll(async () => (await create(body, key, far)).status, { timeout: 20_000 }).toBe(201);
  expect(await tasksOf((body.origin as { request_id: string }).request_id, far)).toHaveLength(1);
});
