// Server-sent events: live events and resumption, visibility, load on Redis, and the ways a stream ends.
import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EventStream } from '../../../src/api/streams/event-stream.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { disableEndpoint } from '../../../src/store/webhooks/disable-endpoint.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type EventView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { type Listener, listen } from '../../support/events.ts';
import { freshPrefix, monitorRedis, redisPorts } from '../../support/redis.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ processors: true });
});

afterAll(() => api.close());

async function follow(client: Client, path: string, lastEventId?: string): Promise<Listener> {
  const listener = await listen(client, path, lastEventId);
  onTestFinished(() => listener.close());
  return listener;
}

const post = (org: Org, fields = {}) => org.client.post<TaskView>('/v1/tasks', taskBody(fields));

interface Told extends EventView {
  task_id: string;
}

describe('the events of an org', () => {
  test('are sent as they happen, as in the feed', async () => {
    const org = await createOrg(api);
    await post(org);
    const listener = await follow(org.client, '/v1/events/stream');
    expect(listener.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const { task_id } = await post(org);
    const seen = [await listener.next<Told>(), await listener.next<Told>()];
    expect(seen.map((one) => [one.event, one.data.task_id])).toEqual([
      ['task.created', task_id],
      ['task.queued', task_id],
    ]);
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
    expect((await listener.next('task.cancelled')).data).toMatchObject({ task_id, sequence: 3 });
    const { data } = await org.client.get<Page<Told>>('/v1/events');
    expect(seen.map((one) => one.data)).toEqual(data.slice(2, 4));
  });

  test('are complete for a client that is disconnected before its first event', async () => {
    const org = await createOrg(api);
    const cut = await follow(org.client, '/v1/events/stream?types=task.cancelled');
    const cutOff = cut.all().catch(() => []);
    await vi.waitFor(() => expect(cut.lastEventId).not.toBe(''));
    cut.close();
    expect(await cutOff).toEqual([]);
    const { task_id } = await post(org);
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
    const again = await follow(org.client, '/v1/events/stream?types=task.cancelled', cut.lastEventId);
    expect((await again.next<Told>()).data.task_id).toBe(task_id);
  });

  test('are complete, once each and in order, for a client that reconnects', async () => {
    const org = await createOrg(api);
    const seen: string[] = [];
    const creating = (async () => {
      for (let index = 0; index < 60; index += 1) await post(org);
    })();
    let last: string | undefined;
    const first = await follow(org.client, '/v1/events/stream');
    await first.next();
    // From here on, reconnecting clients resume after the last event they got.
    last = first.lastEventId;
    first.close();
    while (seen.length < 100) {
      const listener = await listen(org.client, '/v1/events/stream', last);
      for (let index = 0; index < 25 && seen.length < 100; index += 1)
        seen.push((await listener.next<Told>()).data.event_id);
      last = listener.lastEventId;
      listener.close();
    }
    await creating;
    const all: Told[] = [];
    for (let cursor = ''; ; ) {
      const page: Page<Told> = await org.client.get(`/v1/events?limit=200${cursor}`);
      all.push(...page.data);
      if (!page.has_more) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    const start = all.findIndex((one) => one.event_id === seen[0]);
    expect(seen).toEqual(all.slice(start, start + 100).map((one) => one.event_id));
  });

  test('continue after a page of the feed, only with the same types', async () => {
    const org = await createOrg(api);
    const { task_id } = await post(org);
    const page = await org.client.get<Page<Told>>('/v1/events?types=task.cancelled,task.failed');
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
    const query = `types=task.cancelled,task.failed&cursor=${page.next_cursor}&max_seconds=1`;
    const seen = await (await follow(org.client, `/v1/events/stream?${query}`)).all();
    expect(seen.map((one) => one.event)).toEqual(['task.cancelled']);
    for (const path of [`?cursor=${page.next_cursor}`, '?cursor=nonsense'])
      expect((await org.client.request('GET', `/v1/events/stream${path}`)).outcome).toBe(
        '400 invalid_cursor',
      );
    const headers = { 'Last-Event-ID': 'nonsense' };
    expect((await org.client.request('GET', '/v1/events/stream', { headers })).outcome).toBe(
      '400 invalid_cursor',
    );
  });

  test('include events of the org itself for unconfined keys', async () => {
    const org = await createOrg(api);
    const confined = await createKey(api, org.client, { pools: [await createPool(org.client)] });
    const live = await follow(org.client, '/v1/events/stream');
    const typed = await follow(org.client, '/v1/events/stream?types=webhook_endpoint.disabled');
    const theirs = await follow(confined, '/v1/events/stream?max_seconds=2');
    const { endpoint_id } = await org.client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
      url: 'https://receiver.example/',
      events: ['task.failed'],
    });
    await post(org);
    const from = [await live.next(), await live.next()].map(() => live.lastEventId)[1];
    const startedAt = Date.now();
    await disableEndpoint(api.web.db, org.org_id, endpoint_id, 'gone');
    await post(org);
    const [told, same] = [await live.next<Told>(), await typed.next<Told>()];
    // Sent at once by notification, not by polling.
    expect(Date.now() - startedAt).toBeLessThan(4000);
    expect(told.event).toBe('webhook_endpoint.disabled');
    expect(told.data).toMatchObject({ data: { endpoint_id, reason: 'gone' } });
    expect(same.data).toEqual(told.data);
    const again = await follow(org.client, '/v1/events/stream', from);
    const missed = [await again.next(), await again.next(), await again.next()].map((one) => one.event);
    expect(missed).toEqual(['webhook_endpoint.disabled', 'task.created', 'task.queued']);
    const { data } = await org.client.get<Page<Told>>('/v1/events?types=webhook_endpoint.disabled');
    expect(data).toEqual([told.data]);
    expect(await theirs.all()).toEqual([]);
  });

  test('show a confined key only those of its pools, and other orgs nothing', async () => {
    const [org, stranger] = [await createOrg(api), await createOrg(api)];
    const pool = await createPool(org.client);
    const confined = await createKey(api, org.client, { pools: [pool] });
    const [theirs, others] = [
      await follow(confined, '/v1/events/stream?max_seconds=2'),
      await follow(stranger.client, '/v1/events/stream?max_seconds=2'),
    ];
    await post(org);
    const { task_id } = await post(org, { requirements: { worker_pool_id: pool } });
    expect((await theirs.all()).map((one) => one.data.task_id)).toEqual([task_id, task_id]);
    expect(await others.all()).toEqual([]);
  });
});

describe("a worker's stream", () => {
  async function staged(fields: object = {}) {
    const org = await createOrg(api);
    const poolId = await createPool(org.client);
    const person = await createTestWorker(api, org.client, { pool_ids: [poolId], capacity: 2, ...fields });
    const task = () => post(org, { requirements: { worker_pool_id: poolId } });
    return { org, poolId, person, task };
  }

  test('sends the worker, and their offers and tasks as they change', async () => {
    const { org, person, task } = await staged();
    const listener = await follow(person.client, '/v1/worker/stream');
    expect((await listener.next()).data).toMatchObject({ worker_id: person.worker_id, active_tasks: 0 });
    const { task_id } = await task();
    const offer = await listener.next<{ offer_id: string; task: object }>('offer');
    expect(offer.data).toMatchObject({ task_id, status: 'pending', task: { task_id } });
    expect((await listener.next('worker')).data).toMatchObject({ active_tasks: 1 });
    await person.client.post(`/v1/worker/offers/${offer.data.offer_id}/accept`);
    expect((await listener.next()).data).toMatchObject({ offer_id: offer.data.offer_id, status: 'accepted' });
    expect((await listener.next('task')).data).toMatchObject({ task_id, status: 'accepted' });
    await person.start(task_id);
    expect((await listener.next('task')).data).toMatchObject({ status: 'started' });
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
    expect((await listener.next('task')).data).toMatchObject({ status: 'cancelled' });
    await org.client.patch(`/v1/workers/${person.worker_id}`, { capacity: 5 });
    for (;;) if ((await listener.next('worker')).data.capacity === 5) break;
  });

  test('sends missed changes after a reconnect, and none twice', async () => {
    const { org, person, task } = await staged();
    const before = await follow(person.client, '/v1/worker/stream');
    const first = await task();
    await before.next('offer');
    const last = before.lastEventId;
    before.close();
    const second = await task();
    await person.offerOf(second.task_id);
    await org.client.post(`/v1/tasks/${first.task_id}/cancel`);
    const after = await follow(person.client, '/v1/worker/stream?max_seconds=1', last);
    const seen = (await after.all()).filter((one) => one.event !== 'worker');
    expect(seen.map((one) => [one.event, one.data.task_id, one.data.status])).toEqual([
      ['offer', second.task_id, 'pending'],
      ['offer_ended', first.task_id, 'withdrawn'],
    ]);
    // A new client, or one that returns too late, gets the whole current state.
    const anew = await (await follow(person.client, '/v1/worker/stream?max_seconds=1')).all();
    expect(anew.map((one) => [one.event, one.data.task_id])).toEqual([
      ['offer', second.task_id],
      ['worker', undefined],
    ]);
    const late = await (await follow(person.client, '/v1/worker/stream?max_seconds=1', '1-1')).all();
    expect(late.map((one) => one.event)).toEqual(['reset', 'offer', 'worker']);
    expect(late.at(-1)?.id).toBe(anew.at(-1)?.id);
    const headers = { 'Last-Event-ID': 'x' };
    expect((await person.client.request('GET', '/v1/worker/stream', { headers })).outcome).toBe(
      '400 invalid_cursor',
    );
  });

  test('is read once for all streams of the worker, each of which gets what its token may see', async () => {
    const { org, poolId, person, task } = await staged();
    const elsewhere = await createPool(org.client);
    const move = (pool_ids: string[]) => org.client.patch(`/v1/workers/${person.worker_id}`, { pool_ids });
    await move([elsewhere]);
    const key = await createKey(api, org.client, { pools: [elsewhere] });
    const { token } = await key.post<{ token: string }>(`/v1/workers/${person.worker_id}/tokens`);
    await move([poolId, elsewhere]);
    const confined = await follow(api.client(token), '/v1/worker/stream');
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => follow(person.client, '/v1/worker/stream')),
    );
    for (const one of [confined, ...streams]) await one.next('worker');
    const monitor = await monitorRedis(api.redis);
    onTestFinished(() => monitor.close());
    const { task_id } = await task();
    for (const one of streams) expect((await one.next('offer')).data).toMatchObject({ task_id });
    expect((await confined.next()).event).toBe('worker');
    const log = orgKeysOf(api.prefix, org.org_id).workerLog(person.worker_id);
    const reads = (await monitor.seen())
      .split('\n')
      .filter((line) => /"xrange"/i.test(line) && line.includes(log));
    // Streams poll now and then as well.
    expect(reads.length).toBeLessThan(10);
  });

  test('sends nothing of other workers', async () => {
    const { org, poolId, person, task } = await staged();
    const colleague = await createTestWorker(api, org.client, { pool_ids: [poolId], availability: 'away' });
    const listener = await follow(colleague.client, '/v1/worker/stream?max_seconds=1');
    const { task_id } = await task();
    await person.accept(task_id);
    expect((await listener.all()).map((one) => one.event)).toEqual(['worker']);
  });
});

test('both streams continue after Last-Event-ID when the API restarts, without gaps or repeats', async () => {
  const shared = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
  const first = await startApi({ ...shared, processors: true });
  const org = await createOrg(first);
  const person = await createTestWorker(first, org.client, { capacity: 5, skills: ['x'] });
  const [events, mine] = [
    await listen(org.client, '/v1/events/stream'),
    await listen(person.client, '/v1/worker/stream'),
  ];
  const told = await post(org, { requirements: { skills: ['x'] } });
  await events.next('task.offered');
  await mine.next('offer');
  await first.close();
  await Promise.all([events.all(), mine.all()]);
  // What happens while this process is down.
  const second = await startApi({ ...shared, processors: true });
  onTestFinished(() => second.close());
  const key = second.client(org.client.credential);
  const missed = await key.post<TaskView>('/v1/tasks', taskBody({ requirements: { skills: ['x'] } }));
  const them = second.client(person.client.credential);
  const back = await follow(key, '/v1/events/stream', events.lastEventId);
  const types = [];
  while (types.at(-1) !== 'task.offered') {
    const { event, data } = await back.next<Told>();
    expect(data.task_id).toBe(missed.task_id);
    types.push(event);
  }
  expect(types).toEqual(['task.created', 'task.queued', 'task.matched', 'task.offered']);
  const again = await follow(them, '/v1/worker/stream?max_seconds=1', mine.lastEventId);
  const offers = (await again.all()).filter((one) => one.event !== 'worker');
  expect(offers.map((one) => [one.event, one.data.task_id])).toEqual([['offer', missed.task_id]]);
  expect(told.task_id).not.toBe(missed.task_id);
});

test('a quiet stream gets a comment line every 15 seconds, which clients do not treat as an event', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const stream = new EventStream(new AbortController().signal, undefined);
  onTestFinished(() => void stream.destroy());
  const read = () => String(stream.read() ?? '');
  expect(read()).toMatch(/^retry: \d+\n\n$/);
  vi.advanceTimersByTime(14_999);
  expect(read()).toBe('');
  vi.advanceTimersByTime(1);
  expect(read()).toBe(':\n\n');
  vi.advanceTimersByTime(30_000);
  expect(read()).toBe(':\n\n:\n\n');
});

describe('a stream ends', () => {
  test('when its credential is revoked, its worker removed, or its address no longer allowed', async () => {
    const org = await createOrg(api);
    const key = await createKey(api, org.client);
    const [dismissed, removed] = [
      await createTestWorker(api, org.client),
      await createTestWorker(api, org.client),
    ];
    const streams = [
      await follow(key, '/v1/events/stream'),
      await follow(dismissed.client, '/v1/worker/stream'),
      await follow(removed.client, '/v1/worker/stream'),
    ];
    await org.client.delete(`/v1/api-keys/${key.keyId}`);
    await org.client.delete(`/v1/workers/${dismissed.worker_id}/tokens`);
    await org.client.delete(`/v1/workers/${removed.worker_id}`);
    const elsewhere = await createOrg(api);
    streams.push(await follow(elsewhere.client, '/v1/events/stream'));
    await elsewhere.client.patch('/v1/org?force=true', { ip_allowlist: ['192.0.2.0/24'] });
    await Promise.all(streams.map((one) => one.all()));
    expect(streams.map((one) => one.rest)).toEqual(['', '', '', '']);
  });

  test('at once, after a complete event, when the process shuts down', async () => {
    const own = await startApi();
    const org = await createOrg(own);
    const listener = await listen(org.client, '/v1/events/stream');
    await post(org);
    await listener.next('task.queued');
    const began = performance.now();
    await own.close();
    expect(performance.now() - began).toBeLessThan(3000);
    expect(await listener.all()).toEqual([]);
    expect(listener.rest).toBe('');
  });

  test('for a client that does not read, before it uses much memory', async () => {
    const stream = new EventStream(new AbortController().signal, undefined);
    const closed = once(stream, 'close');
    let sent = 0;
    while (!stream.isOver) {
      stream.sendFrames(Buffer.from('x'.repeat(1000)));
      sent += 1000;
    }
    await closed;
    expect(sent).toBeLessThan(600_000);
  });
});

test('many streams need no more connections to Redis than one', async () => {
  const org = await createOrg(api);
  const person = await createTestWorker(api, org.client);
  const first = await follow(org.client, '/v1/events/stream');
  await follow(person.client, '/v1/worker/stream');
  const ports = await redisPorts(api.redis);
  // All sockets that this process opens from now on.
  const sockets: Socket[] = [];
  const onSocket = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', onSocket);
  onTestFinished(() => void unsubscribe('net.client.socket', onSocket));
  const streams = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      index % 2 ? follow(org.client, '/v1/events/stream') : follow(person.client, '/v1/worker/stream'),
    ),
  );
  await post(org);
  for (const [index, one] of streams.entries()) await one.next(index % 2 ? 'task.queued' : 'worker');
  await first.next('task.queued');
  expect(sockets).not.toEqual([]);
  expect(sockets.filter(({ remotePort }) => ports.includes(remotePort ?? 0))).toEqual([]);
});
