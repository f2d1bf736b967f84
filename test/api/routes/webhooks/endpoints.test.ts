// Webhook endpoints over the API with all processors and a real receiver: events of all tasks arrive signed with the
// endpoint's secret, and deliveries can be listed and sent again.
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { Webhook as Svix } from 'svix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Page,
  startApi,
  type TestApi,
} from '../../../support/api.ts';
import { isSigned, type ReceivedRequest, startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };
const PATH = '/v1/webhook-endpoints';

interface Endpoint {
  endpoint_id: string;
  enabled: boolean;
  disabled: { reason: string } | null;
  secret: string;
  public_key: string | null;
  header_names: string[];
  previous_secret_expires_at: string | null;
}
interface Delivery {
  delivery_id: string;
  endpoint_id: string | null;
  task_id: string | null;
  event_id: string;
  event_type: string;
  sequence: number | null;
  url: string;
  status: string;
  attempts: { status: number | null; request_headers: Record<string, string>; response_body: string }[];
}

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
}, 30_000);
afterAll(() => api.close());

const register = (client: Client, url: string, more: object = {}) =>
  client.post<Endpoint>(PATH, { url, events: ['task.created'], ...more });
const createTask = (client: Client) => client.post<{ task_id: string }>('/v1/tasks', taskBody());
const deliveriesOf = async (client: Client, { endpoint_id }: Endpoint, status = '') =>
  (await client.get<Page<Delivery>>(`${PATH}/${endpoint_id}/deliveries${status && `?status=${status}`}`))
    .data;
const settled = (client: Client, endpoint: Endpoint, status: string, count = 1) =>
  expect.poll(async () => (await deliveriesOf(client, endpoint, status)).length, SOON).toBe(count);

describe('an endpoint', () => {
  it('receives its event types of every task, signed with its own secret', async () => {
    const { client } = await createOrg(api);
    const [one, two] = [await startCallbackReceiver(), await startCallbackReceiver()];
    const first = await register(client, one.url, { headers: { 'X-Team': 'blue' } });
    const second = await register(client, two.url, { events: ['task.created', 'task.queued'] });
    const { task_id } = await createTask(client);
    await expect.poll(() => [one.received.length, two.received.length], SOON).toEqual([1, 2]);
    const [request] = one.received as [ReceivedRequest];
    expect([request.type, request.headers['x-team']]).toEqual(['task.created', 'blue']);
    expect([isSigned(first.secret, request), isSigned(second.secret, request)]).toEqual([true, false]);
    new Svix(first.secret).verify(request.body, {
      'svix-id': request.id,
      'svix-timestamp': String(request.headers['webhook-timestamp']),
      'svix-signature': String(request.headers['webhook-signature']),
    });
    await settled(client, second, 'succeeded', 2);
    const { data } = await client.get<Page<Delivery>>(`/v1/tasks/${task_id}/deliveries?order=asc`);
    expect(data.map((each) => [each.endpoint_id, each.sequence, each.status])).toEqual(
      expect.arrayContaining([
        [first.endpoint_id, 1, 'succeeded'],
        [second.endpoint_id, 1, 'succeeded'],
        [second.endpoint_id, 2, 'succeeded'],
      ]),
    );
    const mine = data.find((each) => each.endpoint_id === first.endpoint_id);
    expect(mine?.attempts[0]).toMatchObject({
      status: 204,
      request_headers: {
        'webhook-id': request.id,
        'webhook-signature': '[redacted]',
        'x-team': '[redacted]',
      },
    });
    const stranger = await createOrg(api);
    expect(await deliveriesOf(stranger.client, first).catch((error: Error) => error.message)).toContain(
      '404',
    );
  });

  it('receives only events of the pools of the key that created it', async () => {
    const { client } = await createOrg(api);
    const pool = await createPool(client);
    const confined = await createKey(api, client, { pools: [pool] });
    const receiver = await startCallbackReceiver();
    const endpoint = await register(confined, receiver.url);
    await createTask(client);
    await client.post('/v1/tasks', { ...taskBody(), requirements: { worker_pool_id: pool } });
    await settled(confined, endpoint, 'succeeded');
    expect(receiver.received).toHaveLength(1);
  });

  it('signs with both secrets during a rotation', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver();
    const endpoint = await register(client, receiver.url);
    const rotated = await client.post<Endpoint>(`${PATH}/${endpoint.endpoint_id}/rotate-secret`);
    expect(rotated.previous_secret_expires_at).not.toBeNull();
    await client.post(`${PATH}/${endpoint.endpoint_id}/test`);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const [request] = receiver.received as [ReceivedRequest];
    expect([endpoint.secret, rotated.secret].map((secret) => isSigned(secret, request))).toEqual([
      true,
      true,
    ]);
    expect(request.type).toBe('webhook_endpoint.test');
    await settled(client, endpoint, 'succeeded');
  });

  it('signs with Ed25519 for signature v1a', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver();
    const endpoint = await register(client, receiver.url, { signature: 'v1a' });
    expect(endpoint.secret).toBeNull();
    await createTask(client);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const [request] = receiver.received as [ReceivedRequest];
    const [, signature = ''] = /^v1a,(.+)$/.exec(String(request.headers['webhook-signature'])) ?? [];
    const x = Buffer.from(endpoint.public_key?.replace('whpk_', '') ?? '', 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const content = Buffer.from(`${request.id}.${request.headers['webhook-timestamp']}.${request.body}`);
    expect(verifySignature(null, content, key, Buffer.from(signature, 'base64'))).toBe(true);
  });

  it('that answers 410 is disabled at once, with an event in the feed', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver(() => ({ status: 410 }));
    const endpoint = await register(client, receiver.url);
    await createTask(client);
    const read = () => client.get<Endpoint>(`${PATH}/${endpoint.endpoint_id}`);
    await expect.poll(async () => (await read()).disabled?.reason, SOON).toBe('gone');
    const feed = await client.get<Page<{ data: object }>>('/v1/events?types=webhook_endpoint.disabled');
    expect(feed.data.map((one) => one.data)).toMatchObject([
      { endpoint_id: endpoint.endpoint_id, reason: 'gone' },
    ]);
    await createTask(client);
    await client.post(`${PATH}/${endpoint.endpoint_id}/enable`);
    receiver.reply = () => ({ status: 204 });
    await createTask(client);
    await settled(client, endpoint, 'succeeded');
    expect(receiver.received).toHaveLength(2);
  });

  it('that is removed with a queued retry receives nothing', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver(() => ({ status: 500 }));
    const endpoint = await register(client, receiver.url, { retry_policy: { backoff_seconds: 1 } });
    const { task_id } = await createTask(client);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    await client.delete(`${PATH}/${endpoint.endpoint_id}`);
    const statuses = async () =>
      (await client.get<Page<Delivery>>(`/v1/tasks/${task_id}/deliveries`)).data.map((one) => one.status);
    await expect.poll(statuses, SOON).toEqual(['stopped']);
    expect(receiver.received).toHaveLength(1);
  });
});

it('an endpoint disabled with a queued retry receives nothing until a redelivery after it is enabled', async () => {
  const { client } = await createOrg(api);
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const endpoint = await register(client, receiver.url, { retry_policy: { backoff_seconds: 1 } });
  await createTask(client);
  await expect.poll(async () => (await deliveriesOf(client, endpoint))[0]?.attempts.length, SOON).toBe(1);
  const path = `${PATH}/${endpoint.endpoint_id}`;
  await client.post(`${path}/disable`);
  await settled(client, endpoint, 'stopped');
  expect(receiver.received).toHaveLength(1);
  const [stopped] = (await deliveriesOf(client, endpoint)) as [Delivery];
  const redeliver = `/v1/deliveries/${stopped.delivery_id}/redeliver`;
  expect((await client.request('POST', redeliver)).outcome).toBe('409 endpoint_unavailable');
  receiver.reply = () => ({ status: 204 });
  await client.post(`${path}/enable`);
  await client.post(redeliver);
  await settled(client, endpoint, 'succeeded');
  const [done] = (await deliveriesOf(client, endpoint)) as [Delivery];
  expect(done.attempts.map((one) => one.status)).toEqual([500, 204]);
});

describe('a delivery', () => {
  it('that is exhausted is a dead letter until it is redelivered', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver(() => ({ status: 500 }));
    const endpoint = await register(client, receiver.url, { retry_policy: { max_retries: 0 } });
    await createTask(client);
    await settled(client, endpoint, 'exhausted');
    const dead = await client.get<Page<Delivery>>('/v1/dead-letters');
    expect(dead.data.map((one) => one.endpoint_id)).toEqual([endpoint.endpoint_id]);
    expect(await (await fetch(`${api.url}/metrics`, operator())).text()).toMatch(
      /biolayer_dead_letters [1-9]/,
    );
    receiver.reply = () => ({ status: 204 });
    const [letter] = dead.data as [Delivery];
    const again = await client.post<Delivery>(`/v1/deliveries/${letter.delivery_id}/redeliver`);
    expect(again.delivery_id).toBe(letter.delivery_id);
    await settled(client, endpoint, 'succeeded');
    expect(receiver.received.map((one) => one.id)).toEqual([letter.event_id, letter.event_id]);
    expect(receiver.received[0]?.body).toBe(receiver.received[1]?.body);
    expect((await client.get<Page<Delivery>>('/v1/dead-letters')).data).toEqual([]);
    const [done] = await deliveriesOf(client, endpoint);
    expect(done?.attempts.map((one) => one.status)).toEqual([500, 204]);
  });

  it('is not sent by a redelivery and a retry at the same time', async () => {
    const { client } = await createOrg(api);
    let answer = (): void => undefined;
    const after = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
    const endpoint = await register(client, receiver.url);
    await createTask(client);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const [one] = (await deliveriesOf(client, endpoint)) as [Delivery];
    const path = `/v1/deliveries/${one.delivery_id}/redeliver`;
    expect((await client.request('POST', path)).outcome).toBe('409 delivery_in_progress');
    answer();
    await settled(client, endpoint, 'succeeded');
    expect(receiver.received).toHaveLength(1);
    // A finished delivery can be sent again any number of times.
    expect((await client.request('POST', path)).outcome).toBe('202');
    await expect.poll(() => receiver.received.length, SOON).toBe(2);
  });

  it('to a callback URL can be redelivered too', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver((_come, nth) => ({ status: nth === 1 ? 410 : 204 }));
    const handoff = { callback_url: receiver.url, events: ['task.created'] };
    const { task_id } = await client.post<{ task_id: string }>('/v1/tasks', { ...taskBody(), handoff });
    const only = async () => (await client.get<Page<Delivery>>(`/v1/tasks/${task_id}/deliveries`)).data[0];
    await expect.poll(async () => (await only())?.status, SOON).toBe('exhausted');
    await client.post(`/v1/deliveries/${(await only())?.delivery_id}/redeliver`);
    await expect.poll(async () => (await only())?.status, SOON).toBe('succeeded');
  });
});

describe('the headers of an endpoint', () => {
  const headers = { Authorization: 'Bearer of-the-old-receiver', 'X-Team': 'blue' };

  it.each([
    ['another path of the same origin', '/elsewhere?x=1', {}, ['Authorization', 'X-Team']],
    [
      'another spelling of the same origin',
      'HTTPS://Receiver.Example:443/in',
      {},
      ['Authorization', 'X-Team'],
    ],
    ['another host', 'https://other.example/in', {}, []],
    ['another port', 'https://receiver.example:8443/in', {}, []],
    ['another host, with new ones', 'https://other.example/in', { headers: { 'X-New': 'x' } }, ['X-New']],
    ['another host, disabled for now', 'https://other.example/in', { enabled: false }, []],
  ])('when the URL changes to %s: are kept or dropped', async (_name, to, more, kept) => {
    const { client } = await createOrg(api);
    const { endpoint_id } = await register(client, 'https://receiver.example/in', { headers });
    const path = `${PATH}/${endpoint_id}`;
    const url = new URL(to, 'https://receiver.example/in').href;
    const moved = await client.patch<Endpoint>(path, { url: to.startsWith('/') ? url : to, ...more });
    expect(moved.header_names).toEqual(kept);
    // Changing the URL back does not restore the headers.
    const back = await client.patch<Endpoint>(path, { url: 'https://receiver.example/in' });
    expect(back.header_names).toEqual('headers' in more ? [] : kept);
  });

  it('are not sent to another origin', async () => {
    const { client } = await createOrg(api);
    const [old, other] = [await startCallbackReceiver(), await startCallbackReceiver()];
    const endpoint = await register(client, old.url, { headers });
    await client.patch(`${PATH}/${endpoint.endpoint_id}`, { url: other.url });
    await createTask(client);
    await settled(client, endpoint, 'succeeded');
    expect(old.received).toEqual([]);
    expect(Object.keys(other.received[0]?.headers ?? {})).toEqual(
      expect.not.arrayContaining(['authorization']),
    );
    expect(JSON.stringify(other.received)).not.toContain('of-the-old-receiver');
  });
});

describe('an invalid endpoint', () => {
  it.each([
    [{ url: 'http://93.184.216.34/' }, '/url'],
    [{ url: 'https://10.0.0.1/' }, '/url'],
    [{ events: [] }, '/events'],
    [{ events: ['task.x'] }, '/events/0'],
    [{ secret: 'whsec_c2hvcnQ=' }, '/secret'],
    [{ secret: `whsec_${Buffer.alloc(65).toString('base64')}` }, '/secret'],
    [{ secret: 'nothing' }, '/secret'],
    [{ headers: { Host: 'x' } }, '/headers/Host'],
    [{ headers: { 'webhook-signature': 'x' } }, '/headers/webhook-signature'],
    [{ headers: { 'a/b c': 'x' } }, '/headers/a~1b c'],
    [{ headers: { x: 'a\r\nb: c' } }, '/headers/x'],
    [{ retry_policy: { max_retries: 21 } }, '/retry_policy/max_retries'],
    [{ ordering: 'per_org' }, '/ordering'],
    [{ more: 1 }, '/more'],
  ])('is refused with its pointer: %j', async (fault, pointer) => {
    const { client } = await createOrg(api);
    const body = { url: 'https://receiver.example/', ...fault };
    const { status, problem } = await client.request('POST', PATH, { body });
    expect([status, problem.errors?.map((one) => one.pointer)]).toEqual([422, [pointer]]);
    expect((await client.get<Page<Endpoint>>(PATH)).data).toEqual([]);
  });

  it('accepts a valid secret of its own, which then signs', async () => {
    const { client } = await createOrg(api);
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    const made = await register(client, 'https://receiver.example/', { secret });
    expect(made.secret).toBe(secret);
    const shown = await client.request('GET', `${PATH}/${made.endpoint_id}`);
    expect(shown.text).not.toContain('whsec_');
  });
});

function operator() {
  return { headers: { Authorization: `Bearer ${api.operator.credential}` } };
}
