// Replays over the API with all processors and a real receiver: failed, undelivered or all events are sent again, each
// once, and the replay reports its progress.
import { setTimeout as sleep } from 'node:timers/promises';
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
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { deferred } from '../../../support/deferred.ts';
import { taskBody } from '../../../support/workers.ts';

const SOON = { timeout: 20_000 };
const PATH = '/v1/webhook-endpoints';
const LONG_AGO = '2020-01-01T00:00:00.000Z';

interface Replay {
  replay_id: string;
  status: string;
  reason: string | null;
  deliveries: string;
  since: string;
  until: string;
  examined: number;
  sent: number;
  succeeded: number;
  failed: number;
  reached_at: string | null;
  finished_at: string | null;
  hint: string | null;
}

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
}, 30_000);
afterAll(() => api.close());

const register = async (client: Client, url: string, more: object = {}) => {
  const body = { url, events: ['task.created'], retry_policy: { max_retries: 0 }, ...more };
  const { endpoint_id } = await client.post<{ endpoint_id: string }>(PATH, body);
  return `${PATH}/${endpoint_id}`;
};
const createTasks = (client: Client, count: number) =>
  Promise.all(Array.from({ length: count }, () => client.post<{ task_id: string }>('/v1/tasks', taskBody())));
const settled = (client: Client, endpoint: string, status: string, count: number) =>
  expect
    .poll(
      async () => (await client.get<Page<object>>(`${endpoint}/deliveries?status=${status}`)).data.length,
      SOON,
    )
    .toBe(count);
const start = (client: Client, endpoint: string, body: object = {}) =>
  client.post<Replay>(`${endpoint}/replay`, { since: LONG_AGO, ...body });
/** The relay owes an event to the endpoints that there are when it comes to it. */
const relayed = () => expect.poll(() => metric('biolayer_outbox_entries'), SOON).toBe(0);
const ended = async (client: Client, endpoint: string, { replay_id }: Replay, status = 'completed') => {
  const read = () => client.get<Replay>(`${endpoint}/replays/${replay_id}`);
  await expect.poll(async () => (await read()).status, SOON).toBe(status);
  return read();
};

describe('a replay', () => {
  it('of failed deliveries sends exactly those again, once, with the same id', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver(() => ({ status: 204 }));
    const endpoint = await register(client, receiver.url);
    await createTasks(client, 2);
    await settled(client, endpoint, 'succeeded', 2);
    receiver.reply = () => ({ status: 500 });
    await createTasks(client, 3);
    await client.post(`${endpoint}/test`);
    await settled(client, endpoint, 'exhausted', 4);
    const failed = receiver.received.slice(2).filter((one) => one.type === 'task.created');
    receiver.received.length = 0;
    receiver.reply = () => ({ status: 204 });

    const { headers, status, text } = await client.request('POST', `${endpoint}/replay`, {
      body: { since: LONG_AGO },
    });
    const begun = JSON.parse(text) as Replay;
    expect([status, headers.get('location')]).toEqual([202, `${endpoint}/replays/${begun.replay_id}`]);
    expect(begun).toMatchObject({ status: 'running', deliveries: 'failed', sent: 0, finished_at: null });
    const done = await ended(client, endpoint, begun);
    expect(done).toMatchObject({ examined: 3, sent: 3, succeeded: 3, failed: 0, reason: null });
    expect(done.finished_at).not.toBeNull();
    expect(receiver.received.map((one) => one.id).sort()).toEqual(failed.map((one) => one.id).sort());
    const again = await ended(client, endpoint, await start(client, endpoint));
    expect(again).toMatchObject({ examined: 0, sent: 0, reached_at: null });
    expect([done.hint, again.hint]).toEqual([null, expect.stringMatching(/^No delivery .* has failed\./)]);

    const list = await client.get<Page<Replay>>(`${endpoint}/replays`);
    expect(list.data.map((one) => one.replay_id)).toEqual([again.replay_id, begun.replay_id]);
    const audit = await client.get<Page<{ action: string; data: object }>>('/v1/audit');
    expect(audit.data[1]).toMatchObject({
      action: 'webhook_endpoint.replay_started',
      data: { replay_id: begun.replay_id, since: LONG_AGO },
    });
  });

  it('of undelivered events adds those from before the endpoint and while it was disabled', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver();
    await createTasks(client, 2);
    await relayed();
    const endpoint = await register(client, receiver.url);
    await createTasks(client, 1);
    await settled(client, endpoint, 'succeeded', 1);
    await client.post(`${endpoint}/disable`);
    await createTasks(client, 1);
    await relayed();
    await client.post(`${endpoint}/enable`);
    receiver.received.length = 0;
    const nothing = await ended(client, endpoint, await start(client, endpoint));
    expect(nothing.sent).toBe(0);
    const done = await ended(client, endpoint, await start(client, endpoint, { deliveries: 'undelivered' }));
    expect(done).toMatchObject({ examined: 4, sent: 3, succeeded: 3 });
    expect(new Set(receiver.received.map((one) => one.id)).size).toBe(3);
    expect(receiver.received).toHaveLength(3);
    const all = await ended(client, endpoint, await start(client, endpoint, { deliveries: 'all' }));
    expect([all.sent, receiver.received.length]).toEqual([4, 7]);
  });

  it('keeps to its period and to the pools of the endpoint', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver();
    const pool = await createPool(client);
    const confined = await createKey(api, client, { pools: [pool] });
    const inPool = () =>
      client.post<{ task_id: string; created_at: string }>('/v1/tasks', {
        ...taskBody(),
        requirements: { worker_pool_id: pool },
      });
    await inPool();
    await sleep(2);
    const second = await inPool();
    await createTasks(client, 1);
    await sleep(2);
    const third = await inPool();
    await relayed();
    const endpoint = await register(confined, receiver.url);
    const span = { since: second.created_at, until: third.created_at, deliveries: 'all' };
    const done = await ended(confined, endpoint, await start(confined, endpoint, span));
    expect(done).toMatchObject({ sent: 1, succeeded: 1, since: span.since, until: span.until });
    expect(JSON.parse(receiver.received[0]?.body ?? '').data.task_id).toBe(second.task_id);
  });

  it('counts deliveries that failed again, and skips pending ones', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver(() => ({ status: 500 }));
    const endpoint = await register(client, receiver.url);
    await createTasks(client, 1);
    await settled(client, endpoint, 'exhausted', 1);
    await client.patch(endpoint, { retry_policy: { max_retries: 5, backoff_seconds: 3600 } });
    // The worker process caches the old endpoint for a second; no event marks the end of that.
    await sleep(1100);
    await createTasks(client, 1);
    await expect.poll(() => receiver.received.length, SOON).toBe(2);
    const done = await ended(client, endpoint, await start(client, endpoint, { deliveries: 'all' }));
    expect(done).toMatchObject({ examined: 2, sent: 1, succeeded: 0, failed: 1 });
    expect(receiver.received).toHaveLength(3);
    const { hint } = await ended(client, endpoint, await start(client, endpoint, { since: done.until }));
    expect(hint).toMatch(/^No delivery/);
    await settled(client, endpoint, 'exhausted', 0);
    const pending = await ended(client, endpoint, await start(client, endpoint));
    expect(pending).toMatchObject({ sent: 0, hint: expect.stringMatching(/^2 deliveries .* are pending/) });
  });

  it('is one at a time, can be cancelled, and starts once for an Idempotency-Key', async () => {
    const { client } = await createOrg(api);
    const { open: answer, opened: after } = deferred();
    const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
    await createTasks(client, 1);
    const endpoint = await register(client, receiver.url);
    const body = { since: LONG_AGO, deliveries: 'all' };
    const options = { body, headers: { 'Idempotency-Key': 'one' } };
    const first = await client.request('POST', `${endpoint}/replay`, options);
    const again = await client.request('POST', `${endpoint}/replay`, options);
    expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([first.text, 'true']);
    const { replay_id } = first.as<Replay>();
    const other = await client.request('POST', `${endpoint}/replay`, { body });
    expect([other.outcome, other.problem.detail.includes(replay_id)]).toEqual([
      '409 replay_in_progress',
      true,
    ]);
    expect(await metric('biolayer_replays_running')).toBeGreaterThan(0);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const cancel = `${endpoint}/replays/${replay_id}/cancel`;
    expect(await client.post<Replay>(cancel)).toMatchObject({ status: 'cancelled', sent: 1 });
    expect((await client.request('POST', cancel)).outcome).toBe('409 invalid_transition');
    answer();
    await settled(client, endpoint, 'succeeded', 1);
    const next = await ended(client, endpoint, await start(client, endpoint, { deliveries: 'all' }));
    expect(next.sent).toBe(1);
  });

  it.each([
    ['disabled', 'endpoint_disabled'],
    ['deleted', 'endpoint_deleted'],
  ])('stops with a reason when its endpoint is %s', async (what, reason) => {
    const { client, org_id } = await createOrg(api);
    const { open: answer, opened: after } = deferred();
    const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
    await createTasks(client, 1);
    const endpoint = await register(client, receiver.url);
    const { replay_id } = await start(client, endpoint, { deliveries: 'all' });
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    if (what === 'disabled') await client.post(`${endpoint}/disable`);
    else await client.delete(endpoint);
    const [key = ''] = await api.redis.keys(`*${org_id}:replay:${replay_id}`);
    const stored = async () => JSON.parse((await api.redis.hget(key, 'd')) ?? '{}') as Replay;
    await expect.poll(async () => (await stored()).status, SOON).toBe('stopped');
    expect((await stored()).reason).toBe(reason);
    expect(await api.redis.pttl(key)).toBeGreaterThan(0);
    answer();
  });
});

describe('a replay is refused', () => {
  it.each([
    [{}, '/since'],
    [{ since: 'yesterday' }, '/since'],
    [{ since: '2999-01-01T00:00:00Z' }, '/since'],
    [{ since: LONG_AGO, until: '2019-01-01T00:00:00Z' }, '/until'],
    [{ since: LONG_AGO, until: LONG_AGO }, '/until'],
    [{ since: LONG_AGO, deliveries: 'some' }, '/deliveries'],
    [{ since: LONG_AGO, more: 1 }, '/more'],
  ])('with its pointer: %j', async (body, pointer) => {
    const { client } = await createOrg(api);
    const endpoint = await register(client, 'https://receiver.example/');
    const { status, problem } = await client.request('POST', `${endpoint}/replay`, { body });
    expect([status, problem.errors?.map((one) => one.pointer)]).toEqual([422, [pointer]]);
    expect((await client.get<Page<Replay>>(`${endpoint}/replays`)).data).toEqual([]);
  });

  it('for a disabled endpoint, and with 404 for other orgs', async () => {
    const [{ client }, stranger] = [await createOrg(api), await createOrg(api)];
    const endpoint = await register(client, 'https://receiver.example/');
    const other = await register(client, 'https://receiver.example/');
    const { replay_id } = await start(client, endpoint);
    const body = { since: LONG_AGO };
    const outcomes = await Promise.all([
      stranger.client.request('POST', `${endpoint}/replay`, { body }),
      stranger.client.request('GET', `${endpoint}/replays`),
      stranger.client.request('GET', `${endpoint}/replays/${replay_id}`),
      stranger.client.request('POST', `${endpoint}/replays/${replay_id}/cancel`),
      client.request('GET', `${other}/replays/${replay_id}`),
    ]);
    expect(outcomes.map((one) => one.outcome)).toEqual(outcomes.map(() => '404 not_found'));
    await client.post(`${other}/disable`);
    const refused = await client.request('POST', `${other}/replay`, { body });
    expect(refused.outcome).toBe('409 endpoint_unavailable');
  });
});

it('an org has at most 100 endpoints, however many are created at once', async () => {
  const { client } = await createOrg(api);
  const body = { url: 'https://receiver.example/' };
  const made = await Promise.all(Array.from({ length: 104 }, () => client.request('POST', PATH, { body })));
  const outcomes = made.map((one) => one.outcome).sort();
  expect(outcomes).toEqual([...Array(100).fill('201'), ...Array(4).fill('422 quota_exceeded')]);
});

async function metric(name: string): Promise<number> {
  const headers = { Authorization: `Bearer ${api.operator.credential}` };
  const text = await (await fetch(`${api.url}/metrics`, { headers })).text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}
