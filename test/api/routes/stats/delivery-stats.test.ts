// Numbers of deliveries, through the API and with a real receiver.
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Org,
  startApi,
  type TestApi,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { taskBody } from '../../../support/workers.ts';

interface DeliveryStats {
  interval: string;
  totals: Record<string, number>;
  data: ({ start: string } & Record<string, number>)[];
}
const PATH = '/v1/stats/deliveries';

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
  org = await createOrg(api);
}, 30_000);
afterAll(() => api.close());

const send = (client: Client, callback_url: string, max_retries: number) =>
  client.post('/v1/tasks', {
    ...taskBody(),
    handoff: { callback_url, events: ['task.created'], retry_policy: { max_retries, backoff_seconds: 60 } },
  });

it('counts deliveries that succeed, are retried and are given up, by hour and day', async () => {
  const { client } = org;
  const [good, bad] = [await startCallbackReceiver(), await startCallbackReceiver(() => ({ status: 503 }))];
  await send(client, good.url, 0);
  await send(client, bad.url, 0);
  await send(client, bad.url, 1);
  const totals = { succeeded: 1, retried: 1, exhausted: 1 };
  await expect
    .poll(async () => (await client.get<DeliveryStats>(`${PATH}?interval=hour`)).totals, { timeout: 20_000 })
    .toEqual(totals);
  const byDay = await client.get<DeliveryStats>(PATH);
  expect(byDay).toMatchObject({ interval: 'day', totals });
  expect(byDay.data).toHaveLength(30);
  const other = await createOrg(api);
  expect(await other.client.get(PATH)).toMatchObject({ totals: { succeeded: 0, retried: 0, exhausted: 0 } });
});

it('refuses a key for some pools, and a range beyond what is kept', async () => {
  const key = await createKey(api, org.client, { pools: [await createPool(org.client)] });
  expect((await key.request('GET', PATH)).outcome).toBe('403 pool_forbidden');
  const range = 'interval=hour&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z';
  expect((await org.client.request('GET', `${PATH}?${range}`)).outcome).toBe('400 invalid_query');
});
