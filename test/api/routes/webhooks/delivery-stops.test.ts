// Stopping pending deliveries over the API, with all processors and a real receiver: those of a callback URL or an endpoint and
// of a period are not sent any more; everything else is.
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
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { deferred } from '../../../support/deferred.ts';
import { taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };
const PATH = '/v1/delivery-stops';

interface Stop {
  stop_id: string;
  status: string;
  callback_url: string | null;
  endpoint_id: string | null;
  stopped: number;
  hint: string | null;
}
interface Delivery {
  delivery_id: string;
  status: string;
  attempts: object[];
}

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
}, 30_000);
afterAll(() => api.close());

/** A task whose only event waits a minute for its next attempt, once the first has failed. */
const createTask = (client: Client, callback_url: string, more: object = {}) =>
  client.post<TaskView>('/v1/tasks', {
    ...taskBody(),
    handoff: {
      callback_url,
      events: ['task.created'],
      retry_policy: { max_retries: 5, backoff_seconds: 60 },
    },
    ...more,
  });
const deliveriesOf = async (client: Client, { task_id }: TaskView) =>
  (await client.get<Page<Delivery>>(`/v1/tasks/${task_id}/deliveries`)).data;
/** Waits until the first attempt of each has failed. */
async function attempted(client: Client, tasks: readonly TaskView[]): Promise<void> {
  for (const task of tasks)
    await expect
      .poll(async () => (await deliveriesOf(client, task)).every((one) => one.attempts.length === 1), SOON)
      .toBe(true);
}
const statusesOf = async (client: Client, tasks: readonly TaskView[]) =>
  (await Promise.all(tasks.map((task) => deliveriesOf(client, task)))).flat().map((one) => one.status);
const start = (client: Client, body: object) => client.post<Stop>('/v1/delivery-stops', body);
async function finished(client: Client, { stop_id }: Stop): Promise<Stop> {
  const read = () => client.get<Stop>(`${PATH}/${stop_id}`);
  await expect.poll(async () => (await read()).status, SOON).toBe('completed');
  return read();
}

it('stops what waits for a callback URL, and leaves everything else', async () => {
  const [{ client }, stranger] = [await createOrg(api), await createOrg(api)];
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const [url, other] = [`${receiver.url}/a`, `${receiver.url}/b`];
  const meant = [await createTask(client, url), await createTask(client, url)];
  const rest = [await createTask(client, other)];
  const foreign = [await createTask(stranger.client, url)];
  await attempted(client, [...meant, ...rest]);
  await attempted(stranger.client, foreign);

  const answer = await client.request('POST', '/v1/delivery-stops', { body: { callback_url: url } });
  const begun = answer.as<Stop>();
  expect([answer.status, answer.headers.get('location')]).toEqual([202, `${PATH}/${begun.stop_id}`]);
  expect(begun).toMatchObject({ status: 'running', callback_url: url, endpoint_id: null, stopped: 0 });
  expect(await finished(client, begun)).toMatchObject({ stopped: 2, hint: null });
  expect(await statusesOf(client, meant)).toEqual(['stopped', 'stopped']);
  expect(await statusesOf(client, rest)).toEqual(['pending']);
  expect(await statusesOf(stranger.client, foreign)).toEqual(['pending']);
  expect((await client.get<Page<object>>('/v1/dead-letters')).data).toEqual([]);

  const again = await finished(client, await start(client, { callback_url: url }));
  expect(again).toMatchObject({ stopped: 0, hint: expect.stringMatching(/^No delivery/) });
  const list = await client.get<Page<Stop>>(PATH);
  expect(list.data.map((one) => one.stop_id)).toEqual([again.stop_id, begun.stop_id]);
  expect((await client.get<Page<object>>('/v1/dead-letters/redeliveries')).data).toEqual([]);
  expect((await stranger.client.request('GET', `${PATH}/${begun.stop_id}`)).outcome).toBe('404 not_found');
  const audit = await client.get<Page<{ action: string; data: object }>>('/v1/audit?order=asc');
  expect(audit.data.filter(({ action }) => action === 'delivery_stop.started')[0]).toMatchObject({
    data: { callback_url: url },
  });

  receiver.reply = () => ({ status: 204 });
  const [stopped] = await deliveriesOf(client, meant[0] as TaskView);
  await client.post(`/v1/deliveries/${stopped?.delivery_id}/redeliver`);
  await expect.poll(() => statusesOf(client, meant), SOON).toEqual(['succeeded', 'stopped']);
});

it('keeps to its period, to an endpoint, and to the pools of its key', async () => {
  const { client } = await createOrg(api);
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const { endpoint_id } = await client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
    url: `${receiver.url}/e`,
    events: ['task.created'],
    retry_policy: { max_retries: 5, backoff_seconds: 60 },
  });
  const pool = await createPool(client);
  const confined = await createKey(api, client, { pools: [pool] });
  const first = await createTask(client, receiver.url);
  await sleep(2);
  const second = await createTask(client, receiver.url);
  await sleep(2);
  const third = await createTask(client, receiver.url, { requirements: { worker_pool_id: pool } });
  const tasks = [first, second, third];
  await attempted(client, tasks);

  const within = { callback_url: receiver.url, since: second.created_at, until: third.created_at };
  expect((await finished(client, await start(client, within))).stopped).toBe(1);
  expect((await statusesOf(client, [second])).sort()).toEqual(['pending', 'stopped']);
  const own = await start(confined, { callback_url: receiver.url });
  expect((await finished(confined, own)).stopped).toBe(1);
  expect((await statusesOf(client, [first])).sort()).toEqual(['pending', 'pending']);
  const toEndpoint = await finished(client, await start(client, { endpoint_id: endpoint_id.toUpperCase() }));
  expect(toEndpoint).toMatchObject({ endpoint_id, callback_url: null, stopped: 3 });
  const listed = await client.get<Page<Delivery>>(
    `/v1/webhook-endpoints/${endpoint_id}/deliveries?status=stopped`,
  );
  expect(listed.data).toHaveLength(3);
  expect((await statusesOf(client, [first])).sort()).toEqual(['pending', 'stopped']);
});

it('waits for an attempt in progress, is one at a time and can be cancelled', async () => {
  const [{ client }, stranger] = [await createOrg(api), await createOrg(api)];
  const { open: answer, opened: after } = deferred();
  const receiver = await startCallbackReceiver(() => ({ status: 500, after }));
  const task = await createTask(client, receiver.url);
  await expect.poll(() => receiver.received.length, SOON).toBe(1);

  const body = { callback_url: receiver.url };
  const key = { 'idempotency-key': 'stop-1' };
  const first = await client.request('POST', '/v1/delivery-stops', { body, headers: key });
  const { stop_id } = first.as<Stop>();
  const repeated = await client.request('POST', '/v1/delivery-stops', { body, headers: key });
  expect(repeated.as<Stop>().stop_id).toBe(stop_id);
  const second = await client.request('POST', '/v1/delivery-stops', { body });
  expect(second.outcome).toBe('409 replay_in_progress');
  const cancel = `${PATH}/${stop_id}/cancel`;
  expect((await stranger.client.request('POST', cancel)).outcome).toBe('404 not_found');
  expect(await client.post<Stop>(cancel)).toMatchObject({ status: 'cancelled', stopped: 0 });
  expect((await client.request('POST', cancel)).outcome).toBe('409 invalid_transition');

  const last = await start(client, body);
  answer();
  expect((await finished(client, last)).stopped).toBe(1);
  expect(await statusesOf(client, [task])).toEqual(['stopped']);
  expect(receiver.received).toHaveLength(1);
});

it.each([
  [{ callback_url: 'https://a.example/', since: 'yesterday' }, '/since'],
  [{ callback_url: 'https://a.example/', since: '2999-01-01T00:00:00Z' }, '/since'],
  [{ callback_url: 'https://a.example/', until: '1969-01-01T00:00:00Z' }, '/until'],
  [{}, '/callback_url'],
  [
    { callback_url: 'https://a.example/', endpoint_id: '019bd3a5-1c80-7b5e-8c5e-2f1f3c9a7d10' },
    '/endpoint_id',
  ],
  [{ endpoint_id: '019bd3a5-1c80-7b5e-8c5e-2f1f3c9a7d10' }, '/endpoint_id'],
  [{ callback_url: 'https://a.example/', more: 1 }, '/more'],
])('is refused with the pointer of the fault: %j', async (body, pointer) => {
  const { client } = await createOrg(api);
  const { status, problem } = await client.request('POST', '/v1/delivery-stops', { body });
  expect([status, problem.errors?.map((one) => one.pointer)]).toEqual([422, [pointer]]);
  expect((await client.get<Page<object>>(PATH)).data).toEqual([]);
});
