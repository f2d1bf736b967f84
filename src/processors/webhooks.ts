// Delivers events to their tasks' callback URLs.
//
// 1. The commit that made the event put the delivery into the `owed` set; its job only says which one.
// 2. It takes the delivery for as long as an attempt may last. Not owed any more, not yet due, or taken by
//    another: nothing is sent. A process that dies after sending leaves it to be sent again, with the same
//    `webhook-id`, when its lease has run out.
// 3. The body is made from the event and what never changes in its task: the same bytes on every attempt.
// 4. The attempt is recorded together with what comes next: done, tried again at a time, or given up.
// 5. Tried again: the job fails with the delay. Given up: it fails for good and stays to be seen.

import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import { type DeliveryJob, RetryLater } from '../queues/catalogue.ts';
import { nextAttemptDelay } from '../state/backoff.ts';
import type { CallbackAuth } from '../state/task.ts';
import { webhookBody } from '../state/view.ts';
import {
  type Attempt,
  type Delivery,
  dueTimeOf,
  type Owed,
  recordDelivery,
  takeDelivery,
} from '../store/deliveries.ts';
import { callbackAuthPlace, loadOrg, signingSecrets, webhookSecretPlace } from '../store/orgs.ts';
import type { Db } from '../store/redis.ts';
import type { Sealer } from '../store/sealed.ts';
import type { Log } from './log.ts';
import type { SendOutcome, WebhookSender } from './webhook-sender.ts';
import { signatureHeaders } from './webhook-signature.ts';

export interface WebhookDeps {
  db: Db;
  sealer: Sealer;
  sender: WebhookSender;
  log: Log;
}

/** How long a delivery is taken for, ms: longer than an attempt may last. */
const LEASE = 20_000;
/** An org's signing secrets are read again after this, ms; a rotation overlaps for longer. */
const SECRETS_TTL = 1000;

export class WebhookProcessor {
  readonly #deps: WebhookDeps;
  readonly #secrets = new Map<string, { until: number; secrets: Promise<string[]> }>();

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
  }

  /** Runs a job of the `webhooks` queue. */
  async run(job: Job<DeliveryJob>, token: string | undefined): Promise<void> {
    const { db } = this.#deps;
    const owed: Owed = job.data;
    const taken = await takeDelivery(db, owed, LEASE);
    if (taken === null) return;
    if ('dueAt' in taken) {
      await job.moveToDelayed(Date.now() + Math.max(1, taken.dueAt - db.clock.now()), token);
      throw new DelayedError();
    }
    const { delivery, score, gone, told } = taken;
    const handoff = told?.task.input.handoff;
    if (told === null || handoff?.callback_url === undefined || gone) {
      await recordDelivery(db, owed, score, { ...delivery, status: 'stopped' }, null, false);
      return;
    }
    const at = db.clock.now();
    const outcome = await this.#send(owed.org_id, handoff.callback_url, handoff.callback_auth, {
      id: told.event.event_id,
      body: webhookBody(told.task, told.event),
    });
    const { max_retries, backoff_seconds } = handoff.retry_policy;
    const made = delivery.attempts.length + 1;
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
    const after: Delivery = { status, attempts: [...delivery.attempts, attemptOf(outcome, at, nextAt)] };
    const recorded = await recordDelivery(db, owed, score, after, nextAt, isGone);
    this.#deps.log[outcome.ok ? 'debug' : 'info'](
      {
        task_id: owed.task_id,
        sequence: owed.sequence,
        attempt: made,
        outcome: status,
        http_status: outcome.status,
        error_class: outcome.errorClass,
        ms: outcome.ms,
        recorded,
      },
      'webhook attempt',
    );
    if (!recorded) {
      // The lease ran out, or the record was written and its confirmation lost. Whatever is owed now, is due then.
      const due = await dueTimeOf(db, owed);
      if (due !== null)
        throw new RetryLater(Math.max(0, due - db.clock.now()), 'the attempt was not recorded');
      return;
    }
    if (outcome.ok) return;
    if (nextAt === null) throw new UnrecoverableError(`given up after ${made} attempts: ${outcome.error}`);
    throw new RetryLater(Math.max(0, nextAt - db.clock.now()), outcome.error ?? 'failed');
  }

  async #send(
    orgId: string,
    url: string,
    auth: CallbackAuth,
    message: { id: string; body: string },
  ): Promise<SendOutcome> {
    const { db, sender } = this.#deps;
    const signature = signatureHeaders({
      ...message,
      timestampSeconds: Math.floor(db.clock.now() / 1000),
      secrets: await this.#secretsOf(orgId),
    });
    const authorization = this.#authorization(orgId, auth);
    return sender.send({
      url,
      headers: { ...signature, ...(authorization !== null && { authorization }) },
      body: message.body,
    });
  }

  #authorization(orgId: string, auth: CallbackAuth): string | null {
    if (auth.type === 'none') return null;
    const plain = this.#deps.sealer.open(auth.sealed, callbackAuthPlace(orgId));
    const scheme = auth.type === 'bearer' ? 'Bearer' : 'Basic';
    return `${scheme} ${plain}`;
  }

  #secretsOf(orgId: string): Promise<string[]> {
    const { db, sealer } = this.#deps;
    const now = db.clock.now();
    const known = this.#secrets.get(orgId);
    if (known !== undefined && known.until > now) return known.secrets;
    const secrets = loadOrg(db, orgId).then((org) => {
      const secrets = org === null ? [] : signingSecrets(org, orgId);
      const valid = secrets.filter((one) => one.expires_at === null || one.expires_at > now);
      return valid.map((one) => sealer.open(one.sealed, webhookSecretPlace(orgId)));
    });
    secrets.catch(() => this.#secrets.delete(orgId));
    if (this.#secrets.size >= 10_000) this.#secrets.clear();
    this.#secrets.set(orgId, { until: now + SECRETS_TTL, secrets });
    return secrets;
  }
}

function attemptOf(outcome: SendOutcome, at: number, nextAt: number | null): Attempt {
  return {
    at,
    status: outcome.status,
    ms: Math.round(outcome.ms),
    error: outcome.error,
    error_class: outcome.errorClass,
    address: outcome.address,
    body: outcome.body,
    next_attempt_at: nextAt,
  };
}
