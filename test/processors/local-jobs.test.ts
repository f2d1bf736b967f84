// Jobs that run in the process that relays them: without a queue while there is capacity, otherwise from their queue.
import { UnrecoverableError } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalJobs } from '../../src/processors/local-jobs.ts';
import type { NewJob } from '../../src/queues/catalogue.ts';
import { deliveryJob, matchingJob, retryJob } from '../../src/queues/new-jobs.ts';
import type { Queues } from '../../src/queues/queues.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { accept, addOrg, addTask, addWorker, applyCommands, openTestDb, taskOf } from '../support/db.ts';
import { ERRORS_ONLY, openQueues, runProcessors } from '../support/processors.ts';
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
  const runners = { lifecycle: run, sla: run, webhooks: run, retries: run, bulk: run, notifications: run };
  const limits = { lifecycle: 1, webhooks: 1 };
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

  it('is not repeated when it cannot succeed', async () => {
    const queues = openQueues(ownStore());
    const { local, running } = oneAtATime(queues);
    await local.add([matchingJob('org', '1')]);
    running[0]?.end(new UnrecoverableError('it never succeeds'));
    await local.close();
    expect(await turnsIn(queues)).toEqual([]);
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
});
