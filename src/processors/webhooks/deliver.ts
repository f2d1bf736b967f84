// Delivers events to their tasks' callback URLs and to the endpoints of their org.
//
// 1. A delivery stands in the `owed` set before there is a job for it; the job only says which one.
// 2. The job takes the delivery for as long as an attempt may last. Not owed any more, not yet due, or taken by
//    another: nothing is sent. A process that dies after sending leaves it to be sent again, with the same
//    `webhook-id`, when its lease has run out; one that was held up sends only while that lasts for all of an attempt.
// 3. A receiver that cools down, or has as many places as it gets, makes the delivery wait, no attempt spent:
//    parked in the receiver's list, from which it is let out as a job when there is a place.
// 4. The body is made from the event and what never changes in its task: the same bytes on every attempt.
// 5. The attempt is recorded together with what comes next: done, tried again at a time, or given up.
// 6. Tried again: by a job of its own, in the lane of those. Given up: the job fails for good and stays to be seen.

import { type Job, UnrecoverableError } from 'bullmq';
import { type DeliveryJob, deliveryJob, retryJob } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import { nextAttemptDelay } from '../../state/webhooks/backoff.ts';
import { isHopeless } from '../../state/webhooks/endpoint.ts';
import type { Db } from '../../store/redis/connection.ts';
import { whenDue } from '../../store/redis/due.ts';
import { type Sealer, UnopenableError } from '../../store/redis/sealing.ts';
import {
  type DeliveryTarget,
  dueTimeOf,
  HOLD,
  PARKED,
  recordDelivery,
  type Taken,
  takeDelivery,
} from '../../store/webhooks/deliveries.ts';
import { type Delivery, keptAttempts } from '../../store/webhooks/delivery-record.ts';
import { disableEndpoint } from '../../store/webhooks/disable-endpoint.ts';
import type { Log } from '../log.ts';
import { attemptOf, attemptsMade, unopened } from './attempt.ts';
import { BacklogRelease } from './backlog-release.ts';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';
import { type Dispatch, Receivers, receiverName } from './receivers.ts';
import type { SendOutcome, WebhookSender } from './sender.ts';
import { signatureHeaders } from './signature.ts';

export interface WebhookDeps {
  db: Db;
  queues: Queues;
  sealer: Sealer;
  sender: WebhookSender;
  log: Log;
  /** Deliveries at once. */
  places: number;
  /** An endpoint to which nothing has got through for this long is disabled, ms. */
  disableAfter: number;
  /** For how long an event that is tried in vain holds up those after it, where they are told in order, ms. */
  holdMs?: number | undefined;
}

/** For how much longer than an attempt may last a delivery is taken, ms: the time there is to begin it. */
const TO_BEGIN = 5_000;

/** With nobody to send to no place is needed: whoever still waits ends in steps of so many. */
const STOPPED_AT_ONCE = 8;

export class WebhookProcessor {
  readonly #deps: WebhookDeps;
  readonly #receivers: Receivers;
  readonly #gate: ConcurrencyLimiter;
  readonly #backlogs: BacklogRelease;

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
    this.#receivers = new Receivers(deps.db, deps.sealer);
    this.#gate = new ConcurrencyLimiter(deps.places);
    this.#backlogs = new BacklogRelease({ ...deps, gate: this.#gate });
  }

  /** Runs a job of the `webhooks` or the `retries` queue. */
  async run(job: Job<DeliveryJob>, token: string | undefined): Promise<void> {
    const { db, sender, holdMs = HOLD } = this.#deps;
    const { org_id, task_id, sequence, endpoint_id, from_backlog } = job.data;
    const owed: DeliveryTarget = { org_id, task_id, sequence, endpoint_id };
    if (from_backlog === undefined && (await this.park(owed))) return;
    // Read anyway for whoever sends, and known for a second.
    const isEndpointInOrder =
      endpoint_id !== undefined && ((await this.#receivers.isInOrder(org_id, endpoint_id)) ?? true);
    const lease = sender.timeoutMs + TO_BEGIN;
    const taken = await takeDelivery(db, owed, lease, { inOrder: isEndpointInOrder, holdMs });
    if (taken === null) return;
    if ('dueAt' in taken) return await this.#putOff(job, token, owed, taken.dueAt);
    const dispatch = await this.#dispatchOf(owed, taken);
    const url = taken.told?.task.input.handoff?.callback_url ?? '';
    const receiver = receiverName(owed, url);
    if (from_backlog) this.#backlogs.arrived(org_id, receiver);
    if (dispatch instanceof UnopenableError) {
      await this.#waitForKey(owed, taken, dispatch);
      await this.#backlogs.placeFree(receiver, STOPPED_AT_ONCE);
      return;
    }
    if (dispatch === null) {
      await this.#record(owed, taken, { ...taken.delivery, status: 'stopped' }, null, false);
      await this.#backlogs.placeFree(receiver, STOPPED_AT_ONCE);
      return;
    }
    const isFresh = attemptsMade(taken.delivery) === 0;
    const isAfterOthers = !from_backlog && this.#backlogs.has(receiver);
    if (await this.#gate.enterShortly(receiver, isFresh, isAfterOthers))
      return await this.#attempt(owed, taken, dispatch);
    await this.#backlogs.park(owed, receiver, taken.score);
  }

  /**
   * Lets a delivery wait that is due, where it is known beforehand that its endpoint takes no more: without a look at
   * it, and without a job.
   * @returns false when it is to be made.
   */
  async park(owed: DeliveryTarget): Promise<boolean> {
    const { endpoint_id } = owed;
    if (endpoint_id === undefined || !this.#gate.isShut(endpoint_id)) return false;
    return await this.#backlogs.park(owed, endpoint_id, null);
  }

  /** Lets nobody out of the lists of those who wait; what is in hand goes on. */
  close(): void {
    this.#backlogs.close();
  }

  /** A delivery is not due: it is looked at again when it is. */
  async #putOff(
    job: Job<DeliveryJob>,
    token: string | undefined,
    owed: DeliveryTarget,
    dueAt: number,
  ): Promise<void> {
    // It stands in the list of its receiver.
    if (dueAt >= PARKED) return;
    if (job.queueName !== 'retries') return await this.#tryAgain(owed, dueAt);
    // Timers are early by a little, now and then; and a job of the same name would be this very one.
    await putOffJob(job, Math.max(1, dueAt - this.#deps.db.clock.now()), token);
  }

  async #tryAgain(owed: DeliveryTarget, at: number): Promise<void> {
    const { db, queues } = this.#deps;
    await queues.add([retryJob(owed, at, db.clock.now())]);
  }

  /** It is not ours any more: whatever is owed now, is due then. */
  async #tryWhenDue(owed: DeliveryTarget): Promise<void> {
    const due = await dueTimeOf(this.#deps.db, owed);
    if (due !== null && due < PARKED) await this.#tryAgain(owed, due);
  }

  /** What is to be sent; null for nothing; the error where the secrets that it takes cannot be opened. */
  async #dispatchOf(owed: DeliveryTarget, taken: Taken): Promise<Dispatch | null | UnopenableError> {
    try {
      return await this.#receivers.dispatchOf(owed, taken);
    } catch (error) {
      if (error instanceof UnopenableError) return error;
      throw error;
    }
  }

  /** Records that the delivery waits for the key of its secrets, and has it looked at again. */
  async #waitForKey(owed: DeliveryTarget, taken: Taken, error: UnopenableError): Promise<void> {
    const { delivery, nextAt } = unopened(taken.delivery, error.message, this.#deps.db.clock.now());
    const fields = { ...owed, key_id: error.keyId, reason: error.message };
    this.#deps.log.error(fields, 'delivery not sent: its secrets cannot be opened');
    const recorded = await this.#record(owed, taken, delivery, nextAt, false, true);
    if (recorded === null) return await this.#tryWhenDue(owed);
    await this.#tryAgain(owed, nextAt);
  }

  async #attempt(owed: DeliveryTarget, taken: Taken, dispatch: Dispatch): Promise<void> {
    const { db } = this.#deps;
    const { receiver } = dispatch;
    const { delivery } = taken;
    const at = db.clock.now();
    let outcome: SendOutcome | null = null;
    try {
      outcome = await this.#send(dispatch, at, taken.until);
    } finally {
      // Also when nothing could be signed or sent: the place would be lost for as long as the process lives.
      this.#gate.leave(receiver.name, outcome);
      void this.#backlogs.placeFree(receiver.name);
    }
    if (outcome === null) return await this.#tryWhenDue(owed);
    const { max_retries, backoff_seconds } = receiver.retryPolicy;
    const made = attemptsMade(delivery) + 1;
    const isGone = outcome.status === 410;
    const again = !outcome.ok && !isGone && made <= max_retries;
    const delay = again
      ? nextAttemptDelay({
          retry: made,
          backoffSeconds: backoff_seconds,
          retryAfterMs: outcome.retryAfterMs,
          random: Math.random,
        })
      : null;
    const nextAt = delay === null ? null : Math.ceil(db.clock.now() + delay);
    const status = outcome.ok ? 'succeeded' : again ? 'pending' : 'exhausted';
    const attempt = attemptOf(outcome, at, nextAt, Object.values(receiver.headers));
    const after: Delivery = { ...delivery, status, attempts: keptAttempts([...delivery.attempts, attempt]) };
    const recorded = await this.#record(owed, taken, after, nextAt, isGone);
    this.#deps.log[outcome.ok ? 'debug' : 'info'](
      {
        task_id: owed.task_id,
        sequence: owed.sequence,
        endpoint_id: owed.endpoint_id,
        attempt: made,
        outcome: status,
        http_status: outcome.status,
        error_class: outcome.errorClass,
        ms: outcome.ms,
        recorded: recorded !== null,
      },
      'webhook attempt',
    );
    // The lease ran out, or the record was written and its confirmation lost.
    if (recorded === null) return await this.#tryWhenDue(owed);
    if (outcome.ok) return;
    await this.#giveUpOn(owed, isGone, recorded.failing);
    if (nextAt === null) throw new UnrecoverableError(`given up after ${made} attempts: ${outcome.error}`);
    await this.#tryAgain(owed, nextAt);
  }

  /** Disables an endpoint that says it is gone, or that has been failing for too long. */
  async #giveUpOn(owed: DeliveryTarget, isGone: boolean, failing: { since: number; periods: number } | null) {
    const { db, disableAfter, log } = this.#deps;
    const { org_id, endpoint_id } = owed;
    if (endpoint_id === undefined) return;
    const isLost = failing !== null && isHopeless(failing, db.clock.now(), disableAfter);
    if (!isGone && !isLost) return;
    const reason = isGone ? 'gone' : 'failing';
    const due = isGone || failing === null ? null : failing.since + disableAfter;
    if (await whenDue(db.clock, () => disableEndpoint(db, org_id, endpoint_id, reason, due)))
      log.warn({ org_id, endpoint_id, reason }, 'webhook endpoint disabled');
  }

  /** Records what came of a delivery, and has the one made that waited for it. */
  async #record(
    owed: DeliveryTarget,
    taken: Taken,
    delivery: Delivery,
    nextAt: number | null,
    isGone: boolean,
    isUnsent = false,
  ) {
    const { db, queues, disableAfter: failingLimit } = this.#deps;
    const { score, told, message } = taken;
    const eventAt = told === null ? (message?.at ?? 0) : Date.parse(told.event.at);
    const gone = isGone && owed.endpoint_id === undefined;
    const inOrder =
      owed.endpoint_id === undefined ? told?.task.input.handoff?.ordering === 'per_task' : taken.inOrder;
    const outcome = { score, delivery, nextAt, gone, eventAt, failingLimit, inOrder, isUnsent };
    const recorded = await recordDelivery(db, owed, outcome);
    if (recorded?.woken != null) {
      const again = `n${db.clock.now().toString(36)}`;
      await queues.add([deliveryJob({ ...owed, sequence: recorded.woken }, again)]);
    }
    return recorded;
  }

  /** @returns null when nothing was sent, since until `until` there is no time for an attempt any more. */
  async #send({ receiver, id, body }: Dispatch, at: number, until: number): Promise<SendOutcome | null> {
    const { sender } = this.#deps;
    if (performance.now() + sender.timeoutMs > until) return null;
    const { url, secrets, headers: own } = receiver;
    const signature = signatureHeaders({ id, body, timestampSeconds: Math.floor(at / 1000), secrets });
    // What is signed comes last: no header of the receiver's own takes its place.
    const outcome = await sender.send({ url, headers: { ...own, ...signature }, body, until });
    return !outcome.isSent && performance.now() >= until ? null : outcome;
  }
}
