// Redeliveries of dead letters over the API, with all processors and a real receiver: those of a callback URL or endpoint
// and of a period are sent again, each once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { type CallbackReceiver, startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { deferred } from '../../../support/deferred.ts';
import { taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };
const PATH = '/v1/dead-letters/redeliveries';

interface Redelivery {
  redelivery_id: string;
  status: string;
  callback_url: string | null;
  endpoint_id: string | null;
  examined: number;
  sent: number;
  succeeded: number;
  failed: number;
  hint: string | null;
}

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
}, 30_000);
afterAll(() => api.close());

const createTask = (client: Client, callback_url: string, more: object = {}) =>
  client.post<TaskView>('/v1/tasks', {
    ...taskBody(),
    handoff: { callback_url, events: ['task.created'], retry_policy: { max_retries: 0 } },
    ...more,
  });
const deadLetters = (client: Client, count: number) =>
  expect.poll(async () => (await client.get<Page<object>>('/v1/dead-letters')).data.length, SOON).toBe(count);
const start = (client: Client, body: object = {}) =>
  client.post<Redelivery>('/v1/dead-letters/redeliver', body);
async function finished(client: Client, { redelivery_id }: Redelivery): Promise<Redelivery> {
  const read = () => client.get<Redelivery>(`${PATH}/${redelivery_id}`);
  await expect.poll(async () => (await read()).status, SOON).toBe('completed');
  return read();
}
/** A receiver that refuses until `mend` is called, which also forgets what it got. */
async function brokenReceiver(): Promise<CallbackReceiver & { mend(): void }> {
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const mend = () => {
    receiver.received.length = 0;
    receiver.reply = () => ({ status: 204 });
  };
  return Object.assign(receiver, { mend });
}

it('sends the dead letters of a callback URL again, once, with the same ids', async () => {
  const { client } = await createOrg(api);
  const receiver = await brokenReceiver();
  const [url, other] = [`${receiver.url}/a`, `${receiver.url}/b`];
  await Promise.all([url, url, url, other].map((one) => createTask(client, one)));
  await deadLetters(client, 4);
  const failed = receiver.received.filter((one) => one.path.endsWith('/a')).map((one) => one.id);
  receiver.mend();

  const answer = await client.request('POST', '/v1/dead-letters/redeliver', { body: { callback_url: url } });
  const begun = answer.as<Redelivery>();
  expect([answer.status, answer.headers.get('location')]).toEqual([202, `${PATH}/${begun.redelivery_id}`]);
  expect(begun).toMatchObject({
    status: 'running',
    callback_url: url,
    endpoint_id: null,
    sent: 0,
    hint: null,
  });
  expect(await finished(client, begun)).toMatchObject({ examined: 4, sent: 3, succeeded: 3, failed: 0 });
  expect(receiver.received.map((one) => one.id).sort()).toEqual(failed.sort());
  await deadLetters(client, 1);

  const nothing = await finished(client, await start(client, { callback_url: url }));
  expect(nothing).toMatchObject({ sent: 0, hint: expect.stringMatching(/^No dead letter matches\./) });
  const rest = await finished(client, await start(client));
  expect(rest).toMatchObject({ sent: 1, callback_url: null, hint: null });
  const list = await client.get<Page<Redelivery>>(PATH);
  expect(list.data.map((one) => one.redelivery_id)).toEqual([
    rest.redelivery_id,
    nothing.redelivery_id,
    begun.redelivery_id,
  ]);
  const audit = await client.get<Page<{ action: string; data: object }>>('/v1/audit?order=asc');
  expect(audit.data.filter(({ action }) => action === 'redelivery.started')[0]).toMatchObject({
    data: { callback_url: url },
  });
});

it('keeps to its period, to an endpoint, and to the pools of its key', async () => {
  const { client } = await createOrg(api);
  const receiver = await brokenReceiver();
  const body = { url: `${receiver.url}/e`, events: ['task.created'], retry_policy: { max_retries: 0 } };
  const { endpoint_id } = await client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', body);
  const pool = await createPool(client);
  const confined = await createKey(api, client, { pools: [pool] });
  await createTask(client, receiver.url);
  await sleep(2);
  const second = await createTask(client, receiver.url);
  await sleep(2);
  const third = await createTask(client, receiver.url, { requirements: { worker_pool_id: pool } });
  await deadLetters(client, 6);
  receiver.mend();

  const within = await start(client, {
    callback_url: receiver.url,
    since: second.created_at,
    until: third.created_at,
  });
  expect((await finished(client, within)).sent).toBe(1);
  expect(JSON.parse(receiver.received[0]?.body ?? '').data.task_id).toBe(second.task_id);
  expect((await finished(confined, await start(confined))).sent).toBe(2);
  expect((await confined.request('GET', `${PATH}/${within.redelivery_id}`)).outcome).toBe('404 not_found');
  expect((await confined.get<Page<object>>(PATH)).data).toHaveLength(1);
  const toEndpoint = await finished(client, await start(client, { endpoint_id: endpoint_id.toUpperCase() }));
  expect(toEndpoint).toMatchObject({ endpoint_id, sent: 2, succeeded: 2 });
  await client.post(`/v1/webhook-endpoints/${endpoint_id}/disable`);
  const refused = await client.request('POST', '/v1/dead-letters/redeliver', { body: { endpoint_id } });
  expect(refused.outcome).toBe('409 endpoint_unavailable');
});

it('is one at a time and can be cancelled', async () => {
  const [{ client }, stranger] = [await createOrg(api), await createOrg(api)];
  const { open: answer, opened: after } = deferred();
  const receiver = await brokenReceiver();
  await createTask(client, receiver.url);
  await deadLetters(client, 1);
  receiver.reply = () => ({ status: 204, after });
  const { redelivery_id } = await start(client);
  const second = await client.request('POST', '/v1/dead-letters/redeliver', { body: {} });
  expect(second.outcome).toBe('409 replay_in_progress');
  await expect.poll(() => receiver.received.length, SOON).toBe(2);
  const cancel = `${PATH}/${redelivery_id}/cancel`;
  expect((await stranger.client.request('POST', cancel)).outcome).toBe('404 not_found');
  expect(await client.post<Redelivery>(cancel)).toMatchObject({ status: 'cancelled', sent: 1 });
  expect((await client.request('POST', cancel)).outcome).toBe('409 invalid_transition');
  answer();
});

it.each([
  [{ since: 'yesterday' }, '/since'],
  [{ since: '2999-01-01T00:00:00Z' }, '/since'],
  [{ since: '2020-01-01T00:00:00Z', until: '2019-01-01T00:00:00Z' }, '/until'],
  [
    { callback_url: 'https://a.example/', endpoint_id: '019bd3a5-1c80-7b5e-8c5e-2f1f3c9a7d10' },
    '/endpoint_id',
  ],
  [{ endpoint_id: '019bd3a5-1c80-7b5e-8c5e-2f1f3c9a7d10' }, '/endpoint_id'],
  [{ more: 1 }, '/more'],
])('is refused with the pointer of the fault: %j', async (body, pointer) => {
  const { client } = await createOrg(api);
  const { status, problem } = await client.request('POST', '/v1/dead-letters/redeliver', { body });
  expect([status, problem.errors?.map((one) => one.pointer)]).toEqual([422, [pointer]]);
  expect((await client.get<Page<object>>(PATH)).data).toEqual([]);
});
