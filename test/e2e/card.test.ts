// The example of the customer's card, end to end: posted unchanged, done by a worker with evidence, and delivered by
// webhooks that the public package verifies.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createOrg,
  createPool,
  type EventView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../support/api.ts';
import { createTestWorker, type TestWorker } from '../support/workers.ts';
import { CARD, cardOf } from './card.ts';
import { isSignedWith, type Received, type Receiver, startReceiver } from './receiver.ts';

const STEPS = [
  'created',
  'queued',
  'matched',
  'offered',
  'accepted',
  'started',
  'submitted',
  'verified',
  'completed',
];
const TYPES = STEPS.map((step) => `task.${step}`);

describe('the example, posted unchanged', () => {
  let api: TestApi;
  let org: Org;

  beforeAll(async () => {
    // Without processors, so that nothing is sent to the callback URL of the example.
    api = await startApi();
    org = await createOrg(api);
    await createPool(org.client, { pool_id: CARD.requirements.worker_pool_id });
  });

  afterAll(() => api.close());

  test('returns 201 with the task: its input with defaults, and secrets reduced to their type', async () => {
    const body = cardOf(org.org_id);
    const answer = await org.client.request('POST', '/v1/tasks', { body });
    expect(answer.status).toBe(201);
    const task = answer.as<TaskView>();
    expect(task).toEqual({
      ...body,
      task_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      org_id: org.org_id,
      report: null,
      dispute: null,
      open_question: null,
      unread_messages: 0,
      status: 'queued',
      version: 1,
      attempt: 1,
      sla: { ...body.sla, breaches: [] },
      output: { ...body.output, review: { mode: 'auto' } },
      handoff: {
        ...body.handoff,
        callback_auth: { type: 'bearer' },
        events: [...TYPES, 'task.failed', 'task.cancelled', 'task.sla_breached'],
      },
      assignment: null,
      submission: null,
      result: null,
      reviews: [],
      failure: null,
      cancellation: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: task.created_at,
      completed_at: null,
    });
    expect(answer.headers.get('location')).toBe(`/v1/tasks/${task.task_id}`);
    const read = await org.client.request('GET', answer.headers.get('location') ?? '');
    expect(read.text).toBe(answer.text);
    expect(read.text).not.toContain('redacted');
    for (const filter of ['status=queued', 'domain=security', 'urgency=high', 'pool=pool-uuid'])
      expect((await org.client.get<Page<TaskView>>(`/v1/tasks?${filter}`)).data).toEqual([task]);
  });

  test('returns 422 when its deadline has passed', async () => {
    const body = { ...cardOf(org.org_id), sla: CARD.sla };
    const answer = await org.client.request('POST', '/v1/tasks', { body });
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual(['/sla/deadline']);
  });

  test('returns 403 when the org id is of another org', async () => {
    expect((await org.client.request('POST', '/v1/tasks', { body: cardOf('uuid') })).outcome).toBe(
      '403 org_mismatch',
    );
  });
});

/** JSON with sorted names: the canonical form (RFC 8785) of values without unusual numbers. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join()}}`;
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

describe('the example, done by a worker', () => {
  let api: TestApi;
  let org: Org;
  let client: Client;
  let receiver: Receiver;
  let person: TestWorker;
  let secret: string;

  beforeAll(async () => {
    receiver = await startReceiver();
    api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
    org = await createOrg(api);
    client = org.client;
    const pool_ids = [await createPool(client, { pool_id: CARD.requirements.worker_pool_id })];
    const { skills, certifications } = CARD.requirements;
    person = await createTestWorker(api, client, {
      pool_ids,
      skills,
      certifications,
      trust_level: 4,
      rating: 4.8,
    });
    secret = (await client.get<{ secret: string }>('/v1/webhook-secret')).secret;
  });

  afterAll(async () => {
    await api.close();
    await receiver.close();
  });

  async function post(handoff: Record<string, unknown> = {}): Promise<TaskView> {
    const body = cardOf(org.org_id);
    return client.post<TaskView>('/v1/tasks', {
      ...body,
      handoff: { ...body.handoff, callback_url: receiver.url, ...handoff },
      metadata: { case: 'IR-48219' },
    });
  }

  const output = { reached_user: true, user_confirmed: false, notes: 'Owner was asleep at 03:42.' };

  /** Does the whole task. @returns its evidence. */
  async function work(taskId: string, bytes = randomBytes(1000)): Promise<Record<string, unknown>> {
    await person.accept(taskId);
    await person.start(taskId);
    const path = `/v1/worker/tasks/${taskId}/evidence?name=call%20log.bin`;
    const options = { raw: new Uint8Array(bytes), headers: { 'Content-Type': 'application/octet-stream' } };
    const {
      evidence_id,
      name,
      media_type,
      bytes: length,
      sha256: digest,
    } = await person.client.post<Record<string, unknown>>(path, undefined, options);
    await person.submit(taskId, output, { notes: 'Called twice.', evidence_ids: [evidence_id] });
    return { evidence_id, name, media_type, bytes: length, sha256: digest };
  }

  test('reaches completed through all states, with evidence, history and webhooks', async () => {
    const { task_id } = await post();
    await person.accept(task_id);
    await person.start(task_id);

    const submit = `/v1/worker/tasks/${task_id}/submit`;
    const without = await person.client.request('POST', submit, { body: { output } });
    expect(without.problem.errors?.map((one) => one.pointer)).toEqual(['/evidence_ids']);
    const bytes = randomBytes(100_000);
    const uploaded = await person.client.post<Record<string, unknown>>(
      `/v1/worker/tasks/${task_id}/evidence?name=call%20log.bin`,
      undefined,
      { raw: new Uint8Array(bytes), headers: { 'Content-Type': 'application/octet-stream' } },
    );
    const evidence = {
      evidence_id: uploaded.evidence_id,
      name: 'call log.bin',
      media_type: 'application/octet-stream',
      bytes: bytes.length,
      sha256: sha256(bytes),
    };
    await person.submit(task_id, output, { notes: 'Called twice.', evidence_ids: [uploaded.evidence_id] });

    const task = await client.get<TaskView>(`/v1/tasks/${task_id}?wait=30`);
    expect(task.status).toBe('completed');
    expect(task.result).toEqual({
      output,
      evidence: [evidence],
      notes: 'Called twice.',
      worker_id: person.worker_id,
      submitted_at: task.assignment?.submitted_at,
    });
    expect(task.sla).toMatchObject({ breaches: [] });
    const { created_at, assignment, completed_at } = task;
    const times = ['offered_at', 'accepted_at', 'started_at', 'submitted_at'].map(
      (name) => assignment?.[name],
    );
    const inOrder = [created_at, ...times, completed_at].map((one) => Date.parse(String(one)));
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));

    const download = await fetch(`${api.url}/v1/tasks/${task_id}/evidence/${uploaded.evidence_id}`, {
      headers: { Authorization: `Bearer ${client.credential}` },
    });
    expect(download.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(evidence.sha256);

    const { data: events } = await client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
    expect(events.map((one) => one.type)).toEqual(TYPES);
    expectChain(events);
    expect(events.map((one) => one.actor.split(':')[0])).toEqual([
      ...['api_key', 'api_key', 'system', 'system'],
      ...['worker', 'worker', 'worker', 'system', 'system'],
    ]);

    const deliveries = (await receiver.taken(TYPES)).filter((one) => one.body.data.task_id === task_id);
    expect(deliveries).toHaveLength(TYPES.length);
    for (const delivery of deliveries) expectDelivery(delivery, task, events);
    const completed = deliveries.find((one) => one.body.type === 'task.completed');
    expect(completed?.body.data.result).toEqual(task.result);
  });

  /** Expects that the events are complete and each contains the hash of the one before. */
  function expectChain(events: readonly EventView[]): void {
    for (const [index, event] of events.entries()) {
      const { hash, ...rest } = event;
      expect(event.sequence).toBe(index + 1);
      expect(event.previous_hash).toBe(events[index - 1]?.hash ?? null);
      expect(event.previous_status).toBe(events[index - 1]?.status ?? null);
      expect(hash).toBe(sha256(canonical(rest)));
    }
  }

  function expectDelivery(delivery: Received, task: TaskView, events: readonly EventView[]): void {
    const { id, timestamp, headers, body, raw } = delivery;
    const event = events.find((one) => one.event_id === id);
    if (event === undefined) throw new Error(`no event ${id}`);
    expect(isSignedWith(secret, delivery)).toBe(true);
    expect(Math.abs(timestamp - Date.now() / 1000)).toBeLessThan(60);
    expect(headers.authorization).toBe('Bearer redacted');
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(body).toEqual({
      type: event.type,
      timestamp: event.at,
      data: {
        event_id: id,
        sequence: event.sequence,
        task_id: task.task_id,
        org_id: org.org_id,
        status: event.status,
        previous_status: event.previous_status,
        attempt_of_task: 1,
        origin: { product: 'threatlabs', request_id: 'IR-48219' },
        metadata: { case: 'IR-48219' },
        ...event.data,
      },
    });
    const about: Record<string, string[]> = {
      'task.queued': ['reason'],
      'task.matched': ['worker_id'],
      'task.offered': ['offer_id', 'worker_id', 'expires_at'],
      'task.accepted': ['worker_id'],
      'task.started': ['worker_id'],
      'task.submitted': ['worker_id'],
      'task.completed': ['result'],
    };
    for (const name of about[event.type] ?? []) expect(body.data).toHaveProperty(name);
    expect(raw).not.toContain('callback');
  }

  test('retries a failed delivery with the same id and bytes, after the backoff', async () => {
    let refused = 0;
    receiver.answer = ({ body }) => {
      if (body.type !== 'task.completed' || refused === 2) return 204;
      refused += 1;
      return 500;
    };
    const { task_id } = await post({
      retry_policy: { max_retries: 3, backoff_seconds: 1 },
      events: ['task.completed'],
    });
    await work(task_id);
    const attempts = () => receiver.received.filter((one) => one.body.data.task_id === task_id);
    await expect.poll(() => attempts().length, { timeout: 25_000 }).toBe(3);
    receiver.answer = () => 204;
    const [first, second, third] = attempts();
    expect(attempts().map((one) => [one.body.type, one.status])).toEqual([
      ['task.completed', 500],
      ['task.completed', 500],
      ['task.completed', 204],
    ]);
    for (const one of [second, third]) expect([one?.id, one?.raw]).toEqual([first?.id, first?.raw]);
    for (const one of attempts()) expect(isSignedWith(secret, one)).toBe(true);
    const [t1 = 0, t2 = 0, t3 = 0] = attempts().map((one) => one.timestamp);
    // Timestamps are whole seconds; the backoffs are at least 1 s and 2 s.
    expect(t2 - t1).toBeGreaterThanOrEqual(1);
    expect(t3 - t2).toBeGreaterThanOrEqual(2);
  });

  test('delivers only the requested events, with the given credentials', async () => {
    const { task_id } = await post({
      callback_auth: { type: 'basic', username: 'ünï', password: 'p:w' },
      events: ['task.started', 'task.cancelled'],
    });
    await person.accept(task_id);
    await person.start(task_id);
    await client.post(`/v1/tasks/${task_id}/cancel`, { reason: 'found out' });
    const mine = () => receiver.received.filter((one) => one.body.data.task_id === task_id);
    await expect.poll(() => mine().length, { timeout: 25_000 }).toBe(2);
    expect(
      mine()
        .map((one) => one.body.type)
        .sort(),
    ).toEqual(['task.cancelled', 'task.started']);
    for (const { headers } of mine())
      expect(headers.authorization).toBe(`Basic ${Buffer.from('ünï:p:w').toString('base64')}`);
    const cancelled = mine().find((one) => one.body.type === 'task.cancelled');
    expect(cancelled?.body.data.cancellation).toMatchObject({ reason: 'found out' });
  });

  test('signs deliveries with both secrets during a rotation', async () => {
    const rotated = await client.post<{ secret: string }>('/v1/webhook-secret/rotate');
    const mine: Received[] = [];
    // A worker process caches secrets for a second.
    await expect
      .poll(
        async () => {
          const { task_id } = await post({ events: ['task.created'] });
          await client.post(`/v1/tasks/${task_id}/cancel`);
          await expect
            .poll(() => receiver.received.some((one) => one.body.data.task_id === task_id), {
              timeout: 10_000,
            })
            .toBe(true);
          mine.push(...receiver.received.filter((one) => one.body.data.task_id === task_id));
          return isSignedWith(rotated.secret, mine.at(-1) as Received);
        },
        { timeout: 20_000, interval: 200 },
      )
      .toBe(true);
    for (const one of mine) expect(isSignedWith(secret, one)).toBe(true);
    expect(String(mine.at(-1)?.headers['webhook-signature']).split(' ')).toHaveLength(2);
  });
});
