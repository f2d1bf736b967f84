// Several jobs of one delivery at the same time, because a job lost its lock during the request or a redelivery was
// requested: only the job with the lease sends the request.
import { expect, it } from 'vitest';
import type { QueueName } from '../../../src/queues/catalogue.ts';
import { deliveryJob, retryJob } from '../../../src/queues/new-jobs.ts';
import { queuePrefix } from '../../../src/queues/shards.ts';
import { loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import { dueTimeOf } from '../../../src/store/webhooks/delivery-lease.ts';
import { type DeliveryTarget, fieldOf } from '../../../src/store/webhooks/delivery-target.ts';
import { resend } from '../../../src/store/webhooks/fan-out.ts';
import { startCallbackReceiver } from '../../support/callback-receiver.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { deferred } from '../../support/deferred.ts';
import { addEndpoint, enqueueMessages } from '../../support/endpoints.ts';
import { runProcessorsOfFile, runRelay } from '../../support/processors.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000, interval: 20 };
/**
 * Two worker processes, whose locks are much shorter than a request may take. They relay nothing, so the relay of a test adds
 * all deliveries to their queue.
 */
const workerQueues = new Map<QueueName, null>([
  ['webhooks', null],
  ['retries', null],
]);
const options = { jobLock: 500, sweepEvery: 3600_000, workerQueues };
const { queues } = await runProcessorsOfFile(db, options);
await runProcessorsOfFile(db, options);
const { webhooks, retries } = queues.shards[0].all;

const deliveryOf = async (target: DeliveryTarget) =>
  (await loadDeliveries(db, target.org_id, target.task_id)).get(fieldOf(target));

/** A receiver that answers when the test says so. */
async function startHolding(reply: (nth: number) => number) {
  const { open: answer, opened: after } = deferred();
  const receiver = await startCallbackReceiver((_, nth) => {
    const status = reply(nth);
    return status === 204 ? { status, after } : { status };
  });
  return { receiver, answer };
}

it('a job that lost its lock is taken over, and only one of the two sends the delivery', async () => {
  await runRelay(db, queues);
  const { receiver, answer } = await startHolding(() => 204);
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
  const { org_id, endpoint_id } = endpoint;
  const [task_id = ''] = await enqueueMessages(db, endpoint, 1);
  const target: DeliveryTarget = { org_id, task_id, sequence: 0, endpoint_id };
  await expect.poll(() => receiver.received.length, SOON).toBe(1);

  const { jobId } = deliveryJob(target, 'first').opts;
  const takenOver = async () => {
    // A lost lock is not renewed.
    await db.redis.del(`${queuePrefix(db.prefix, 0)}:webhooks:${jobId}:lock`);
    return (await webhooks.getJob(jobId))?.stalledCounter;
  };
  await expect.poll(takenOver, SOON).toBeGreaterThan(0);
  await expect.poll(() => webhooks.getJobState(jobId), SOON).toBe('completed');
  // The process that took the job over delayed it to the end of the lease, and delays it again if it runs earlier.
  const later = retryJob(target, (await dueTimeOf(db, target)) ?? 0, 0).opts.jobId;
  const attempts = async () => (await retries.getJob(later))?.attemptsStarted;
  expect(await attempts()).toBe(0);
  await (await retries.getJob(later))?.promote();
  await expect.poll(attempts, SOON).toBe(1);
  await expect.poll(() => retries.getJobState(later), SOON).toBe('delayed');
  expect(receiver.received).toHaveLength(1);

  answer();
  await expect.poll(async () => (await deliveryOf(target))?.status, SOON).toBe('succeeded');
  await (await retries.getJob(later))?.promote();
  await expect.poll(() => retries.getJobState(later), SOON).toBe('completed');
  expect(receiver.received).toHaveLength(1);
  expect((await deliveryOf(target))?.attempts.map((one) => one.status)).toEqual([204]);
});

it('a redelivery at the moment of a retry sends the delivery once', async () => {
  await runRelay(db, queues);
  const { receiver, answer } = await startHolding((nth) => (nth === 1 ? 500 : 204));
  const retry_policy = { max_retries: 1, backoff_seconds: 1 };
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url, { retry_policy });
  const { org_id, endpoint_id } = endpoint;
  await retries.pause();
  const ids = await enqueueMessages(db, endpoint, 10);
  const all = ids.map((task_id): DeliveryTarget => ({ org_id, task_id, sequence: 0, endpoint_id }));
  await expect.poll(() => retries.getDelayedCount(), SOON).toBeGreaterThanOrEqual(10);
  const dues = await Promise.all(all.map((target) => dueTimeOf(db, target)));
  await expect.poll(() => db.clock.now(), SOON).toBeGreaterThan(Math.max(...dues.map(Number)));

  const sendAgain = async (target: DeliveryTarget) =>
    resend(db, target, (await deliveryOf(target)) ?? null, 0, 'by-hand', null);
  const [, ...done] = await Promise.all([retries.resume(), ...all.map(sendAgain)]);
  await expect.poll(() => receiver.received.length, SOON).toBe(20);
  // Each delivery has two jobs, unless the retry came first, and both have started.
  const begun = () =>
    Promise.all(
      all.flatMap((target, index) => [
        retries.getJob(retryJob(target, dues[index] ?? 0, 0).opts.jobId),
        ...(done[index] === 'ok' ? [webhooks.getJob(deliveryJob(target, 'by-hand').opts.jobId)] : []),
      ]),
    );
  await expect
    .poll(async () => (await begun()).every((job) => (job?.attemptsStarted ?? 0) > 0), SOON)
    .toBe(true);
  // Jobs that do not wait for the answer have ended or wait for the end of the lease.
  await expect
    .poll(async () => (await webhooks.getActiveCount()) + (await retries.getActiveCount()), SOON)
    .toBe(10);
  expect(receiver.received).toHaveLength(20);
  answer();
  for (const target of all) {
    await expect.poll(async () => (await deliveryOf(target))?.status, SOON).toBe('succeeded');
    expect((await deliveryOf(target))?.attempts.map((one) => one.status)).toEqual([500, 204]);
  }
});
