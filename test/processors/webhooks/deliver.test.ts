// Deliveries to a task's callback URL, with all processors running and a real receiver: each event is delivered, signed,
// retried at the right time and never earlier, and stopped when it must stop.
import { describe, expect, it, onTestFinished } from 'vitest';
import { deliveryJob, retryJob } from '../../../src/queues/new-jobs.ts';
import type { Handoff, Task } from '../../../src/state/tasks/task.ts';
import {
  callbackAuthContext,
  newWebhookSecret,
  orgWrites,
  type SigningSecret,
  webhookSecretContext,
} from '../../../src/store/identity/orgs.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import { dueTimeOf } from '../../../src/store/webhooks/delivery-lease.ts';
import { isSigned, type ReceivedRequest, startCallbackReceiver } from '../../support/callback-receiver.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  openTestDb,
  taskOf,
  workThrough,
} from '../../support/db.ts';
import { deferred } from '../../support/deferred.ts';
import { runProcessorsOfFile, sealer } from '../../support/processors.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000 };
const SECOND = 1000;
/** Tolerance for a busy machine. */
const SLACK = 3 * SECOND;
const { queues } = await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

interface Tenant {
  org: string;
  /** Current one first. */
  secrets: string[];
}

/** An org with secrets that expire after so many ms; null: never. */
async function addTenant(ends: (number | null)[] = [null]): Promise<Tenant> {
  const org = freshOrg(db);
  const now = db.clock.now();
  const secrets = ends.map(newWebhookSecret);
  const webhook_secrets = secrets.map((secret, index): SigningSecret => {
    const end = ends[index] ?? null;
    return {
      sealed: sealer.seal(secret, webhookSecretContext(org)),
      created_at: now,
      expires_at: end === null ? null : now + end,
    };
  });
  const record = { org_id: org, version: 1, name: 'Org', webhook_secrets, created_at: now, updated_at: now };
  await commit(db.redis, orgWrites(db, 0, record));
  return { org, secrets };
}

const policy = (max_retries: number, backoff_seconds = 1) => ({
  retry_policy: { max_retries, backoff_seconds },
});

/** A task that delivers only `task.queued`, unless `handoff` says otherwise. */
const tell = ({ org }: Tenant, url: string, handoff: Partial<Handoff> = {}): Promise<Task> =>
  addTask(db, org, { handoff: { callback_url: url, events: ['task.queued'], ...handoff } });

const deliveryOf = async (task: Task, sequence = 2) =>
  (await loadDeliveries(db, task.org_id, task.task_id)).get(String(sequence));
const settled = (task: Task, status: string, sequence = 2) =>
  expect.poll(async () => (await deliveryOf(task, sequence))?.status, SOON).toBe(status);
const jobState = (task: Task, sequence = 2) =>
  queues.shards[0].all.webhooks.getJobState(deliveryJob({ ...task, sequence }).opts.jobId);

/** Waits between one attempt and the next, ms. */
const waits = (received: ReceivedRequest[]) =>
  received.slice(1).map((one, index) => one.at - (received[index]?.at ?? 0));

describe('every event of a task', () => {
  it('is delivered once, signed, with its own id and data', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver();
    const { worker_id } = await addWorker(db, tenant.org, { availability: 'offline' });
    const handoff = { callback_url: receiver.url };
    const task = await addTask(db, tenant.org, { handoff, more: { metadata: { ticket: 'ü' } } });
    await applyCommands(
      db,
      task,
      { name: 'match', worker_ids: [worker_id] },
      { name: 'cancel', reason: 'mistake' },
    );
    await expect.poll(() => receiver.received.length, SOON).toBe(4);
    for (const sequence of [1, 2, 3, 4]) await settled(task, 'succeeded', sequence);
    const history = await historyOf(db, task);
    const received = [...receiver.received].sort((a, b) => a.sequence - b.sequence);
    expect(received.map((one) => [one.id, one.type])).toEqual(history.map((one) => [one.event_id, one.type]));
    const [secret = ''] = tenant.secrets;
    for (const one of received) {
      expect(isSigned(secret, one)).toBe(true);
      expect(isSigned(newWebhookSecret(), one)).toBe(false);
      expect(one.headers['content-type']).toBe('application/json');
      expect(one.headers.authorization).toBeUndefined();
      expect(JSON.parse(one.body).data).toMatchObject({ task_id: task.task_id, metadata: { ticket: 'ü' } });
    }
  });

  it('includes the result in task.completed', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver();
    const { worker_id } = await addWorker(db, tenant.org);
    const task = await tell(tenant, receiver.url, { events: ['task.completed'] });
    await expect
      .poll(() => taskOf(db, tenant.org, task.task_id).then((one) => one.status), SOON)
      .toBe('offered');
    await workThrough(db, await taskOf(db, tenant.org, task.task_id), worker_id);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    expect(JSON.parse(receiver.received[0]?.body ?? '').data.result).toMatchObject({
      output: 'done',
      worker_id,
    });
  });

  it('is delivered only if `events` names its type', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver();
    const task = await tell(tenant, receiver.url, { events: ['task.created', 'task.cancelled'] });
    await applyCommands(db, task, { name: 'cancel', reason: null });
    await settled(task, 'succeeded', 3);
    await settled(task, 'succeeded', 1);
    expect(receiver.received.map((one) => one.type).sort()).toEqual(['task.cancelled', 'task.created']);
  });
});

describe('a delivery that fails', () => {
  it('is retried after the backoff and not before, with the same id and bytes and a new signature', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver((_, nth) => ({ status: [404, 302][nth - 1] ?? 200 }));
    const task = await tell(tenant, receiver.url, policy(6));
    await settled(task, 'succeeded');
    const { received } = receiver;
    expect(received).toHaveLength(3);
    for (const [index, wait] of waits(received).entries()) {
      const backoff = SECOND * 2 ** index;
      expect(wait).toBeGreaterThanOrEqual(backoff);
      expect(wait).toBeLessThan(backoff * 1.2 + SLACK);
    }
    expect(new Set(received.map((one) => one.id)).size).toBe(1);
    expect(new Set(received.map((one) => one.body)).size).toBe(1);
    const stamps = received.map((one) => Number(one.headers['webhook-timestamp']));
    expect(new Set(stamps).size).toBe(3);
    for (const one of received) {
      expect(isSigned(tenant.secrets[0] ?? '', one)).toBe(true);
      expect(Math.abs(Number(one.headers['webhook-timestamp']) - one.at / SECOND)).toBeLessThan(3);
    }
    const { attempts } = (await deliveryOf(task)) ?? { attempts: [] };
    expect(attempts.map((one) => one.status)).toEqual([404, 302, 200]);
    expect(attempts.map((one) => one.error_class)).toEqual(['http_status', 'redirect', null]);
    for (const [index, one] of attempts.entries()) {
      expect(one.body).toBe('{"said":"so"}');
      expect(one.address).toBe('127.0.0.1');
      const next = attempts[index + 1];
      if (next === undefined) expect(one.next_attempt_at).toBeNull();
      else expect(next.at).toBeGreaterThanOrEqual(one.next_attempt_at ?? Number.POSITIVE_INFINITY);
    }
    // The first attempt was made without a queue.
    expect(await jobState(task)).toBe('unknown');
  });

  it('waits for Retry-After, but never less than the backoff', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver((one, nth) => {
      if (nth > 1) return { status: 204 };
      return { status: 429, headers: { 'Retry-After': one.path === '/long' ? '3' : '0' } };
    });
    const long = await tell(tenant, receiver.url.replace('/hook', '/long'), policy(6));
    const short = await tell(tenant, receiver.url.replace('/hook', '/short'), policy(6, 2));
    await Promise.all([settled(long, 'succeeded'), settled(short, 'succeeded')]);
    const of = (path: string) => waits(receiver.received.filter((one) => one.path === path))[0];
    expect(of('/long')).toBeGreaterThanOrEqual(3 * SECOND);
    expect(of('/short')).toBeGreaterThanOrEqual(2 * SECOND);
  });

  it('is not retried when max_retries is 0, and is kept as a failed job', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver(() => ({ status: 500 }));
    const task = await tell(tenant, receiver.url, policy(0));
    await settled(task, 'exhausted');
    await expect.poll(() => jobState(task), SOON).toBe('failed');
    expect(receiver.received).toHaveLength(1);
    const job = await queues.shards[0].all.webhooks.getJob(deliveryJob({ ...task, sequence: 2 }).opts.jobId);
    expect(job?.failedReason).toContain('given up after 1 attempts');
  });

  it('is exhausted after its retries and no longer pending', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver(() => ({ status: 503 }));
    const task = await tell(tenant, receiver.url, policy(1));
    await settled(task, 'exhausted');
    expect(receiver.received).toHaveLength(2);
    const [first, ...more] = (await deliveryOf(task))?.attempts ?? [];
    expect(more).toHaveLength(1);
    const { jobId } = retryJob({ ...task, sequence: 2 }, first?.next_attempt_at ?? 0, 0).opts;
    await expect.poll(() => queues.shards[0].all.retries.getJobState(jobId), SOON).toBe('failed');
    expect(await dueTimeOf(db, { ...task, sequence: 2 })).toBeNull();
  });

  it('is retried in the retries queue, separate from first attempts', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver((_, nth) => ({ status: nth === 1 ? 500 : 204 }));
    await queues.shards[0].all.retries.pause();
    onTestFinished(() => queues.shards[0].all.retries.resume());
    const tried = await tell(tenant, receiver.url, policy(1));
    await expect.poll(async () => (await deliveryOf(tried))?.attempts.length, SOON).toBe(1);
    const due = async () => (await dueTimeOf(db, { ...tried, sequence: 2 })) ?? 0;
    await expect.poll(async () => db.clock.now() - (await due()), SOON).toBeGreaterThan(0);
    const fresh = await startCallbackReceiver();
    await settled(await tell(tenant, fresh.url), 'succeeded');
    expect([receiver.received.length, fresh.received.length]).toEqual([1, 1]);
    await queues.shards[0].all.retries.resume();
    await settled(tried, 'succeeded');
    expect(receiver.received).toHaveLength(2);
  });

  it('does not delay others', async () => {
    const tenant = await addTenant();
    const failing = await startCallbackReceiver(() => ({ status: 500 }));
    const receiver = await startCallbackReceiver();
    await Promise.all(Array.from({ length: 40 }, () => tell(tenant, failing.url, policy(1, 3600))));
    const startedAt = Date.now();
    const task = await tell(tenant, receiver.url);
    await settled(task, 'succeeded');
    expect((receiver.received[0]?.at ?? 0) - startedAt).toBeLessThan(SLACK);
  });

  it('to a closed port is retried like any other', async () => {
    const tenant = await addTenant();
    const task = await tell(tenant, 'http://127.0.0.1:1/', policy(1));
    await settled(task, 'exhausted');
    const { attempts } = (await deliveryOf(task)) ?? { attempts: [] };
    expect(attempts.map((one) => [one.status, one.error_class])).toEqual([
      [null, 'connect'],
      [null, 'connect'],
    ]);
  });
});

describe('a receiver', () => {
  it('that answers 410 gets no further events of this task, and all of other tasks', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver((one) => ({ status: one.path === '/gone' ? 410 : 204 }));
    const events = ['task.queued', 'task.cancelled'] as const;
    const gone = await tell(tenant, receiver.url.replace('/hook', '/gone'), {
      ...policy(6),
      events: [...events],
    });
    await settled(gone, 'exhausted');
    await applyCommands(db, gone, { name: 'cancel', reason: null });
    await settled(gone, 'stopped', 3);
    expect(receiver.received.map((one) => one.type)).toEqual(['task.queued']);
    const other = await tell(tenant, receiver.url, { ...policy(6), events: [...events] });
    await applyCommands(db, other, { name: 'cancel', reason: null });
    await settled(other, 'succeeded', 3);
  });

  it('that redirects is not followed', async () => {
    const tenant = await addTenant();
    const elsewhere = await startCallbackReceiver();
    const receiver = await startCallbackReceiver(() => ({
      status: 307,
      headers: { Location: elsewhere.url },
    }));
    const task = await tell(tenant, receiver.url, policy(1));
    await settled(task, 'exhausted');
    expect(receiver.received).toHaveLength(2);
    expect(elsewhere.received).toEqual([]);
  });

  it('that is slow is not sent the same event again during the attempt', async () => {
    const tenant = await addTenant();
    const { open: answer, opened: after } = deferred();
    const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
    const task = await tell(tenant, receiver.url);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    // The same delivery again, as the sweeper might add it.
    const again = deliveryJob({ ...task, sequence: 2 }, 'again');
    await queues.add([again]);
    await expect
      .poll(() => queues.shards[0].all.webhooks.getJobState(again.opts.jobId), SOON)
      .toBe('completed');
    expect(receiver.received).toHaveLength(1);
    answer();
    await settled(task, 'succeeded');
    expect(receiver.received).toHaveLength(1);
  });
});

describe('the signature', () => {
  it('is made with both secrets during a rotation, so receivers with either verify it', async () => {
    const tenant = await addTenant([null, 3600_000]);
    const receiver = await startCallbackReceiver();
    await tell(tenant, receiver.url);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const [request] = receiver.received;
    if (request === undefined) throw new Error('nothing came');
    expect(String(request.headers['webhook-signature']).split(' ')).toHaveLength(2);
    for (const secret of tenant.secrets) expect(isSigned(secret, request)).toBe(true);
  });

  it('is not made with an expired secret', async () => {
    const tenant = await addTenant([null, -1]);
    const receiver = await startCallbackReceiver();
    await tell(tenant, receiver.url);
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const [request] = receiver.received;
    if (request === undefined) throw new Error('nothing came');
    expect(tenant.secrets.map((secret) => isSigned(secret, request))).toEqual([true, false]);
  });
});

describe('the credential of the callback', () => {
  const basic = Buffer.from('user:pass:wörd').toString('base64');
  const credentials = [
    ['bearer', 'a-token-of-theirs', 'Bearer a-token-of-theirs'],
    ['basic', basic, `Basic ${basic}`],
  ] as const;

  it.each(credentials)('%s is not stored when the receiver echoes it', async (type, plain, header) => {
    const tenant = await addTenant();
    const decoded = Buffer.from(plain, 'base64').toString();
    const receiver = await startCallbackReceiver(() => ({
      status: 401,
      headers: { 'X-Echo': `got ${header}` },
      body: `who is ${header}? ${plain}, that is ${decoded}; not "pass:wörd"`,
    }));
    const sealed = sealer.seal(plain, callbackAuthContext(tenant.org));
    const task = await tell(tenant, receiver.url, { ...policy(0), callback_auth: { type, sealed } });
    await settled(task, 'exhausted');
    const [attempt] = (await deliveryOf(task))?.attempts ?? [];
    expect(attempt?.headers['x-echo']).toBe('got [redacted]');
    expect(attempt?.body).toMatch(/^who is \[redacted\]\? \[redacted\], that is /);
    expect(attempt?.body.includes('pass:wörd')).toBe(type === 'bearer');
  });

  it.each(credentials)('%s is sent on every attempt', async (type, plain, header) => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver((_, nth) => ({ status: nth === 1 ? 500 : 204 }));
    const sealed = sealer.seal(plain, callbackAuthContext(tenant.org));
    const task = await tell(tenant, receiver.url, { ...policy(1), callback_auth: { type, sealed } });
    await settled(task, 'succeeded');
    expect(receiver.received.map((one) => one.headers.authorization)).toEqual([header, header]);
  });

  it('of another org cannot be opened: nothing is sent without it, and the delivery records why', async () => {
    const tenant = await addTenant();
    const receiver = await startCallbackReceiver();
    const sealed = sealer.seal('stolen', callbackAuthContext(freshOrg(db)));
    const task = await tell(tenant, receiver.url, { callback_auth: { type: 'bearer', sealed } });
    await expect.poll(async () => (await deliveryOf(task))?.attempts.length, SOON).toBe(1);
    expect(await deliveryOf(task)).toMatchObject({
      status: 'pending',
      attempts: [{ error_class: 'secret_unavailable', status: null }],
    });
    expect(receiver.received).toEqual([]);
  });
});

it('a redelivery has the same bytes', async () => {
  const tenant = await addTenant();
  const receiver = await startCallbackReceiver();
  const { worker_id } = await addWorker(db, tenant.org, { availability: 'offline' });
  const task = await tell(tenant, receiver.url);
  await settled(task, 'succeeded');
  // The task has changed and its record is packed when the event is delivered again.
  await applyCommands(db, task, { name: 'match', worker_ids: [worker_id] }, { name: 'cancel', reason: null });
  const { pendingDeliveries } = orgKeysOf(db.prefix, tenant.org);
  await db.redis.zadd(pendingDeliveries, 1, `${tenant.org} ${task.task_id} 2`);
  await queues.add([deliveryJob({ ...task, sequence: 2 }, 'by-hand')]);
  await expect.poll(() => receiver.received.length, SOON).toBe(2);
  expect(receiver.received[1]?.body).toBe(receiver.received[0]?.body);
  expect(receiver.received[1]?.id).toBe(receiver.received[0]?.id);
});
