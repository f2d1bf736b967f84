// Kills a worker process between two steps: the next process completes the work, and nothing happens twice. A proxy for
// Redis holds the process at the step.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { firstBroken } from '../../src/state/tasks/history.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { loadDeliveries } from '../../src/store/webhooks/deliveries.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  indexErrors,
  taskOf,
  workerOf,
  workThrough,
} from '../support/db.ts';
import { deleteAllJobs, outboxLength } from '../support/processors.ts';
import { openStage, type Stage } from './stage.ts';

/** Longer than locks, leases and pending outbox entries of a dead process last. */
const RESCUED = { timeout: 60_000, interval: 100 };
const SOON = { timeout: 20_000, interval: 20 };

let stage: Stage;
let db: Db;
beforeEach(async () => {
  stage = await openStage();
  db = stage.db;
});
afterEach(() => stage.close());

const now = (task: Task) => taskOf(db, task.org_id, task.task_id);
const statusOf = (task: Task) => now(task).then((one) => one.status);
const pendingEntries = async (org: string) =>
  Number((await db.redis.xpending(orgKeysOf(db.prefix, org).outbox, 'relay'))[0]);

/** Expects each event once, a valid chain, consistent indexes and an empty outbox. */
async function isWhole(task: Task, types: readonly string[]): Promise<void> {
  const history = await historyOf(db, task);
  expect(history.map((one) => one.type.slice('task.'.length))).toEqual(types);
  expect(firstBroken(history)).toBeNull();
  expect(await indexErrors(db, await now(task))).toEqual([]);
  await expect.poll(() => outboxLength(db), RESCUED).toBe(0);
}

const OFFERED = ['created', 'queued', 'matched', 'offered'];
/** How the feed names the events of a commit: the sequence of the first, and a letter for each (`store/tasks/feed-reference.ts`). */
const OFFER_COMMIT = '3mo\r\n';
const END_COMMIT = '8vz\r\n';
const COMPLETED = [...OFFERED, 'accepted', 'started', 'submitted', 'verified', 'completed'];

it('completes the work of a process killed after it received an outbox entry and before it added jobs', async () => {
  const org = freshOrg(db);
  await addWorker(db, org, { capacity: 20 });
  const first = await stage.startWorker(stage.proxy.url);
  // The entry of the worker is done, so the next read is that of the task's.
  await expect.poll(() => outboxLength(db), SOON).toBe(0);
  const cut = stage.proxy.cutReply('xreadgroup');
  const task = await addTask(db, org);
  await cut;
  await stage.kill(first);
  expect([await statusOf(task), await pendingEntries(org)]).toEqual(['queued', 1]);
  await stage.startWorker();
  await expect.poll(() => statusOf(task), RESCUED).toBe('offered');
  await isWhole(task, OFFERED);
});

it('completes the work of a process killed after it added the jobs of an entry and before the acknowledgement', async () => {
  const org = freshOrg(db);
  const first = await stage.startWorker(stage.proxy.url);
  const { held } = stage.proxy.hold('xack');
  const task = await addTask(db, org);
  await held;
  await stage.kill(first);
  expect([await statusOf(task), await pendingEntries(org)]).toEqual(['queued', 1]);
  await addWorker(db, org);
  await stage.startWorker();
  await expect.poll(() => statusOf(task), RESCUED).toBe('offered');
  await expect.poll(() => pendingEntries(org), RESCUED).toBe(0);
  await isWhole(task, OFFERED);
});

it('completes the work of a process killed after it chose a worker and before the commit', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org);
  const first = await stage.startWorker(stage.proxy.url);
  const { held } = stage.proxy.hold(OFFER_COMMIT);
  const task = await addTask(db, org);
  await held;
  await stage.kill(first);
  expect(await statusOf(task)).toBe('queued');
  await stage.startWorker();
  await expect.poll(() => statusOf(task), RESCUED).toBe('offered');
  await isWhole(task, OFFERED);
  expect((await workerOf(db, org, worker_id)).reservations).toEqual([task.task_id]);
});

it('completes the work of a process killed after it committed an offer and before the reply', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org);
  const first = await stage.startWorker(stage.proxy.url);
  // The connection is closed before the kill, or the process would reconnect and repeat the command.
  const cut = stage.proxy.cutReply(OFFER_COMMIT);
  const task = await addTask(db, org);
  await cut;
  await stage.kill(first);
  expect(await statusOf(task)).toBe('offered');
  await stage.startWorker();
  await expect.poll(() => outboxLength(db), RESCUED).toBe(0);
  await isWhole(task, OFFERED);
  const [offer, ...more] = (await now(task)).offers;
  expect([offer?.worker_id, offer?.status, more]).toEqual([worker_id, 'pending', []]);
  expect((await workerOf(db, org, worker_id)).reservations).toEqual([task.task_id]);
});

it('completes the work of a process killed after it verified a submission and before the commit', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org);
  const first = await stage.startWorker(stage.proxy.url);
  const task = await addTask(db, org);
  await expect.poll(() => statusOf(task), SOON).toBe('offered');
  const { held } = stage.proxy.hold(END_COMMIT);
  await workThrough(db, await now(task), worker_id);
  await held;
  await stage.kill(first);
  expect(await statusOf(task)).toBe('submitted');
  await stage.startWorker();
  await expect.poll(() => statusOf(task), RESCUED).toBe('completed');
  await isWhole(task, COMPLETED);
});

interface ReceivedRequest {
  id: string;
  body: string;
}

/** Starts a receiver that responds to the `nth` request with the status `answer(nth)`. */
async function startReceiver(answer: (nth: number) => number = () => 204) {
  const received: ReceivedRequest[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += piece;
    received.push({ id: String(request.headers['webhook-id']), body });
    response.writeHead(answer(received.length)).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, callback_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

const deliveryOf = async (task: Task, sequence: number) =>
  (await loadDeliveries(db, task.org_id, task.task_id)).get(String(sequence));

it('repeats a delivery with the same bytes when a process is killed before it recorded the attempt', async () => {
  const { received, callback_url } = await startReceiver();
  const org = await stage.signingOrg();
  const first = await stage.startWorker(stage.proxy.url);
  // The script that records an attempt names the `dead` set; the one that leases a delivery does not.
  const { held } = stage.proxy.hold(':dead');
  const task = await addTask(db, org, { handoff: { callback_url, events: ['task.queued'] } });
  await held;
  await stage.kill(first);
  expect(received).toHaveLength(1);
  await stage.startWorker();
  await expect.poll(async () => (await deliveryOf(task, 2))?.status, RESCUED).toBe('succeeded');
  expect(received).toHaveLength(2);
  expect(received[1]).toEqual(received[0]);
  expect((await deliveryOf(task, 2))?.attempts).toHaveLength(1);
});

it('continues ordered deliveries in order when a process is killed', async () => {
  const { received, callback_url } = await startReceiver((nth) => (nth % 5 === 0 ? 500 : 204));
  const org = await stage.signingOrg();
  const { worker_id } = await addWorker(db, org, { availability: 'offline' });
  const [first] = await Promise.all([stage.startWorker(), stage.startWorker()]);
  const retry_policy = { max_retries: 10, backoff_seconds: 1 };
  const tasks: Task[] = [];
  for (let index = 0; index < 30; index += 1) {
    const task = await addTask(db, org, { handoff: { callback_url, retry_policy, ordering: 'per_task' } });
    await applyCommands(
      db,
      task,
      { name: 'match', worker_ids: [worker_id] },
      { name: 'cancel', reason: 'mistake' },
    );
    tasks.push(task);
    if (index === 15) await stage.kill(first);
  }
  for (const task of tasks)
    for (const sequence of [1, 2, 3, 4])
      await expect.poll(async () => (await deliveryOf(task, sequence))?.status, RESCUED).toBe('succeeded');
  for (const { task_id } of tasks) {
    const mine = received.map((one) => JSON.parse(one.body).data).filter((data) => data.task_id === task_id);
    expect([...new Set(mine.map((data) => data.sequence))]).toEqual([1, 2, 3, 4]);
  }
});

it('recreates a retry when all keys of BullMQ are lost', async () => {
  const { received, callback_url } = await startReceiver((nth) => (nth === 1 ? 500 : 204));
  const org = await stage.signingOrg();
  await stage.startWorker();
  const retry_policy = { max_retries: 1, backoff_seconds: 3 };
  const task = await addTask(db, org, { handoff: { callback_url, events: ['task.queued'], retry_policy } });
  await expect.poll(async () => (await deliveryOf(task, 2))?.attempts.length, SOON).toBe(1);
  await deleteAllJobs(db);
  await expect.poll(async () => (await deliveryOf(task, 2))?.status, RESCUED).toBe('succeeded');
  expect(received).toHaveLength(2);
  expect(received[1]).toEqual(received[0]);
});
