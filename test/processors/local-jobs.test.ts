// Jobs that run in the process that relays them: without a queue while there is capacity, otherwise from their queue.
import { UnrecoverableError } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalJobs } from '../../src/processors/local-jobs.ts';
import { ParallelLimit } from '../../src/processors/parallel-limit.ts';
import type { NewJob } from '../../src/queues/catalogue.ts';
import { deliveryJob, matchingJob, retryJob } from '../../src/queues/new-jobs.ts';
import type { Queues } from '../../src/queues/queues.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { startCallbackReceiver } from '../support/callback-receiver.ts';
import {
  accept,
  addOrg,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  openTestDb,
  taskOf,
} from '../support/db.ts';
import { addEndpoint, enqueueMessages } from '../support/endpoints.ts';
import { ERRORS_ONLY, openQueues, outboxLength, runProcessors, runRelay } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });
const SOON = { timeout: 15_000 };

/** Local jobs, one at a time, that run until they are told to succeed or fail. */
function oneAtATime(queues: Queues) {
  const running: { job: string; end(error?: Error): void }[] = [];
  const run = (job: { data: { turn?: string; task_id?: string } }) =>
    new Promise<void>((resolve, reject) => {
      running.push({
        job: job.data.turn ?? job.data.task_id ?? '',
        end: (error) => (error ? reject(error) : resolve()),
      });
    });
  const limits = new Map([
    ['lifecycle', new ParallelLimit(1)],
    ['webhooks', new ParallelLimit(1)],
  ] as const);
  const runners = { lifecycle: run, sla: run, webhooks: run, retries: run, bulk: run, notifications: run };
  const local = new LocalJobs({ queues, runners, limits, log: ERRORS_ONLY });
  onTestFinished(async () => {
    for (const one of running) one.end();
    await local.close();
  });
  return { local, running };
}

const turnsIn = async (queues: Queues) =>
  (await queues.shards[0].all.lifecycle.getJobs(['waiting'])).map((job) => job.data.turn);

describe('a job that is added', () => {
  it('runs without its queue: a task is matched, verified and completed', async () => {
    const db = ownStore();
    const { queues } = await runProcessors(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org);
    const { task_id } = await addTask(db, org);
    const status = async () => (await taskOf(db, org, task_id)).status;
    await expect.poll(status, SOON).toBe('offered');
    const accepted = await accept(db, await taskOf(db, org, task_id), worker_id);
    const submission = { output: 'done', evidence: [], notes: null };
    await applyCommands(
      db,
      accepted,
      { name: 'start', worker_id },
      { name: 'submit', worker_id, submission },
    );
    await expect.poll(status, SOON).toBe('completed');
    expect(
      await queues.shards[0].all.lifecycle.getJobCountByTypes('completed', 'failed', 'waiting', 'active'),
    ).toBe(0);
  });

  it('goes to its queue when there is no capacity, when it is delayed, and when the process is closing', async () => {
    const queues = openQueues(ownStore());
    const { local, running } = oneAtATime(queues);
    await local.add([matchingJob('org', '1'), matchingJob('org', '2')]);
    expect(running.map((one) => one.job)).toEqual(['1']);
    expect(await turnsIn(queues)).toEqual(['2']);
    running[0]?.end();
    await expect
      .poll(async () => {
        await local.add([matchingJob('org', '3')]);
        return running.map((one) => one.job);
      }, SOON)
      .toEqual(['1', '3']);
    const closed = local.close();
    await local.add([matchingJob('org', '4')]);
    expect(await turnsIn(queues)).toContain('4');
    running[1]?.end();
    await closed;
  });

  it('goes to its queue when it fails', async () => {
    const queues = openQueues(ownStore());
    const { local, running } = oneAtATime(queues);
    const job: NewJob = matchingJob('org', '1');
    await local.add([job]);
    running[0]?.end(new Error('it failed'));
    await expect.poll(() => turnsIn(queues), SOON).toEqual(['1']);
  });

  it('is a first attempt of a delivery: it runs without its queue; a retry does not', async () => {
    const queues = openQueues(ownStore());
    const { local, running } = oneAtATime(queues);
    const target = { org_id: 'org', task_id: 'task', sequence: 1 };
    const now = Date.now();
    // Two entries of the outbox may ask for the same one.
    await local.add([deliveryJob(target), deliveryJob(target), retryJob(target, now, now)]);
    expect(running.map((one) => one.job)).toEqual(['task']);
    const { webhooks, retries } = queues.shards[0].all;
    expect([await webhooks.getWaitingCount(), await retries.getWaitingCount()]).toEqual([0, 1]);
  });

  it('is among the failed jobs of its queue, with the reason, when it failed for good', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const { local, running } = oneAtATime(queues);
    const about = { org_id: freshOrg(db), task_id: 'task', sequence: 1 };
    const job = deliveryJob(about);
    await local.add([job]);
    running[0]?.end(new UnrecoverableError('given up'));
    const { webhooks } = queues.shards[0].all;
    await expect.poll(() => webhooks.getJobState(job.opts.jobId), SOON).toBe('waiting');
    await runProcessors(db);
    await expect.poll(() => webhooks.getJobState(job.opts.jobId), SOON).toBe('failed');
    expect((await webhooks.getJob(job.opts.jobId))?.failedReason).toBe('given up');
    // Retried by the sweeper or an operator, it is run: there is nothing to send any more.
    await (await webhooks.getJob(job.opts.jobId))?.retry();
    await expect.poll(() => webhooks.getJobState(job.opts.jobId), SOON).toBe('completed');
  });
});

describe('a first attempt of a delivery', () => {
  it('runs without its queue, also when an earlier event was waited for', async () => {
    const db = ownStore();
    const { queues } = await runProcessors(db);
    const receiver = await startCallbackReceiver();
    const endpoint = await addEndpoint(db, freshOrg(db), receiver.url, { ordering: 'per_task' });
    const task = await addTask(db, endpoint.org_id);
    await applyCommands(db, task, { name: 'cancel', reason: null });
    await expect.poll(() => receiver.received.map((one) => one.sequence), SOON).toEqual([1, 2, 3]);
    expect(
      await queues.shards[0].all.webhooks.getJobCountByTypes('completed', 'failed', 'waiting', 'active'),
    ).toBe(0);
  });

  it('is made again by another process when its process is lost between the entry and the attempt', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const receiver = await startCallbackReceiver();
    const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
    // The entry is relayed and removed, and nothing runs what was started.
    const relay = await runRelay(db, queues);
    const [id = ''] = await enqueueMessages(db, endpoint, 1);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    await relay.close();
    await queues.shards[0].all.webhooks.obliterate({ force: true });
    await runProcessors(db, { sweepEvery: 200 });
    await expect.poll(() => receiver.received.map((one) => one.id), SOON).toEqual([id]);
  });
});
