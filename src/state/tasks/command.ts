// The commands that change a task, their context, and the decision about them. `lifecycle.ts` says in which state a
// command is allowed, `decide.ts` what it does.

import type { Agreement } from './agreement.ts';
import type { MessageCommand, ReadCommand } from './conversation.ts';
import type { DisputeCommand } from './dispute.ts';
import type { TaskEvent } from './event.ts';
import type { AssignMode, Offer } from './offer.ts';
import type { TaskPatch } from './patch.ts';
import type { Report } from './report.ts';
import type { Copy, FailureCode, SlaClock, Submission, Task } from './task.ts';

export type Command =
  | { name: 'queue' }
  | { name: 'match'; worker_ids: string[] }
  | { name: 'offer'; offers: Pick<Offer, 'offer_id' | 'worker_id' | 'expires_at' | 'forced'>[] }
  | { name: 'accept'; offer_id: string; worker_id: string; incarnation?: string }
  | {
      name: 'decline';
      offer_id: string;
      worker_id: string;
      reason: string | null;
      /** When the worker may be offered the task again, in place of the cool-down. */
      retry_after_seconds?: number | undefined;
    }
  | { name: 'expire'; offer_id: string }
  | { name: 'revoke'; worker_id: string }
  | { name: 'start'; worker_id: string }
  | { name: 'release'; worker_id: string; reason: string | null }
  | { name: 'start_timeout'; accepted_at: number }
  | { name: 'remove_worker'; worker_id: string }
  | { name: 'remove_pool' }
  | {
      name: 'submit';
      worker_id: string;
      submission: Omit<Submission, 'worker_id' | 'submitted_at'>;
      /** Of a task with copies: how far they agree. The submission is the answer that most agree with. */
      agreement?: Agreement;
    }
  | { name: 'verify' }
  | ({ name: 'rework' | 'reject' } & ReviewInput)
  /** `is_automatic`: approved because no review came in time. */
  | ({
      name: 'approve';
      is_automatic?: boolean;
      /** Of a task with copies: whose answer is the result; absent: the one that most agree with. */
      answer_of?: string | undefined;
    } & ReviewInput)
  /** `is_rework`: a rework that its worker has no capacity for, so the task goes back to the queue. */
  | ({ name: 'reassign'; is_rework?: boolean } & ReviewInput)
  | { name: 'complete' }
  | { name: 'cancel'; reason: string | null }
  /** An SLA clock is due. */
  | { name: SlaClock }
  | { name: 'relax' }
  | { name: 'due_soon' }
  | { name: 'update'; patch: TaskPatch }
  /** `is_takeover`: the task passes to another worker in the same commit, so a deadline that has passed does not end it. */
  | { name: 'requeue'; reason: string; is_takeover?: boolean }
  /** Followed by `match` and `offer` in the same commit, and with the mode `assign` by `accept`. */
  | { name: 'assign'; worker_id: string; mode: AssignMode; forced: boolean }
  /** Of a task with copies: the copies as they are now, and the worker who accepted one. */
  | { name: 'update_copies'; copies: Copy[]; worker_id?: string }
  /** Of a task with copies: they have ended without agreement. */
  | { name: 'disagree'; agreement: Agreement; code: FailureCode; message: string }
  | EscalateCommand
  | { name: 'report'; worker_id: string; reason: Report['reason']; text: string | null }
  | ({ name: 'return_reported' | 'reject_reported' } & ReviewInput)
  | MessageCommand
  | ReadCommand
  | DisputeCommand;

export interface EscalateCommand {
  name: 'escalate';
  /** Number of the escalation, counted from 1. */
  number: number;
  /** The pool that it names does not exist. */
  pool_gone: boolean;
  /** Life of an offer of the task after the escalation, ms. */
  offer_ttl_ms: number;
}

/** What a reviewer adds to the decision; `rating` is 1–5. */
export interface ReviewInput {
  feedback: string | null;
  rating?: number | null;
  /** Time (ms) of the submission that was reviewed. Refused when there is a newer one. Absent: the current one. */
  submitted_at?: number | undefined;
}

/** Who gives the command and when, and the source of event ids. */
export interface CommandContext {
  /** Milliseconds since the epoch, by Redis' clock. */
  now: number;
  /** Redis' clock has jumped and the jump is not confirmed: nothing may expire. */
  isClockFrozen?: boolean;
  actor: string;
  newId: () => string;
}

export interface Refusal {
  code:
    | 'invalid_transition'
    | 'task_not_cancellable'
    | 'offer_not_pending'
    | 'not_yours'
    | 'not_due'
    | 'too_many_updates'
    | 'question_open'
    | 'question_not_open'
    | 'too_many_messages'
    | 'task_not_rejected'
    | 'already_disputed'
    | 'dispute_too_late'
    | 'dispute_not_open';
  message: string;
}

export type Decision =
  | {
      ok: true;
      task: Task;
      events: TaskEvent[];
      /** The decision is valid only from this time on, ms; null when it depends on no time. */
      due: number | null;
    }
  | { ok: false; refusal: Refusal };
