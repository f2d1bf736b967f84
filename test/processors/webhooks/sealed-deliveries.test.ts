// Deliveries whose secrets a process cannot open: recorded as such, not counted against their receiver, and sent by
// themselves once a process has the right key.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProcessors } from '../../../src/processors/processors.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { type Receiver, startReceiver } from '../../e2e/receiver.ts';
import { createOrg, startApi, type TaskView, type TestApi } from '../../support/api.ts';
import { jsonOf } from '../../support/cli.ts';
import { ERRORS_ONLY } from '../../support/processors.ts';
import { testTopology } from '../../support/redis.ts';
import { taskBody } from '../../support/workers.ts';

interface Shown {
  status: string;
  endpoint_id: string | null;
  next_attempt_at: string | null;
  attempts: { error: string; error_class: string; status: number | null }[];
}

const [right, wrong] = [createSealer([randomBytes(32)]), createSealer([randomBytes(32)])];
let api: TestApi;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  api = await startApi({ sealer: right, webhookAllowedNetworks: ['127.0.0.0/8'] });
});
afterAll(async () => {
  await api.close();
  await receiver.close();
});

const work = (sealer: typeof right) =>
  startProcessors({
    redis: testTopology(),
    prefix: api.prefix,
    sealer,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    concurrency: 5,
    log: { ...ERRORS_ONLY, error: () => undefined },
  });

test('a delivery whose secrets cannot be opened records that and waits for the key', async () => {
  const { client } = await createOrg(api);
  const endpoint = await client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
    url: receiver.url,
    events: ['task.created'],
    headers: { 'X-Own': 'planted-header' },
    retry_policy: { max_retries: 0 },
  });
  const handoff = {
    callback_url: receiver.url,
    callback_auth: { type: 'bearer', token: 'planted-token' },
    events: ['task.created'],
    retry_policy: { max_retries: 0 },
  };
  const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody({ handoff }));
  const shown = async () =>
    (await client.get<{ data: Shown[] }>(`/v1/tasks/${task_id}/deliveries`)).data.filter(
      (one) => one.attempts.length > 0,
    );
  let processors = await work(wrong);
  try {
    await expect.poll(async () => (await shown()).length, { timeout: 20_000 }).toBe(2);
    // The job runs repeatedly, but not every run is recorded as an attempt.
    const before = (await shown()).map((one) => one.next_attempt_at);
    await expect
      .poll(async () => (await shown()).every((one, at) => one.next_attempt_at !== before[at]), {
        timeout: 20_000,
      })
      .toBe(true);
  } finally {
    await processors.close();
  }
  for (const delivery of await shown()) {
    expect(delivery).toMatchObject({ status: 'pending', next_attempt_at: expect.any(String) });
    expect(delivery.attempts).toMatchObject([{ error_class: 'secret_unavailable', status: null }]);
    expect(delivery.attempts[0]?.error).toMatch(
      `sealed with key ${right.keyIds[0]}, which is not configured`,
    );
  }
  expect(receiver.received).toEqual([]);
  const failing = await client.get<object>(`/v1/webhook-endpoints/${endpoint.endpoint_id}`);
  expect(failing).toMatchObject({ enabled: true });

  processors = await work(right);
  try {
    await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBe(2);
    await expect
      .poll(async () => (await shown()).map((one) => one.status))
      .toEqual(['succeeded', 'succeeded']);
  } finally {
    await processors.close();
  }
  expect(receiver.received.map(({ headers }) => headers.authorization ?? headers['x-own']).sort()).toEqual([
    'Bearer planted-token',
    'planted-header',
  ]);

  // `secrets reseal` names each secret that it could not open.
  const other = await startApi({ sealer: wrong, prefix: api.prefix });
  try {
    const settings = { env: { BIOLAYER_URL: other.url, OPERATOR_TOKEN: other.operator.credential ?? '' } };
    const { lost, lost_items } = await jsonOf<{ lost: number; lost_items: object[] }>(
      ['secrets', 'reseal'],
      settings,
    );
    const key_id = right.keyIds[0];
    expect(lost).toBe(lost_items.length);
    for (const [kind, id] of [
      ['task', task_id],
      ['webhook_endpoint', endpoint.endpoint_id],
      ['webhook_secret', null],
    ])
      expect(lost_items).toContainEqual(expect.objectContaining({ kind, id, mode: 'live', key_id }));
    const secret = await other.client(client.credential).request('GET', '/v1/webhook-secret');
    expect(secret.outcome).toBe('503 unavailable');
  } finally {
    await other.close();
  }
});
