// A job that is lost while the receiver has its request: others take it over, and the receiver is not asked twice,
// since what counts is the lease of the delivery, whatever becomes of the job's lock.
import { expect, it } from 'vitest';
import { deliveryJob, retryJob } from '../../src/queues/catalogue.ts';
import { queuePrefix } from '../../src/queues/queues.ts';
import { dueTimeOf, loadDeliveries, type Owed } from '../../src/store/deliveries.ts';
import { fieldOf } from '../../src/store/delivery-places.ts';
import { freshOrg, openTestDb } from '../support/db.ts';
import { addEndpoint, oweMessages } from '../support/endpoints.ts';
import { runProcessorsOfFile } from '../support/processors.ts';
import { startCallbackReceiver } from './callback-receiver.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000, interval: 20 };
/** Two worker processes, whose locks are much shorter than a request may take. */
const options = { jobLock: 500, sweepEvery: 3600_000 };
const { queues } = await runProcessorsOfFile(db, options);
await runProcessorsOfFile(db, options);
const { webhooks, retries } = queues.all;

it('a job whose lock is lost is taken over, and its delivery is still made by one alone', async () => {
  let answer = () => {};
  const after = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
  const { org_id, endpoint_id } = endpoint;
  const [task_id = ''] = await oweMessages(db, endpoint, 1);
  const owed: Owed = { org_id, task_id, sequence: 0, endpoint_id };
  await expect.poll(() => receiver.come.length, SOON).toBe(1);

  const { jobId } = deliveryJob(owed, 'first').opts;
  const takenOver = async () => {
    // A lock that is gone is not renewed.
    await db.redis.del(`${queuePrefix(db.prefix)}:webhooks:${jobId}:lock`);
    return (await webhooks.getJob(jobId))?.stalledCounter;
  };
  await expect.poll(takenOver, SOON).toBeGreaterThan(0);
  await expect.poll(() => webhooks.getJobState(jobId), SOON).toBe('completed');
  // Whoever took it over has put it off to the end of the lease. Should they come before, they go away again.
  const later = retryJob(owed, (await dueTimeOf(db, owed)) ?? 0, 0).opts.jobId;
  const come = async () => (await retries.getJob(later))?.attemptsStarted;
  expect(await come()).toBe(0);
  await (await retries.getJob(later))?.promote();
  await expect.poll(come, SOON).toBe(1);
  await expect.poll(() => retries.getJobState(later), SOON).toBe('delayed');
  expect(receiver.come).toHaveLength(1);

  answer();
  const delivery = async () => (await loadDeliveries(db, org_id, task_id)).get(fieldOf(owed));
  await expect.poll(async () => (await delivery())?.status, SOON).toBe('succeeded');
  await (await retries.getJob(later))?.promote();
  await expect.poll(() => retries.getJobState(later), SOON).toBe('completed');
  expect(receiver.come).toHaveLength(1);
  expect((await delivery())?.attempts.map((one) => one.status)).toEqual([204]);
});
