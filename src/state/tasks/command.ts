// What can be asked of a task, by whom and when, and what is answered. `lifecycle.ts` says in which state each is allowed,
// `decide.ts` what it does.

import type { Clock, Submission, Task, TaskEvent } from './task.ts';

export type Command =
  | { name: 'queue' }
  | { name: 'match'; worker_ids: string[] }
  | { name: 'offer'; offers: { offer_id: string; worker_id: string; expires_at: number }[] }
  | { name: 'accept'; offer_id: string; worker_id: string }
  | {
      name: 'decline';
      offer_id: string;
      worker_id: string;
      reason: string | null;
      /** When they may be asked again, instead of after the cool-down. */
      retry_after_seconds?: number | undefined;
    }
  | { name: 'expire'; offer_id: string }
  | { name: 'revoke'; worker_id: string }
  | { name: 'start'; worker_id: string }
  | { name: 'release'; worker_id: string; reason: string | null }
  | { name: 'start_timeout'; accepted_at: number }
  | { name: 'remove_worker'; worker_id: string }
  | { name: 'remove_pool' }
  | { name: 'submit'; worker_id: string; submission: Omit<Submission, 'worker_id' | 'submitted_at'> }
  | { name: 'verify' }
  | ({ name: 'rework' | 'reject' } & Opinion)
  /** `is_automatic`: since nobody has reviewed it in the time there was. */
  | ({ name: 'approve'; is_automatic?: boolean } & Opinion)
  /** `is_rework`: a rework that its worker cannot take back, so that any worker may. */
  | ({ name: 'reassign'; is_rework?: boolean } & Opinion)
  | { name: 'complete' }
  | { name: 'cancel'; reason: string | null }
  | { name: 'clock'; clock: Clock }
  | { name: 'relax' };

/** What a reviewer has to say beside the decision; `rating` 1–5. */
export interface Opinion {
  feedback: string | null;
  rating?: number | null;
  /** The submission that it is about, by its time in ms: refused when another stands now. Any when not given. */
  submitted_at?: number | undefined;
}

/** Who gives the command, when, and where event ids come from. */
export interface Circumstance {
  /** Milliseconds since the epoch, by Redis' clock. */
  now: number;
  /** Redis' clock has jumped and nobody has confirmed it: nothing ends by time. */
  isHeld?: boolean;
  actor: string;
  newId: () => string;
}

export interface Refusal {
  code: 'invalid_transition' | 'task_not_cancellable' | 'offer_not_pending' | 'not_yours' | 'not_due';
  message: string;
}

export type Decision =
  | {
      ok: true;
      task: Task;
      events: TaskEvent[];
      /** The latest time, ms, that must have come for this to be right; null when it rests on none. */
      due: number | null;
    }
  | { ok: false; refusal: Refusal };
