// Long requests whose caller loses its authorization meanwhile, by a change in another process: within a second they get
// nothing that a new request would not get.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Client,
  createKey,
  createOrg,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { type Listener, listen } from '../../support/events.ts';
import { freshPrefix, subscribersOf } from '../../support/redis.ts';
import { type EvidenceView, MiB } from '../../support/uploads.ts';
import { createTaskIn, createTestWorker, type TaskInStatus, taskBody } from '../../support/workers.ts';

/** Longer than a process relies on an admission without checking it again (750 ms), plus time for a busy machine, ms. */
const RELIED_ON = 750 + 700;
/** Longest time until a revocation in another process takes effect, plus time for a busy machine, ms. */
const AT_MOST = 1000 + 700;

let api: TestApi;
/** Another process of the same system, which makes the changes. */
let other: TestApi;
let org: Org;
let owner: Client;
let staged: TaskInStatus;
beforeAll(async () => {
  const common = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
  const quotas = { key: null, org: null, address: { requests: 20, seconds: 3600 } };
  [api, other] = await Promise.all([
    startApi({ ...common, processors: true, web: { quotas } }),
    startApi(common),
  ]);
  org = await createOrg(api);
  owner = other.client(org.client.credential);
  staged = await createTaskIn(api, org, 'started');
}, 30_000);
afterAll(() => Promise.all([api.close(), other.close()]));

/** A request whose body has not fully arrived. */
function begin(client: Client, path: string, headers: Record<string, string | number>): ClientRequest {
  const authorization = `Bearer ${client.credential}`;
  const sent = httpRequest(client.url + path, { method: 'POST', headers: { authorization, ...headers } });
  sent.on('error', () => undefined);
  return sent;
}

async function statusOf(sent: ClientRequest): Promise<number | undefined> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

test('a waiting request gets no data', async () => {
  const key = await createKey(api, org.client);
  const { task_id } = await org.client.post<TaskView>('/v1/tasks', taskBody());
  const waiting = key.request('GET', `/v1/tasks/${task_id}?wait=60`);
  // No event marks the moment from which the admission must be checked again.
  await sleep(RELIED_ON);
  await owner.delete(`/v1/api-keys/${key.keyId}`);
  await owner.post(`/v1/tasks/${task_id}/cancel`);
  expect((await waiting).outcome).toBe('401 invalid_credential');
});

test('a slow body has no effect', async () => {
  const key = await createKey(api, org.client);
  const body = JSON.stringify(taskBody({ task_type: 'never_made' }));
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
  const sent = begin(key, '/v1/tasks', headers);
  sent.write(body.slice(0, 50));
  // No event marks the moment from which the admission must be checked again.
  await sleep(RELIED_ON);
  await owner.delete(`/v1/api-keys/${key.keyId}`);
  sent.end(body.slice(50));
  expect(await statusOf(sent)).toBe(401);
  expect((await org.client.get<Page<TaskView>>('/v1/tasks?task_type=never_made')).data).toEqual([]);
});

test('a slow upload is not stored', async () => {
  const { person, task } = staged;
  const { token } = await owner.post<{ token: string }>(`/v1/workers/${person.worker_id}/tokens`);
  const headers = { 'Content-Type': 'text/plain', 'Content-Length': 10 };
  const sent = begin(api.client(token), `/v1/worker/tasks/${task.task_id}/evidence?name=a`, headers);
  sent.write('12345');
  // The rest of the body may arrive after the connection has been answered and closed.
  sent.on('error', () => undefined);
  const status = statusOf(sent);
  await owner.delete(`/v1/workers/${person.worker_id}/tokens`);
  // The server notices the revocation with the next bytes of the body, so no event marks when to send them.
  await sleep(AT_MOST);
  sent.end('67890');
  expect(await status).toBe(401);
  expect((await org.client.get<Page<unknown>>(`/v1/tasks/${task.task_id}/evidence`)).data).toEqual([]);
});

test('a download breaks off', async () => {
  const { person, task } = staged;
  const { token } = await owner.post<{ token: string }>(`/v1/workers/${person.worker_id}/tokens`);
  const { evidence_id } = await api
    .client(token)
    .post<EvidenceView>(`/v1/worker/tasks/${task.task_id}/evidence?name=a`, undefined, {
      raw: randomBytes(24 * MiB),
      headers: { 'Content-Type': 'application/octet-stream' },
    });
  const key = await createKey(api, org.client);
  const headers = { authorization: `Bearer ${key.credential}` };
  const sent = httpRequest(`${api.url}/v1/tasks/${task.task_id}/evidence/${evidence_id}`, { headers });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  await owner.delete(`/v1/api-keys/${key.keyId}`);
  // The client reads nothing until the server must have ended the download, so it sees no event.
  await sleep(AT_MOST);
  let bytes = 0;
  response.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  response.on('error', () => undefined);
  await new Promise<void>((resolve) => response.once('close', () => resolve()));
  expect(response.complete).toBe(false);
  expect(bytes).toBeLessThan(24 * MiB);
});

describe('at once in the process that revokes', () => {
  /** Well below the interval of the periodic check, ms. */
  const AT_ONCE = 500;
  /** How long the request continues after `shutOut`, ms. */
  async function outlives<T>(begun: Promise<T>, shutOut: () => Promise<unknown>): Promise<[T, number]> {
    await shutOut();
    const began = performance.now();
    return [await begun, performance.now() - began];
  }

  test('a stream ends: of a key, of a worker, of an org with a changed allowlist', async () => {
    const own = await createOrg(api);
    const key = await createKey(api, own.client);
    const person = await createTestWorker(api, own.client);
    const [byKey, byWorker, byOrg] = [
      await listen(key, '/v1/events/stream'),
      await listen(person.client, '/v1/worker/stream'),
      await listen(own.client, '/v1/events/stream'),
    ];
    const ends: [Promise<unknown>, () => Promise<unknown>][] = [
      [byKey.all(), () => own.client.delete(`/v1/api-keys/${key.keyId}`)],
      [byWorker.all(), () => own.client.delete(`/v1/workers/${person.worker_id}/tokens`)],
      [byOrg.all(), () => own.client.patch('/v1/org?force=true', { ip_allowlist: ['192.0.2.0/24'] })],
    ];
    for (const [end, shutOut] of ends) expect((await outlives(end, shutOut))[1]).toBeLessThan(AT_ONCE);
  });

  test('a wait ends with the answer to a new request', async () => {
    for (const kind of ['task', 'offers']) {
      const own = await createOrg(api);
      const key = await createKey(api, own.client);
      const { task_id } = await own.client.post<TaskView>('/v1/tasks', taskBody());
      const person = await createTestWorker(api, own.client, { availability: 'offline' });
      const [waiting, shutOut] =
        kind === 'task'
          ? [
              key.request('GET', `/v1/tasks/${task_id}?wait=60`),
              () => own.client.delete(`/v1/api-keys/${key.keyId}`),
            ]
          : [
              person.client.request('GET', '/v1/worker/offers?wait=60'),
              () => own.client.delete(`/v1/workers/${person.worker_id}`),
            ];
      const { changes } = orgKeysOf(api.prefix, own.org_id);
      const listeners = () => subscribersOf(api.redis, changes);
      await expect.poll(listeners, { interval: 20 }).toBe(1);
      const [answer, ms] = await outlives(waiting, shutOut);
      expect(answer.outcome).toBe('401 invalid_credential');
      expect(ms).toBeLessThan(AT_ONCE);
    }
  });

  test('a download is cut off', async () => {
    const { person, task } = staged;
    const { token } = await org.client.post<{ token: string }>(`/v1/workers/${person.worker_id}/tokens`);
    const path = `/v1/worker/tasks/${task.task_id}/evidence`;
    const { evidence_id } = await api.client(token).post<EvidenceView>(`${path}?name=b`, undefined, {
      raw: randomBytes(24 * MiB),
      headers: { 'Content-Type': 'application/octet-stream' },
    });
    const key = await createKey(api, org.client);
    const headers = { authorization: `Bearer ${key.credential}` };
    const sent = httpRequest(`${api.url}/v1/tasks/${task.task_id}/evidence/${evidence_id}`, { headers });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    const closed = new Promise((resolve) => response.once('close', resolve));
    await once(response, 'readable');
    const [, ms] = await outlives(closed, async () => {
      await org.client.delete(`/v1/api-keys/${key.keyId}`);
      response.resume();
    });
    expect([response.complete, ms < AT_ONCE]).toEqual([false, true]);
  });

  test('a body that arrives later has no effect', async () => {
    const key = await createKey(api, org.client);
    const body = JSON.stringify(taskBody({ task_type: 'never_made_either' }));
    const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
    const sent = begin(key, '/v1/tasks', headers);
    sent.write(body.slice(0, 50));
    const { apiKey } = orgKeysOf(api.prefix, org.org_id);
    // Its last use is recorded when it is looked up.
    await expect.poll(() => api.redis.hexists(apiKey(key.keyId), 'u'), { interval: 10 }).toBe(1);
    await org.client.delete(`/v1/api-keys/${key.keyId}`);
    sent.end(body.slice(50));
    expect(await statusOf(sent)).toBe(401);
    expect((await org.client.get<Page<TaskView>>('/v1/tasks?task_type=never_made_either')).data).toEqual([]);
  });
});

describe('a stream ends within a second', () => {
  /** How long the stream continues after `shutOut`, ms. */
  async function lasts(stream: Listener, shutOut: () => Promise<unknown>): Promise<number> {
    await shutOut();
    const began = performance.now();
    await stream.all();
    return performance.now() - began;
  }

  test('of the revocation of a key or a worker’s tokens', async () => {
    const key = await createKey(api, org.client);
    const events = await listen(key, '/v1/events/stream');
    expect(await lasts(events, () => owner.delete(`/v1/api-keys/${key.keyId}`))).toBeLessThan(AT_MOST);
    const person = await createTestWorker(api, org.client);
    const work = await listen(person.client, '/v1/worker/stream');
    const revoke = () => owner.delete(`/v1/workers/${person.worker_id}/tokens`);
    expect(await lasts(work, revoke)).toBeLessThan(AT_MOST);
  });

  test('of a change of the allowlist', async () => {
    const own = await createOrg(api);
    const events = await listen(own.client, '/v1/events/stream');
    const change = { ip_allowlist: ['192.0.2.0/24'] };
    const shutOut = () => other.client(own.client.credential).patch('/v1/org?force=true', change);
    expect(await lasts(events, shutOut)).toBeLessThan(AT_MOST);
  });

  test('but not after a rotation while the old key is valid', async () => {
    const key = await createKey(other, owner);
    const events = await listen(api.client(key.credential), '/v1/events/stream?max_seconds=3');
    expect(await lasts(events, () => owner.post(`/v1/api-keys/${key.keyId}/rotate`, {}))).toBeGreaterThan(
      2000,
    );
  });

  test('also when its address has used up its anonymous rate limit', async () => {
    const key = await createKey(api, org.client);
    const events = await listen(key, '/v1/events/stream');
    const guesses = Array.from({ length: 30 }, () => fetch(`${api.url}/v1/tasks`));
    expect((await Promise.all(guesses)).at(-1)?.status).toBe(429);
    // By this process, which has dropped the key from its cache.
    expect(await lasts(events, () => org.client.delete(`/v1/api-keys/${key.keyId}`))).toBeLessThan(AT_MOST);
  });
});
