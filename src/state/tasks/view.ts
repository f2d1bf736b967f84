// The public JSON of a task: for `GET /v1/tasks/{id}`, webhooks and workers. What is shown of a task is decided in this file
// alone, so its secrets cannot leak from elsewhere.

import { orgOf } from '../access/tenant.ts';
import { timestamp } from '../text/time.ts';
import type { Author, OpenQuestion, Side } from './conversation.ts';
import { openQuestionOf, unreadBy } from './conversation-status.ts';
import { answersOf } from './copies.ts';
import type { Dispute } from './dispute.ts';
import { disputableUntil } from './dispute-status.ts';
import type { HistoryEntry } from './event.ts';
import { isGold } from './gold.ts';
import type { Assignment, Offer } from './offer.ts';
import type { Report } from './report.ts';
import type { Requirements, Review, Submission, Task } from './task.ts';

function timestampOrNull(ms: number | null): string | null {
  return ms === null ? null : timestamp(ms);
}

/** The last submission, whether or not it was accepted; null before the first. */
function submissionView(task: Task): Record<string, unknown> | null {
  const { submission, agreement } = task;
  if (task.copies === undefined) return submission === null ? null : shown(submission);
  // Until it is decided how far they agree, no answer is shown. Without agreement there may be no output.
  if (agreement === undefined) return null;
  return { output: submission?.output ?? null, agreement, copies: answersOf(task).map(shown) };
}

function shown(submission: Submission): Record<string, unknown> {
  return { ...submission, submitted_at: timestamp(submission.submitted_at) };
}

/** What a completed task gives: the accepted submission, or the default output of a task that no worker did in time. */
export function resultView(task: Task): Record<string, unknown> | null {
  const { on_deadline } = task.input.sla;
  if (task.result_source === undefined || on_deadline?.action !== 'complete') return submissionView(task);
  return {
    output: on_deadline.output,
    source: task.result_source,
    evidence: [],
    notes: null,
    worker_id: null,
    submitted_at: null,
  };
}

function assignmentView(assignment: Assignment | null): Record<string, unknown> | null {
  if (assignment === null) return null;
  return {
    worker_id: assignment.worker_id,
    offer_id: assignment.offer_id,
    offered_at: timestamp(assignment.offered_at),
    accepted_at: timestamp(assignment.accepted_at),
    started_at: timestampOrNull(assignment.started_at),
    submitted_at: timestampOrNull(assignment.submitted_at),
  };
}

function reviewView(review: Review): Record<string, unknown> {
  return { ...review, reviewed_at: timestamp(review.reviewed_at) };
}

/** What each side sees of the conversation. The worker is not told which of the requester's credentials asked. */
function conversationView(side: Side, task: Task): Record<string, unknown> {
  const question = openQuestionOf(task);
  return {
    open_question: question === null ? null : questionView(side, question),
    unread_messages: unreadBy(side, task),
  };
}

function questionView(side: Side, { message_id, text, author, asked_at }: OpenQuestion): object {
  return { message_id, text, author: authorView(side, author), asked_at: timestamp(asked_at) };
}

/** An author as this side sees them. */
export function authorView(side: Side, author: Author): { kind: Side; id: string | null } {
  return side === 'worker' && author.kind === 'requester' ? { kind: author.kind, id: null } : author;
}

function reportView(report: Report | undefined): Record<string, unknown> | null {
  return report === undefined ? null : { ...report, reported_at: timestamp(report.reported_at) };
}

function disputeView(dispute: Dispute | undefined): Record<string, unknown> | null {
  if (dispute === undefined) return null;
  const { opened_at, decided_at } = dispute;
  return { ...dispute, opened_at: timestamp(opened_at), decided_at: timestampOrNull(decided_at) };
}

/** The dispute as its worker sees it, who is not told which credential decided. */
function ownDispute(task: Task): Record<string, unknown> {
  const view = disputeView(task.dispute);
  const { decided_by: _reviewer, ...shown } = view ?? {};
  return { dispute: view && shown, disputable_until: timestampOrNull(disputableUntil(task)) };
}

/** The task as the integrator sees it: the input as given, with secrets reduced to their type. */
export function taskView(task: Task): Record<string, unknown> {
  const { input } = task;
  // JSON.stringify omits undefined fields.
  return {
    task_id: task.task_id,
    org_id: orgOf(task.org_id),
    status: task.status,
    version: task.version,
    origin: input.origin,
    gold: isGold(task) ? true : undefined,
    task_type: input.task_type,
    task_type_version: input.task_type_version,
    domain: input.domain,
    title: input.title,
    instructions: input.instructions,
    not_before: input.not_before,
    context: input.context,
    sla: {
      urgency: input.sla.urgency,
      deadline: input.sla.deadline,
      target_latency_seconds: input.sla.target_latency_seconds,
      on_deadline: input.sla.on_deadline,
      escalations: input.sla.escalations,
      breaches: task.breaches.map((breach) => ({
        clock: breach.clock,
        due_at: timestamp(breach.due_at),
        breached_at: timestamp(breach.breached_at),
      })),
    },
    requirements: input.requirements,
    output: input.output,
    handoff: input.handoff && {
      ...input.handoff,
      callback_auth: { type: input.handoff.callback_auth.type },
    },
    audit: input.audit,
    metadata: input.metadata,
    attempt: task.attempt,
    assignment: assignmentView(task.assignment),
    submission: submissionView(task),
    result: task.status === 'completed' ? resultView(task) : null,
    reviews: task.reviews.map(reviewView),
    failure: task.failure,
    cancellation: task.cancellation,
    report: reportView(task.report),
    dispute: disputeView(task.dispute),
    ...conversationView('requester', task),
    created_at: timestamp(task.created_at),
    updated_at: timestamp(task.updated_at),
    completed_at: timestampOrNull(task.completed_at),
  };
}

/** The submission of the current assignment. A former worker's submission is not shown to the current one. */
function ownSubmission(task: Task): Record<string, unknown> | null {
  const { assignment, submission } = task;
  if (assignment === null || submission === null) return null;
  const isTheirs =
    submission.worker_id === assignment.worker_id && submission.submitted_at >= assignment.accepted_at;
  return isTheirs ? submissionView(task) : null;
}

/** The task as its worker sees it: what they need to decide on it and to do it, without the handoff. */
export function workerTaskView(task: Task): Record<string, unknown> {
  const { task_type, domain, title, instructions, not_before, context, requirements } = task.input;
  // The default output would suggest an answer, and escalations are the requester's own matter.
  const { on_deadline: _default, escalations: _escalations, ...sla } = task.input.sla;
  return {
    task_id: task.task_id,
    status: task.status,
    version: task.version,
    task_type,
    domain,
    title,
    instructions,
    ...(not_before !== undefined && { not_before }),
    ...(context !== undefined && { context }),
    sla,
    ...(requirements !== undefined && { requirements: workerRequirements(requirements) }),
    output: workerOutput(task),
    attempt: task.attempt,
    feedback: task.reviews.at(-1)?.feedback ?? null,
    assignment: assignmentView(task.assignment),
    submission: ownSubmission(task),
    ...ownDispute(task),
    ...conversationView('worker', task),
    created_at: timestamp(task.created_at),
    updated_at: timestamp(task.updated_at),
  };
}

/** The task as its worker sees it in their history, with what reviewers said of their work. */
export function workerHistoryView(task: Task): Record<string, unknown> {
  const own = task.reviews.filter((one) => one.worker_id === task.assignment?.worker_id);
  const rating = own.findLast((one) => one.rating !== null)?.rating ?? null;
  return {
    ...workerTaskView(task),
    rating,
    failure: task.failure,
    completed_at: timestampOrNull(task.completed_at),
  };
}

/** What the task requires, without naming other workers and tasks. */
function workerRequirements(given: Requirements): Requirements {
  const { worker_ids: _only, excluded_worker_ids: _not, excluded_tasks: _tasks, ...shown } = given;
  return shown;
}

/** What the worker is to hand in, without what they must not know: the expected answer, and that others are asked too. */
function workerOutput({ input, gold }: Task): Record<string, unknown> {
  const { gold: _gold, copies: _copies, ...asked } = input.output;
  return gold === undefined ? asked : { ...asked, review: gold.review };
}

/** An offer as its worker sees it. */
export function offerView(task: Task, offer: Offer): Record<string, unknown> {
  const {
    status: _status,
    version: _version,
    assignment: _assignment,
    submission: _submission,
    dispute: _dispute,
    disputable_until: _until,
    open_question: _question,
    unread_messages: _unread,
    ...shown
  } = workerTaskView(task);
  return {
    offer_id: offer.offer_id,
    task_id: task.task_id,
    status: offer.status,
    offered_at: timestamp(offer.offered_at),
    expires_at: timestamp(offer.expires_at),
    task: shown,
  };
}

/**
 * The body of a webhook (Standard Webhooks: `type`, `timestamp`, `data`). It is a pure function of the event and of
 * fields of the task that never change, so every attempt of a delivery sends the same bytes.
 * @param task with the metadata that it had at the event (`inputAt`).
 */
export function webhookBody(
  task: Pick<Task, 'task_id' | 'org_id' | 'input'>,
  event: Omit<HistoryEntry, 'previous_hash' | 'hash'>,
): string {
  const { origin, metadata } = task.input;
  return JSON.stringify({
    type: event.type,
    timestamp: event.at,
    data: {
      event_id: event.event_id,
      sequence: event.sequence,
      task_id: task.task_id,
      org_id: orgOf(task.org_id),
      status: event.status,
      previous_status: event.previous_status,
      attempt_of_task: event.attempt_of_task,
      origin: { product: origin.product, request_id: origin.request_id },
      metadata: metadata ?? {},
      ...event.data,
    },
  });
}
