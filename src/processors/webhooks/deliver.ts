// Delivers events to their tasks' callback URLs and to the endpoints of their org. A receiver that answers 410 gets no
// more deliveries: `#disableIfGoneOrFailing` disables the endpoint, `#record` stops the callback of the task.
//
// 1. A delivery is in the `pending-deliveries` set before it has a job; the job carries only ids.
// 2. The job leases the delivery for the time of an attempt. If it is settled, not due or leased by another process,
//    nothing is sent. If a process dies after sending, the delivery is sent again with the same `webhook-id` when the
//    lease ends. Nothing is sent unless the lease lasts for a whole attempt (a process may have been suspended).
// 3. If the receiver is cooling down or at its concurrency limit, the delivery is parked in the receiver's backlog
//    without spending an attempt. It becomes a job again when a slot is free.
// 4. The body is made from the event and the parts of the task that never change, so every attempt has the same bytes.
// 5. The attempt and what follows (success, the time of the next attempt, or exhaustion) are recorded in one script.
// 6. A retry is a new job in the `retries` queue. For an exhausted delivery the job fails permanently, and remains in the
//    failed list of its queue.
//
// A first attempt runs without a queue, in the process that relays its event, while that process runs few enough
// (`../local-jobs.ts`); then 47 of the Redis commands of a delivery are not needed.

import { type Job, UnrecoverableError } from 'bullmq';
import type { DeliveryJob } from '../../queues/catalogue.ts';
import { orderedJob, retryJob, withTrace } from '../../queues/new-jobs.ts';
import type { AddJobs } from '../../queues/queues.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import { nextAttemptDelay } from '../../state/webhooks/backoff.ts';
import { hasFailedTooLong } from '../../state/webhooks/endpoint.ts';
import type { Db } from '../../store/redis/connection.ts';
import { whenDue } from '../../store/redis/due.ts';
import type { Log } from '../../store/redis/log.ts';
import { type Sealer, UnopenableError } from '../../store/redis/sealing.ts';
import { recordDelivery } from '../../store/webhooks/deliveries.ts';
import {
  dueTimeOf,
  type LeasedDelivery,
  leaseDelivery,
  MAX_ORDER_BLOCK_MS,
} from '../../store/webhooks/delivery-lease.ts';
import { type Delivery, keptAttempts } from '../../store/webhooks/delivery-record.ts';
import { type DeliveryTarget, isParked } from '../../store/webhooks/delivery-target.ts';
import { disableEndpoint } from '../../store/webhooks/disable-endpoint.ts';
import { traceparent } from '../../tracing/tracing.ts';
import { attemptOf, attemptsMade, unopened } from './attempt.ts';
import { BacklogRelease } from './backlog-release.ts';
import { ConcurrencyLimiter } from './receiver-limits.ts';
import { type Dispatch, Receivers, receiverName } from './receivers.ts';
import { sendTraced } from './send-tracing.ts';
import type { SendOutcome, WebhookSender } from './sender.ts';
import { signatureHeaders } from './signature.ts';

export interface WebhookDeps {
  db: Db;
  /** Takes the new jobs. */
  jobs: AddJobs;
  sealer: Sealer;
  sender: WebhookSender;
  log: Log;
  /** Concurrent deliveries of this process. */
  concurrency: number;
  /** An endpoint whose deliveries have all failed for this long is disabled, ms. */
  disableAfter: number;
  /** With ordered delivery: for how long a failing delivery holds back the ones after it, ms. */
  blockMs?: number | undefined;
  /** Called after each attempt that was recorded, with the state of the delivery and how long its request took (`ms`). */
  onAttempt?:
    | ((outcome: 'succeeded' | 'pending' | 'exhausted', attempt: number, ms: number) => void)
    | undefined;
}

/** The lease is longer than an attempt by this, ms: the time left to start the attempt. */
const START_MARGIN_MS = 5_000;

/** When nothing can be sent to a receiver, this many of its parked deliveries are released, so that each is settled. */
const RELEASED_WHEN_STOPPED = 8;

/**
 * What is done with a delivery: it is sent, it ends because its event or receiver no longer exists, or its secrets cannot be
 * opened.
 */
type Decision =
  | { kind: 'send'; dispatch: Dispatch }
  | { kind: 'stop' }
  | { kind: 'missing_key'; error: UnopenableError };

export class WebhookProcessor {
  readonly #deps: WebhookDeps;
  readonly #receivers: Receivers;
  readonly #limiter: ConcurrencyLimiter;
  readonly #backlogs: BacklogRelease;

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
    this.#receivers = new Receivers(deps.db, deps.sealer);
    this.#limiter = new ConcurrencyLimiter(deps.concurrency);
    this.#backlogs = new BacklogRelease({ ...deps, limiter: this.#limiter });
  }

  /** Runs a job of the `webhooks` or the `retries` queue. */
  async run(
    { org_id, task_id, sequence, endpoint_id, from_backlog }: DeliveryJob,
    job: Pick<Job, 'moveToDelayed' | 'queueName'>,
    token: string | undefined,
  ): Promise<void> {
    const { db, sender, blockMs = MAX_ORDER_BLOCK_MS } = this.#deps;
    const target: DeliveryTarget = { org_id, task_id, sequence, endpoint_id };
    if (from_backlog !== true && (await this.park(target))) return;
    // Cached for a second, and read for the attempt anyway. An unknown endpoint counts as ordered, so that no event overtakes.
    const isOrdered =
      endpoint_id !== undefined && ((await this.#receivers.isInOrder(org_id, endpoint_id)) ?? true);
    const lease = sender.timeoutMs + START_MARGIN_MS;
    const leased = await leaseDelivery(db, target, lease, { inOrder: isOrdered, blockMs });
    if (leased === null) return;
    if ('dueAt' in leased) return await this.#putOff(job, token, target, leased.dueAt);
    const decision = await this.#decide(target, leased);
    const receiver =
      decision.kind === 'send'
        ? decision.dispatch.receiver.name
        : receiverName(target, leased.subject?.task.input.handoff?.callback_url ?? '');
    if (from_backlog) this.#backlogs.arrived(org_id, receiver);
    if (decision.kind === 'missing_key') {
      await this.#recordMissingKey(target, leased, decision.error);
      await this.#backlogs.releaseNext(receiver, RELEASED_WHEN_STOPPED);
      return;
    }
    if (decision.kind === 'stop') {
      await this.#record(target, leased, { ...leased.delivery, status: 'stopped' }, null, false);
      await this.#backlogs.releaseNext(receiver, RELEASED_WHEN_STOPPED);
      return;
    }
    const isFresh = attemptsMade(leased.delivery) === 0;
    const hasBacklog = !from_backlog && this.#backlogs.has(receiver);
    if (await this.#limiter.acquireSoon(receiver, isFresh, hasBacklog))
      return await this.#attempt(target, leased, decision.dispatch);
    await this.#backlogs.park(target, receiver, leased.score);
  }

  /**
   * Parks a due delivery without a lease or a job, if its endpoint is known to be at its limit.
   * @returns false when the delivery is to be attempted.
   */
  async park(target: DeliveryTarget): Promise<boolean> {
    const { endpoint_id } = target;
    if (endpoint_id === undefined || !this.#limiter.isSaturated(endpoint_id)) return false;
    return await this.#backlogs.park(target, endpoint_id, null);
  }

  /** Receivers that cool down now. */
  get coolingDown(): number {
    return this.#limiter.coolingDown;
  }

  /** Stops releasing backlogs; deliveries in progress go on. */
  close(): void {
    this.#backlogs.close();
  }

  /** Reschedules the job of a delivery that is not due yet. */
  async #putOff(
    job: Pick<Job, 'moveToDelayed' | 'queueName'>,
    token: string | undefined,
    target: DeliveryTarget,
    dueAt: number,
  ): Promise<void> {
    if (isParked(dueAt)) return;
    if (job.queueName !== 'retries') return await this.#scheduleRetry(target, dueAt);
    // A timer may fire slightly early. A new retry job would have the id of this one, so this one is delayed.
    await putOffJob(job, Math.max(1, dueAt - this.#deps.db.clock.now()), token);
  }

  async #scheduleRetry(target: DeliveryTarget, at: number): Promise<void> {
    const { db, jobs } = this.#deps;
    await jobs.add([withTrace(retryJob(target, at, db.clock.now()), traceparent())]);
  }

  /** Schedules a retry for when the delivery is due, after the lease was lost. */
  async #rescheduleFromRecord(target: DeliveryTarget): Promise<void> {
    const due = await dueTimeOf(this.#deps.db, target);
    if (due !== null && !isParked(due)) await this.#scheduleRetry(target, due);
  }

  async #decide(target: DeliveryTarget, leased: LeasedDelivery): Promise<Decision> {
    try {
      const dispatch = await this.#receivers.dispatchOf(target, leased);
      return dispatch === null ? { kind: 'stop' } : { kind: 'send', dispatch };
    } catch (error) {
      if (error instanceof UnopenableError) return { kind: 'missing_key', error };
      throw error;
    }
  }

  /** Records that the secrets cannot be opened, and schedules another try. */
  async #recordMissingKey(
    target: DeliveryTarget,
    leased: LeasedDelivery,
    error: UnopenableError,
  ): Promise<void> {
    const { delivery, nextAt } = unopened(leased.delivery, error.message, this.#deps.db.clock.now());
    const fields = { ...target, key_id: error.keyId, reason: error.message };
    this.#deps.log.error(fields, 'delivery not sent: its secrets cannot be opened');
    const recorded = await this.#record(target, leased, delivery, nextAt, false, true);
    if (recorded === null) return await this.#rescheduleFromRecord(target);
    await this.#scheduleRetry(target, nextAt);
  }

  async #attempt(target: DeliveryTarget, leased: LeasedDelivery, dispatch: Dispatch): Promise<void> {
    const { db } = this.#deps;
    const { receiver } = dispatch;
    const { delivery } = leased;
    const at = db.clock.now();
    let outcome: SendOutcome | null = null;
    try {
      outcome = await this.#send(dispatch, at, leased.until, attemptsMade(delivery));
    } finally {
      // Also after an error, or the slot would be lost for the lifetime of the process.
      this.#limiter.release(receiver.name, outcome);
      if (this.#backlogs.has(receiver.name)) void this.#backlogs.releaseNext(receiver.name);
    }
    if (outcome === null) return await this.#rescheduleFromRecord(target);
    const { max_retries, backoff_seconds } = receiver.retryPolicy;
    const attemptNumber = attemptsMade(delivery) + 1;
    const answeredGone = outcome.status === 410;
    const willRetry = !outcome.ok && !answeredGone && attemptNumber <= max_retries;
    const delay = willRetry
      ? nextAttemptDelay({
          retry: attemptNumber,
          backoffSeconds: backoff_seconds,
          retryAfterMs: outcome.retryAfterMs,
          random: Math.random,
        })
      : null;
    const nextAt = delay === null ? null : Math.ceil(db.clock.now() + delay);
    const status = outcome.ok ? 'succeeded' : willRetry ? 'pending' : 'exhausted';
    const attempt = attemptOf(outcome, at, nextAt, Object.values(receiver.headers));
    const after: Delivery = { ...delivery, status, attempts: keptAttempts([...delivery.attempts, attempt]) };
    const recorded = await this.#record(target, leased, after, nextAt, answeredGone);
    this.#deps.log[outcome.ok ? 'debug' : 'info'](
      {
        ...target,
        attempt: attemptNumber,
        outcome: status,
        http_status: outcome.status,
        error_class: outcome.errorClass,
        ms: outcome.ms,
        recorded: recorded !== null,
      },
      'webhook attempt',
    );
    // The lease ended, or the result was recorded and the reply of Redis was lost.
    if (recorded === null) return await this.#rescheduleFromRecord(target);
    this.#deps.onAttempt?.(status, attemptNumber, outcome.ms);
    if (outcome.ok) return;
    await this.#disableIfGoneOrFailing(target, answeredGone, recorded.failing);
    if (nextAt === null)
      throw new UnrecoverableError(`given up after ${attemptNumber} attempts: ${outcome.error}`);
    await this.#scheduleRetry(target, nextAt);
  }

  /** Disables an endpoint that answered 410, or that has been failing for too long. */
  async #disableIfGoneOrFailing(
    target: DeliveryTarget,
    answeredGone: boolean,
    failing: { since: number; periods: number } | null,
  ) {
    const { db, disableAfter, log } = this.#deps;
    const { org_id, endpoint_id } = target;
    if (endpoint_id === undefined) return;
    const isTooLong = failing !== null && hasFailedTooLong(failing, db.clock.now(), disableAfter);
    if (!answeredGone && !isTooLong) return;
    const reason = answeredGone ? 'gone' : 'failing';
    const due = answeredGone || failing === null ? null : failing.since + disableAfter;
    if (await whenDue(db.clock, () => disableEndpoint(db, org_id, endpoint_id, reason, due)))
      log.warn({ org_id, endpoint_id, reason }, 'webhook endpoint disabled');
  }

  /** Records the result of a delivery, and adds a job for the delivery that waited for it, if any. */
  async #record(
    target: DeliveryTarget,
    leased: LeasedDelivery,
    delivery: Delivery,
    nextAt: number | null,
    answeredGone: boolean,
    isUnsent = false,
  ) {
    const { db, jobs, disableAfter: failingLimit } = this.#deps;
    const { score, subject, message } = leased;
    const eventAt = subject === null ? (message?.at ?? null) : Date.parse(subject.event.at);
    const stopsCallback = answeredGone && target.endpoint_id === undefined;
    const inOrder =
      target.endpoint_id === undefined
        ? subject?.task.input.handoff?.ordering === 'per_task'
        : leased.inOrder;
    const outcome = { score, delivery, nextAt, stopsCallback, eventAt, failingLimit, inOrder, isUnsent };
    const recorded = await recordDelivery(db, target, outcome);
    if (recorded !== null && recorded.releasedSequence !== null)
      await jobs.add([orderedJob({ ...target, sequence: recorded.releasedSequence }, db.clock.now())]);
    return recorded;
  }

  /** Sends a request. @returns null when nothing was sent because the lease leaves too little time for an attempt. */
  async #send(
    { receiver, id, body: text }: Dispatch,
    at: number,
    until: number,
    attemptsBefore: number,
  ): Promise<SendOutcome | null> {
    const { sender } = this.#deps;
    if (performance.now() + sender.timeoutMs > until) return null;
    const { url, secrets, headers: customHeaders } = receiver;
    // Encoded once, for the signature and the socket.
    const body = Buffer.from(text);
    const signature = signatureHeaders({ id, body, timestampSeconds: Math.floor(at / 1000), secrets });
    // The signature comes last, so that custom headers cannot replace it.
    const request = { url, headers: { ...customHeaders, ...signature }, body, until };
    const outcome = await sendTraced(sender, request, attemptsBefore);
    const leaseRanOut = performance.now() >= until;
    return !outcome.isSent && leaseRanOut ? null : outcome;
  }
}
