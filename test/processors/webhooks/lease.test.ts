// Several jobs of one delivery at a time, be it that one was lost while the receiver has its request and others take
// it over, or that it is sent again by hand: the receiver is asked by one of them alone, the one with the lease.
import { expect, it } from 'vitest';
import { deliveryJob, retryJob } from '../../../src/queues/catalogue.ts';
import { queuePrefix } from '../../../src/queues/queues.ts';
import { type DeliveryTarget, dueTimeOf, loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import { fieldOf } from '../../../src/store/webhooks/delivery-target.ts';
import { resend } from '../../../src/store/webhooks/fan-out.ts';
import { startCallbackReceiver } from '../../support/callback-receiver.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { addEndpoint, oweMessages } from '../../support/endpoints.ts';
import { gate } from '../../support/gate.ts';
import { runProcessorsOfFile } from '../../support/processors.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000, interval: 20 };
/** Two worker processes, whose locks are much shorter than a request may take. */
const options = { jobLock: 500, sweepEvery: 3600_000 };
const { queues } = await runProcessorsOfFile(db, options);
await runProcessorsOfFile(db, options);
const { webhooks, retries } = queues.all;

const deliveryOf = async (target: DeliveryTarget) =>
  (await loadDeliveries(db, target.org_id, target.task_id)).get(fieldOf(target));

/** Receives what is answered when the test says so. */
async function startHolding(reply: (nth: number) => number) {
  const { open: answer, after } = gate();
  const receiver = await startCallbackReceiver((_, nth) => {
    const status = reply(nth);
    return status === 204 ? { status, after } : { status };
  });
  return { receiver, answer };
}

it('a job whose lock is lost is taken over, and its delivery is still made by one alone', async () => {
  const { receiver, answer } = await startHolding(() => 204);
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
  const { org_id, endpoint_id } = endpoint;
  const [task_id = ''] = await oweMessages(db, endpoint, 1);
  const target: DeliveryTarget = { org_id, task_id, sequence: 0, endpoint_id };
  await expect.poll(() => receiver.come.length, SOON).toBe(1);

  const { jobId } = deliveryJob(target, 'first').opts;
  const takenOver = async () => {
    // A lock that is gone is not renewed.
    await db.redis.del(`${queuePrefix(db.prefix)}:webhooks:${jobId}:lock`);
    return (await webhooks.getJob(jobId))?.stalledCounter;
  };
  await expect.poll(takenOver, SOON).toBeGreaterThan(0);
  await expect.poll(() => webhooks.getJobState(jobId), SOON).toBe('completed');
  // Whoever took it over has put it off to the end of the lease. Should they come before, they go away again.
  const later = retryJob(target, (await dueTimeOf(db, target)) ?? 0, 0).opts.jobId;
  const come = async () => (await retries.getJob(later))?.attemptsStarted;
  expect(await come()).toBe(0);
  await (await retries.getJob(later))?.promote();
  await expect.poll(come, SOON).toBe(1);
  await expect.poll(() => retries.getJobState(later), SOON).toBe('delayed');
  expect(receiver.come).toHaveLength(1);

  answer();
  await expect.poll(async () => (await deliveryOf(target))?.status, SOON).toBe('succeeded');
  await (await retries.getJob(later))?.promote();
  await expect.poll(() => retries.getJobState(later), SOON).toBe('completed');
  expect(receiver.come).toHaveLength(1);
  expect((await deliveryOf(target))?.attempts.map((one) => one.status)).toEqual([204]);
});

it('deliveries that are sent again by hand in the moment of their retry are made once', async () => {
  const { receiver, answer } = await startHolding((nth) => (nth === 1 ? 500 : 204));
  const retry_policy = { max_retries: 1, backoff_seconds: 1 };
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url, { retry_policy });
  const { org_id, endpoint_id } = endpoint;
  await retries.pause();
  const ids = await oweMessages(db, endpoint, 10);
  const all = ids.map((task_id): DeliveryTarget => ({ org_id, task_id, sequence: 0, endpoint_id }));
  await expect.poll(() => retries.getDelayedCount(), SOON).toBeGreaterThanOrEqual(10);
  const dues = await Promise.all(all.map((target) => dueTimeOf(db, target)));
  await expect.poll(() => db.clock.now(), SOON).toBeGreaterThan(Math.max(...dues.map(Number)));

  const sendAgain = async (target: DeliveryTarget) =>
    resend(db, target, (await deliveryOf(target)) ?? null, 0, 'by-hand', null);
  const [, ...done] = await Promise.all([retries.resume(), ...all.map(sendAgain)]);
  await expect.poll(() => receiver.come.length, SOON).toBe(20);
  // Each has two jobs, unless the retry was there first, and both have been begun.
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
  // Those that are not waiting for the receiver's answer are over, or wait for the end of the lease.
  await expect
    .poll(async () => (await webhooks.getActiveCount()) + (await retries.getActiveCount()), SOON)
    .toBe(10);
  expect(receiver.come).toHaveLength(20);
  answer();
  for (const target of all) {
    await expect.poll(async () => (await deliveryOf(target))?.status, SOON).toBe('succeeded');
    expect((await deliveryOf(target))?.attempts.map((one) => one.status)).toEqual([500, 204]);
  }
});
