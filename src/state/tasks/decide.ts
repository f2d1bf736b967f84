// What a command does to a task. Pure: (task, command, now) gives the next task and its events, or a refusal; no clock,
// no Redis, no HTTP. A transition that `lifecycle.ts` does not list is refused here and nowhere
// else, so API routes, processors and delayed jobs all obey the same table.

import { timestamp } from '../text/time.ts';
import type { Command, CommandContext, Decision, Refusal } from './command.ts';
import { addMessage, readMessages } from './conversation-commands.ts';
import { startCoolDown } from './cool-down.ts';
import { isLikeCopy, newCopies } from './copies.ts';
import { decideForTaskWithCopies } from './copies-commands.ts';
import { dispute, resolveDispute } from './dispute-commands.ts';
import { remind } from './due-soon.ts';
import { endIfPending, fail, withdrawOffers } from './ending.ts';
import { escalate } from './escalate.ts';
import { recordWorker } from './exclusion.ts';
import { isAllowed } from './lifecycle.ts';
import type { Offer } from './offer.ts';
import { illegal, notDue, notPending, notYours, reported, submissionReplaced } from './refusals.ts';
import { stepsDue } from './relaxation.ts';
import { rejectReported, report, returnReported } from './report-commands.ts';
import { detailField, endOffer, requeue, takeBack } from './requeue.ts';
import { addReview, ratingField, returnToWorker } from './reviewing.ts';
import { checkClock } from './sla.ts';
import { poolOf, startsAt, startTime, type Task, type TaskInput } from './task.ts';
import { Transition } from './transition.ts';
import { update } from './update.ts';
import { resultView } from './view.ts';
import { isReported } from './waiting.ts';

/**
 * A new task in `created`, with its first event; not yet queued.
 * @param marks what kind of task it is, unless it is an ordinary one
 */
export function create(
  input: TaskInput,
  ids: { task_id: string; org_id: string },
  context: CommandContext,
  marks?: Pick<Task, 'copy_of' | 'gold'>,
): Transition {
  const copies = newCopies(input, context.newId);
  const task: Task = {
    task_id: ids.task_id,
    org_id: ids.org_id,
    input,
    status: 'created',
    version: 1,
    sequence: 0,
    attempt: 1,
    created_at: context.now,
    updated_at: context.now,
    status_changed_at: context.now,
    step: 0,
    completed_at: null,
    offers: [],
    declines: [],
    assignment: null,
    submission: null,
    reviews: [],
    breaches: [],
    failure: null,
    cancellation: null,
  };
  if (copies !== undefined) task.copies = copies;
  if (marks !== undefined) Object.assign(task, marks);
  const transition = new Transition(task, context);
  transition.emit('task.created', null, {});
  return transition;
}

/**
 * Applies `commands` in order to `task` as one change: one new version, with the events in order. The first refusal
 * refuses all of them. The given task is never altered.
 */
export function decide(task: Task, commands: readonly Command[], context: CommandContext): Decision {
  const transition = new Transition({ ...task, version: task.version + 1, updated_at: context.now }, context);
  return apply(transition, commands);
}

/** Like `decide`, for a transition from `create`: creation and the commands after it share version 1. */
export function apply(transition: Transition, commands: readonly Command[]): Decision {
  for (const command of commands) {
    const refusal = applyCommand(transition, command);
    if (refusal !== null) return { ok: false, refusal };
  }
  return { ok: true, task: transition.task, events: transition.events, due: transition.due };
}

function applyCommand(transition: Transition, command: Command): Refusal | null {
  const { task, context } = transition;
  if (!isAllowed(command.name, task.status)) return illegal(task, command.name);
  if (task.copies !== undefined) {
    const stepped = decideForTaskWithCopies(transition, command);
    if (stepped !== 'use_default') return stepped;
  }

  switch (command.name) {
    case 'queue': {
      const start = startsAt(task);
      if (start > task.created_at && !transition.requirePast(start)) return notDue();
      transition.move('queued', { reason: 'created' });
      return null;
    }
    case 'match': {
      if (isReported(task)) return reported();
      const [worker_id, ...others] = command.worker_ids;
      transition.move('matched', { worker_id, ...(others.length > 0 && { worker_ids: command.worker_ids }) });
      return null;
    }
    case 'offer': {
      task.offers = [
        ...transition.revoked,
        ...command.offers.map((offer) => ({ ...offer, status: 'pending' as const, offered_at: context.now })),
      ];
      const offers = command.offers.map(({ forced: _forced, ...offer }) => ({
        ...offer,
        expires_at: timestamp(offer.expires_at),
      }));
      transition.move('offered', { ...offers[0], ...(offers.length > 1 && { offers }) });
      return null;
    }
    case 'accept': {
      const offer = pendingOffer(task, command.offer_id, command.worker_id);
      if (offer === null || offer.expires_at <= context.now) return notPending();
      task.offers = task.offers.map((other) => endIfPending(other, other === offer ? 'accepted' : 'revoked'));
      task.assignment = {
        worker_id: offer.worker_id,
        ...(command.incarnation !== undefined && { incarnation: command.incarnation }),
        offer_id: offer.offer_id,
        offered_at: offer.offered_at,
        accepted_at: context.now,
        started_at: null,
        submitted_at: null,
      };
      recordWorker(task, offer.worker_id);
      transition.move('accepted', { worker_id: offer.worker_id, offer_id: offer.offer_id });
      return null;
    }
    case 'decline': {
      const offer = pendingOffer(task, command.offer_id, command.worker_id);
      if (offer === null) return notPending();
      endOffer(transition, offer, 'declined', command.reason, 'declined', command.retry_after_seconds);
      return null;
    }
    case 'expire': {
      const offer = task.offers.find((one) => one.offer_id === command.offer_id && one.status === 'pending');
      if (offer === undefined) return notPending();
      if (!transition.requirePast(offer.expires_at)) return notDue();
      endOffer(transition, offer, 'expired', null);
      return null;
    }
    case 'revoke': {
      const offer = task.offers.find(
        (one) => one.worker_id === command.worker_id && one.status === 'pending',
      );
      if (offer === undefined) return notPending();
      endOffer(transition, offer, 'revoked', null);
      return null;
    }
    case 'start':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      task.assignment = { ...task.assignment, started_at: context.now };
      transition.move('started', { worker_id: command.worker_id });
      return null;
    case 'release':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      requeue(transition, 'released', { worker_id: command.worker_id, ...detailField(command.reason) });
      return null;
    case 'start_timeout':
      if (task.assignment?.accepted_at !== command.accepted_at) return notDue();
      // The job runs at that time; the commit verifies it against Redis' clock.
      if (!transition.validFrom(command.accepted_at + startTime(task.input.sla.urgency))) return notDue();
      requeue(transition, 'start_timeout', { worker_id: task.assignment.worker_id });
      return null;
    case 'remove_worker': {
      if (task.assignment?.worker_id === command.worker_id) {
        requeue(transition, 'worker_gone', { worker_id: command.worker_id }, { ignoreAttemptLimit: true });
        return null;
      }
      const offer = task.offers.find(
        (one) => one.worker_id === command.worker_id && one.status === 'pending',
      );
      if (offer === undefined) return notYours();
      endOffer(transition, offer, 'revoked', null, 'worker_gone');
      return null;
    }
    case 'remove_pool':
      task.offers = task.offers.map((offer) => endIfPending(offer, 'revoked'));
      requeue(transition, 'pool_gone', { pool_id: poolOf(task) }, { ignoreAttemptLimit: true });
      return null;
    case 'submit':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      task.assignment = { ...task.assignment, submitted_at: context.now };
      task.submission = { ...command.submission, worker_id: command.worker_id, submitted_at: context.now };
      transition.move('submitted', { worker_id: command.worker_id });
      return null;
    case 'verify':
      if (task.input.output.review.mode !== 'auto') return illegal(task, command.name);
      transition.move('verified', { mode: 'auto' });
      return null;
    case 'approve':
      if (isOutdatedReview(task, command.submitted_at)) return submissionReplaced();
      if (command.is_automatic === true) {
        const { auto_approve_after_seconds: wait = 0 } = task.input.output.review;
        if (!transition.validFrom(task.status_changed_at + wait * 1000)) return notDue();
      }
      addReview(transition, 'approve', command);
      transition.move('verified', { mode: 'manual', ...ratingField(command) });
      return null;
    case 'rework':
      if (isOutdatedReview(task, command.submitted_at)) return submissionReplaced();
      addReview(transition, 'rework', command);
      returnToWorker(transition, command);
      return null;
    case 'reassign':
      if (isOutdatedReview(task, command.submitted_at)) return submissionReplaced();
      if (command.is_rework === true) {
        addReview(transition, 'rework', command);
        requeue(transition, 'rework', { ...detailField(command.feedback), ...ratingField(command) });
        return null;
      }
      addReview(transition, 'reassign', command);
      // Other workers are preferred; when there is none, the same worker may get the task again.
      if (task.assignment !== null) startCoolDown(task, task.assignment.worker_id, context.now);
      requeue(transition, 'reassigned', { ...detailField(command.feedback), ...ratingField(command) });
      return null;
    case 'reject':
      if (isOutdatedReview(task, command.submitted_at)) return submissionReplaced();
      addReview(transition, 'reject', command);
      fail(transition, 'rejected', command.feedback ?? 'A reviewer rejected the result.');
      return null;
    case 'complete':
      task.completed_at = context.now;
      transition.move('completed', { result: resultView(task) });
      return null;
    case 'cancel':
      withdrawOffers(task);
      task.cancellation = { reason: command.reason, cancelled_by: context.actor };
      transition.move('cancelled', { cancellation: task.cancellation });
      return null;
    case 'target_latency':
    case 'deadline':
      return checkClock(transition, command.name);
    case 'relax':
      return relax(transition);
    case 'due_soon':
      return remind(transition);
    case 'requeue':
      takeBack(transition, command.reason, command.is_takeover);
      return null;
    case 'assign': {
      const { worker_id, mode, forced } = command;
      transition.emit('task.assigned', task.status, { worker_id, mode, forced });
      return null;
    }
    case 'update':
      return update(transition, command.patch);
    case 'escalate':
      return escalate(transition, command) ? null : notDue();
    case 'report':
      // A reviewer sees the task, not the copy: its worker releases it.
      if (isLikeCopy(task)) return illegal(task, command.name);
      return report(transition, command);
    case 'return_reported':
      return returnReported(transition, command);
    case 'reject_reported':
      return rejectReported(transition, command);
    case 'message':
      // The requester sees the task, not the copy.
      if (isLikeCopy(task)) return illegal(task, command.name);
      return addMessage(transition, command);
    case 'read_messages':
      return readMessages(transition, command);
    case 'dispute':
      return dispute(transition, command);
    case 'resolve_dispute':
      return resolveDispute(transition, command);
    case 'update_copies':
    case 'disagree':
      return illegal(task, command.name);
  }
}

/** Loosens the requirements of a queued task by the relaxation steps that are due. Emits no event. */
function relax({ task, context }: Transition): Refusal | null {
  const step = stepsDue(task, context.now);
  if (step <= task.step) return notDue();
  task.step = step;
  return null;
}

function pendingOffer(task: Task, offerId: string, workerId: string): Offer | null {
  const found = task.offers.find((one) => one.offer_id === offerId && one.worker_id === workerId);
  return found?.status === 'pending' ? found : null;
}

/** Whether the review is about a submission that is not the current one. */
function isOutdatedReview(task: Task, submittedAt: number | undefined): boolean {
  return submittedAt !== undefined && submittedAt !== task.submission?.submitted_at;
}
