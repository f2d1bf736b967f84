// Rotation of SECRETS_KEY on a system with one secret of every kind: everything works while both keys are configured, and
// after `biolayer secrets reseal` also without the earlier key.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unpackJson } from '../../../src/store/redis/packing.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { isSignedWith, type Receiver, startReceiver } from '../../e2e/receiver.ts';
import { createKey, createOrg, type Org, startApi, type TaskView, type TestApi } from '../../support/api.ts';
import { jsonOf } from '../../support/cli.ts';
import { taskBody } from '../../support/workers.ts';

const [earlier, current] = [randomBytes(32), randomBytes(32)];
const MANY = 600;

let receiver: Receiver;
/** The process that runs now, with the keys it is given. */
let api: TestApi;
let org: Org;
let testKey: string;
let endpointId: string;
let endpointSecret: string;
let open: TaskView;
let over: TaskView;
/** What is not to change, as it was with the earlier key. */
let before: unknown;

async function start(keys: readonly [Buffer, ...Buffer[]]): Promise<void> {
  const prefix = api?.prefix;
  await api?.close();
  api = await startApi({
    ...(prefix !== undefined && { prefix }),
    sealer: createSealer(keys),
    processors: true,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    web: { publicUrl: 'http://127.0.0.1:3000' },
  });
}

const client = () => api.client(org.client.credential);

/** Everything that only an opened secret can give. */
async function shown(): Promise<unknown> {
  const place = async (path: string) => (await fetch(api.url + path)).json();
  const exported = (await client().request('GET', '/v1/audit/export')).text;
  return {
    signing: await place('/oauth/jwks'),
    audit: await place('/.well-known/biolayer-audit-keys.json'),
    signs: /^.*"key_id":"([^"]+)"/.exec(exported)?.[1],
    live: await client().get('/v1/webhook-secret'),
    sandbox: await api.client(testKey).get('/v1/webhook-secret'),
  };
}

/** Every value in Redis that the key sealed, but for what ends by itself within a day. */
async function sealedBy(key: Buffer): Promise<string[]> {
  const mark = `s1.${createHash('sha256').update(key).digest('base64url').slice(0, 8)}.`;
  const found: string[] = [];
  for (const name of await api.redis.keys(`${api.prefix}:*`)) {
    const type = await api.redis.type(name);
    const values =
      type === 'hash'
        ? Object.entries<Buffer>(await api.redis.hgetallBuffer(name)).map(([field, value]) =>
            field === 'z' ? JSON.stringify(unpackJson(value)) : value.toString(),
          )
        : type === 'string'
          ? [(await api.redis.get(name)) ?? '']
          : [];
    if (values.some((one) => one.includes(mark))) found.push(name);
  }
  return found.filter((one) => !one.includes(':idempotency:'));
}

/** The task's next event comes to its callback URL with its credentials, and to the endpoint with its header. */
async function expectDelivered(task: TaskView, type: string): Promise<void> {
  const received = () =>
    receiver.received.filter((one) => one.body.type === type && one.body.data.task_id === task.task_id);
  await expect.poll(() => received().length, { timeout: 20_000 }).toBe(2);
  const toCallback = received().find((one) => one.headers.authorization !== undefined);
  const toEndpoint = received().find((one) => one.headers['x-own'] !== undefined);
  expect(toCallback?.headers.authorization).toBe('Bearer planted-token');
  expect(toEndpoint?.headers['x-own']).toBe('planted-header');
  expect(toEndpoint && isSignedWith(endpointSecret, toEndpoint)).toBe(true);
}

function body() {
  const callback_auth = { type: 'bearer', token: 'planted-token' };
  const events = ['task.created', 'task.cancelled'];
  return taskBody({ handoff: { callback_url: receiver.url, callback_auth, events } });
}

beforeAll(async () => {
  receiver = await startReceiver();
  await start([earlier]);
  org = await createOrg(api);
  testKey = (await createKey(api, org.client, { mode: 'test' })).credential ?? '';
  for (let made = 0; made < MANY; made += 300) {
    const { handoff: _handoff, ...plain } = body();
    await org.client.post('/v1/tasks/batch', { tasks: Array.from({ length: 300 }, () => plain) });
  }
  const endpoint = await org.client.post<{ endpoint_id: string; secret: string }>('/v1/webhook-endpoints', {
    url: receiver.url,
    events: ['task.cancelled'],
    headers: { 'X-Own': 'planted-header' },
  });
  [endpointId, endpointSecret] = [endpoint.endpoint_id, endpoint.secret];
  open = await org.client.post<TaskView>('/v1/tasks', body());
  over = await org.client.post<TaskView>('/v1/tasks', body());
  await org.client.post(`/v1/tasks/${over.task_id}/cancel`);
}, 60_000);
afterAll(async () => {
  await api.close();
  await receiver.close();
});

describe('a change of SECRETS_KEY', () => {
  test('has no visible effect while both keys are set', async () => {
    await expectDelivered(over, 'task.cancelled');
    before = await shown();
    expect(before).toMatchObject({ signs: expect.any(String), signing: { keys: [expect.anything()] } });
    await start([current, earlier]);
    expect(await shown()).toEqual(before);
    expect((await sealedBy(earlier)).length).toBeGreaterThan(3);
  });

  test('is completed step by step, also when repeated', async () => {
    const step = (cursor?: string | null) =>
      api.operator.post<{ resealed: number; lost: number; next_cursor: string | null }>(
        '/admin/secrets/reseal',
        { ...(cursor && { cursor }) },
      );
    const first = await step();
    expect(first).toMatchObject({ lost: 0, next_cursor: expect.any(String) });
    // Simulates an interrupted command.
    const settings = { env: { BIOLAYER_URL: api.url, OPERATOR_TOKEN: api.operator.credential ?? '' } };
    const done = await jsonOf<{ resealed: number; lost: number }>(['secrets', 'reseal'], settings);
    expect(done.lost).toBe(0);
    // The signing keys (of exports; those of OAuth were sealed anew when they were used), two tenants' secrets,
    // the endpoint and two tasks.
    expect(first.resealed + done.resealed).toBe(6);
    expect(await sealedBy(earlier)).toEqual([]);
    expect(await jsonOf(['secrets', 'reseal'], settings)).toEqual({ resealed: 0, lost: 0 });
    const wrong = await api.operator.request('POST', '/admin/secrets/reseal', { body: { cursor: 'x' } });
    expect(wrong.outcome).toBe('400 invalid_cursor');
  });

  test('is complete: without the earlier key nothing is lost', async () => {
    await start([current]);
    expect(await shown()).toEqual(before);
    await client().post(`/v1/tasks/${open.task_id}/cancel`);
    await expectDelivered(open, 'task.cancelled');
    const path = `/v1/webhook-endpoints/${endpointId}/deliveries?status=succeeded`;
    const { data } = await client().get<{ data: { delivery_id: string; task_id: string }[] }>(path);
    const again = data.find((one) => one.task_id === over.task_id)?.delivery_id;
    await client().post(`/v1/deliveries/${again}/redeliver`);
    await expect
      .poll(() => receiver.received.filter((one) => one.body.data.task_id === over.task_id).length)
      .toBe(4);
  });

  test('reports what no key opens', async () => {
    await start([randomBytes(32)]);
    const { resealed, lost } = await api.operator.post<{ resealed: number; lost: number }>(
      '/admin/secrets/reseal',
    );
    expect([resealed, lost]).toEqual([0, expect.any(Number)]);
    expect(lost).toBeGreaterThan(3);
  });
});
