// The SDK against the real server: every operation has its method, faults become one typed error each, and nothing is done
// twice.
import { randomUUID } from 'node:crypto';
import {
  ApiError,
  BioLayer,
  type BioLayerOptions,
  ConnectionError,
  type CreateTaskBody,
  TaskNotCompletedError,
  TimeoutError,
  WaitTimeoutError,
} from '@biolayer/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RESOURCES, STREAMS } from '../../packages/sdk/src/resources.ts';
import { ROUTES } from '../../src/api/routes/index.ts';
import { createOrg, createPool, type Org, startApi, type TestApi } from '../support/api.ts';
import { type Fault, type FaultyServer, startFaultyServer } from '../support/faulty-server.ts';
import { createTestWorker, OUTPUT, type TestWorker, taskBody } from '../support/workers.ts';

let api: TestApi;
let org: Org;
let client: BioLayer;
let poolId: string;
let worker: TestWorker;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  client = clientAt(api.url);
  poolId = await createPool(org.client);
  worker = await createTestWorker(api, org.client, { pool_ids: [poolId] });
});
afterAll(() => api.close());

const servers: FaultyServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((one) => one.close())));

function clientAt(baseUrl: string, options: BioLayerOptions = {}): BioLayer {
  return new BioLayer({ apiKey: org.client.credential, baseUrl, ...options });
}

async function clientBehind(
  faultOf: (n: number, path: string) => Fault,
  options: BioLayerOptions = {},
): Promise<{ client: BioLayer; server: FaultyServer }> {
  const server = await startFaultyServer(api.url, faultOf);
  servers.push(server);
  return { client: clientAt(server.url, options), server };
}

/** A task that nobody can take. */
const waiting = (fields: object = {}) => taskBody({ ...fields }) as unknown as CreateTaskBody;
/** A task that the worker gets. */
const doable = () => waiting({ requirements: { worker_pool_id: poolId } });

async function work(taskId: string): Promise<void> {
  await worker.accept(taskId);
  await worker.start(taskId);
  await worker.submit(taskId);
}

async function onlyTask(requestId: string): Promise<string> {
  const found: string[] = [];
  for await (const task of client.tasks.list({ request_id: [requestId] })) found.push(task.task_id);
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

test('has one method for every operation of the API', () => {
  const operations = [
    ...Object.values(RESOURCES).flatMap((one) => Object.values(one).map(([id]) => id)),
    ...STREAMS,
  ];
  expect([...operations].sort()).toEqual(ROUTES.map((one) => one.operationId).sort());
  for (const [operation, ...path] of Object.values(RESOURCES).flatMap((one) => Object.values(one))) {
    const route = ROUTES.find((one) => one.operationId === operation);
    const names = [...(route?.path ?? '').matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect([operation, path]).toEqual([operation, names]);
  }
});

describe('a result', () => {
  test('comes back from createAndWait', async () => {
    const body = doable();
    const wanted = client.tasks.createAndWait<typeof OUTPUT>(body);
    await expect
      .poll(async () => (await client.tasks.list({ request_id: [body.origin.request_id] })).data.length)
      .toBe(1);
    await work(await onlyTask(body.origin.request_id));
    expect((await wanted).result.output.seen).toBe(true);
  });

  test('is the same for a caller that starts again with its key', async () => {
    const body = doable();
    const idempotencyKey = randomUUID();
    const killed = new AbortController();
    const first = client.tasks.createAndWait(body, { idempotencyKey, signal: killed.signal });
    await expect
      .poll(async () => (await client.tasks.list({ request_id: [body.origin.request_id] })).data.length)
      .toBe(1);
    killed.abort(new Error('the caller ended'));
    await expect(first).rejects.toThrow('the caller ended');
    await work(await onlyTask(body.origin.request_id));
    const { task_id, result } = await client.tasks.createAndWait(body, { idempotencyKey });
    expect(task_id).toBe(await onlyTask(body.origin.request_id));
    expect(result.output).toEqual(OUTPUT);
  });

  test('survives lost and cut answers, and a server that restarts meanwhile', async () => {
    const body = doable();
    const faults: Fault[] = ['lost', 'cut', 'none', 'lost', { status: 503, headers: { 'retry-after': '0' } }];
    const { client: behind, server } = await clientBehind((n) => faults[n] ?? 'none');
    const wanted = behind.tasks.createAndWait(body);
    await expect.poll(() => server.requests.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
    await work(await onlyTask(body.origin.request_id));
    expect((await wanted).result.output).toEqual(OUTPUT);
    const keys = server.requests.filter((one) => one.method === 'POST').map((one) => one.idempotencyKey);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  test('that does not come in time, or at all, is an error that says so', async () => {
    const { task_id } = await client.tasks.create(waiting());
    const late = await client.tasks.waitFor(task_id, { timeoutMs: 300 }).catch((error: unknown) => error);
    expect(late).toBeInstanceOf(WaitTimeoutError);
    expect(late).toMatchObject({ taskId: task_id, task: { status: 'queued' } });
    const body = waiting();
    const failed = client.tasks.createAndWait(body).catch((error: unknown) => error);
    await expect
      .poll(async () => (await client.tasks.list({ request_id: [body.origin.request_id] })).data.length)
      .toBe(1);
    await client.tasks.cancel(await onlyTask(body.origin.request_id), { reason: 'not needed' });
    expect(await failed).toBeInstanceOf(TaskNotCompletedError);
    expect(await failed).toMatchObject({ task: { status: 'cancelled' } });
  });
});

describe('an error', () => {
  const failureOf = (promise: PromiseLike<unknown>) =>
    Promise.resolve(promise).catch((error: unknown) => error);

  test('of a wrong key, a wrong field or a missing task has code, fields and request id', async () => {
    const stranger = clientAt(api.url, { apiKey: 'blk_live_none' });
    const unknown = await failureOf(stranger.tasks.list());
    expect(unknown).toBeInstanceOf(ApiError);
    expect(unknown).toMatchObject({ status: 401, code: 'invalid_credential' });
    expect(String(unknown)).toContain('Check apiKey');
    const wrong = await failureOf(client.tasks.create(waiting({ sla: { urgency: 'asap' }, title: '' })));
    expect(wrong).toMatchObject({
      status: 422,
      code: 'validation_failed',
      requestId: expect.stringMatching(/./),
    });
    expect((wrong as ApiError).errors.map((one) => one.pointer).sort()).toEqual(['/sla/urgency', '/title']);
    expect((wrong as ApiError).message).toBe(
      '422 validation_failed: Validation failed\n  /title: must not be empty\n' +
        '  /sla/urgency: must be one of low, normal, high, critical',
    );
    expect(await failureOf(client.tasks.get(randomUUID()))).toMatchObject({ status: 404, code: 'not_found' });
  });

  test('of the rate limit is retried after the time that the server names, unless that is long', async () => {
    const limited: Fault = { status: 429, headers: { 'retry-after': '1' } };
    const soon = await clientBehind((n) => (n === 0 ? limited : 'none'));
    const began = performance.now();
    await soon.client.tasks.list();
    expect(performance.now() - began).toBeGreaterThanOrEqual(990);
    const later = await clientBehind(() => ({ status: 429, headers: { 'retry-after': '3600' } }));
    expect(await failureOf(later.client.tasks.list())).toMatchObject({
      status: 429,
      retryAfterSeconds: 3600,
    });
    expect(later.server.requests).toHaveLength(1);
  });

  test('of a dead or slow server says what to do', async () => {
    const { client: behind, server } = await clientBehind(() => 'hang', { maxRetries: 0, timeoutMs: 200 });
    const slow = await failureOf(behind.org.get());
    expect(slow).toBeInstanceOf(TimeoutError);
    expect(String(slow)).toContain('within 200 ms');
    await server.close();
    servers.splice(0);
    const dead = await failureOf(behind.org.get());
    expect(dead).toBeInstanceOf(ConnectionError);
    expect(String(dead)).toContain('Check baseUrl');
  });

  test('of something between client and server is one too', async () => {
    const { client: behind } = await clientBehind(() => ({ status: 502, body: '<html>Bad gateway</html>' }), {
      maxRetries: 0,
    });
    expect(await failureOf(behind.org.get())).toMatchObject({
      status: 502,
      code: 'unknown',
      requestId: null,
    });
  });

  test('of another server names it, and the credential is not sent on', async () => {
    const { client: page } = await clientBehind(() => ({ status: 200, body: '<html>Welcome</html>' }));
    expect(await failureOf(page.org.get())).toMatchObject({ status: 200, code: 'not_json' });
    const elsewhere = await clientBehind(() => 'none');
    const { client: moved, server } = await clientBehind(() => ({
      status: 308,
      headers: { location: elsewhere.server.url },
    }));
    const refused = await failureOf(moved.tasks.create(waiting()));
    expect(refused).toMatchObject({ status: 308, code: 'redirected' });
    expect(String(refused)).toContain(`${server.url} redirects to ${elsewhere.server.url}`);
    expect(elsewhere.server.requests).toEqual([]);
  });

  test('of the options is thrown at once', () => {
    expect(() => new BioLayer({ apiKey: '' })).toThrow('apiKey is missing');
    expect(() => clientAt('not a url')).toThrow('baseUrl is no URL');
  });
});

test('a list is awaited as a page, or iterated over all pages', async () => {
  const product = `list-${randomUUID()}`;
  for (let index = 0; index < 5; index += 1)
    await client.tasks.create(waiting({ origin: { product, request_id: `r-${index}` } }));
  const page = await client.tasks.list({ product: [product], limit: 2 });
  expect(page.data).toHaveLength(2);
  const all: string[] = [];
  for await (const task of client.tasks.list({ product: [product], limit: 2, order: 'asc' }))
    all.push(task.origin.request_id);
  expect(all).toEqual(['r-0', 'r-1', 'r-2', 'r-3', 'r-4']);
  for await (const event of client.events.list({ limit: 100 })) expect(event.type).toMatch(/\w/);
});

test('a file is downloaded as it was uploaded, whatever its type', async () => {
  const { task_id } = await client.tasks.create(doable());
  await worker.accept(task_id);
  await worker.start(task_id);
  const own = clientAt(api.url, { apiKey: worker.client.credential ?? '' });
  const files = [
    new Blob(['one\n'], { type: 'text/plain' }),
    new Blob(['{"a":1}'], { type: 'application/json' }),
  ];
  for (const file of files) {
    const { evidence_id } = await own.worker.uploadEvidence(task_id, { file }, { query: { name: 'file' } });
    const got = await client.tasks.downloadEvidence(task_id, evidence_id);
    expect(await got.text()).toBe(await file.text());
  }
  await worker.submit(task_id);
});

test('the audit log is exported as a stream of lines', async () => {
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of await client.audit.export()) text += decoder.decode(bytes, { stream: true });
  const [header] = text.split('\n');
  expect(JSON.parse(header ?? '')).toMatchObject({ org_id: org.org_id });
});

test('a stream goes on after it was cut, without a gap and without an empty event', async () => {
  // The first two connections are cut after an event.
  const { client: behind, server } = await clientBehind((n) => (n < 2 ? 'cut' : 'none'));
  const types: ['task.created'] = ['task.created'];
  let cursor: string | null = null;
  for await (const page of client.events.list({ types }).pages()) cursor = page.next_cursor;
  const expected: string[] = [];
  for (let index = 0; index < 3; index += 1) expected.push((await client.tasks.create(waiting())).task_id);
  const seen: string[] = [];
  for await (const { type, data } of behind.events.stream({ types, ...(cursor !== null && { cursor }) })) {
    expect(type).toBe('task.created');
    seen.push('task_id' in data ? data.task_id : 'none');
    if (seen.length === expected.length) break;
  }
  expect(seen).toEqual(expected);
  expect(server.requests.length).toBeGreaterThan(1);
});
