// A task: its input as it was given, and everything that commands have changed since. Times are milliseconds since the
// epoch (UTC); they become RFC 3339 text only at the edges.

import type { Agreement, AgreementRule } from './agreement.ts';
import type { Conversation } from './conversation.ts';
import type { Dispute } from './dispute.ts';
import type { EventType, Status } from './lifecycle.ts';
import type { Assignment, Decline, Offer } from './offer.ts';
import type { Report } from './report.ts';

export const URGENCIES = ['low', 'normal', 'high', 'critical'] as const;
export type Urgency = (typeof URGENCIES)[number];

/** Requirements that may be relaxed while the task is queued. */
interface SoftRequirements {
  skills?: string[];
  certifications?: string[];
  trust_level?: number;
  min_rating?: number;
  /** Least share of known answers that the worker gave right; see `track-record.ts`. */
  min_accuracy?: number;
}
export const SOFT = ['skills', 'certifications', 'trust_level', 'min_rating', 'min_accuracy'] as const;
/** Requirements that name workers, or tasks whose workers are meant. */
export const NAMING = ['worker_ids', 'excluded_worker_ids', 'excluded_tasks'] as const;

/** What a worker must have. An absent field requires nothing. */
export interface Requirements extends SoftRequirements {
  worker_pool_id?: string;
  /** Only these workers. */
  worker_ids?: string[];
  excluded_worker_ids?: string[];
  /** Ids of tasks: nobody to whom one of them was ever assigned. */
  excluded_tasks?: string[];
  /** The requirements that no relaxation step changes. */
  hard?: (typeof SOFT)[number][];
  /** Relaxation steps by time: the requirements that replace all that are not hard, from `after_seconds` after the start on. */
  steps?: { after_seconds: number; requirements: SoftRequirements }[];
  /** Most attempts; `DEFAULT_MAX_ATTEMPTS` when absent. */
  max_attempts?: number;
}

/** `per_task`: the events of a task are delivered one after another, in the order of their sequence. */
export const ORDERINGS = ['none', 'per_task'] as const;
export type Ordering = (typeof ORDERINGS)[number];

export type CallbackAuth =
  | { type: 'none' }
  /** `sealed` is the encrypted JSON of the token, or of user name and password. */
  | { type: 'bearer' | 'basic'; sealed: string };

export interface Handoff {
  callback_url?: string;
  callback_auth: CallbackAuth;
  retry_policy: { max_retries: number; backoff_seconds: number };
  events: EventType[];
  /** Absent: `none`. */
  ordering?: Ordering;
}

export interface ReviewMode {
  mode: 'auto' | 'manual';
  auto_approve_after_seconds?: number;
}

/** Several workers answer the task, and their answers are compared. */
export interface CopiesInput {
  count: number;
  /** Most copies in all, when the first answers do not agree; absent: `count`. */
  max_count?: number;
  agreement: AgreementRule;
}

/** What happens to a task at its deadline, or later when its work is given up: it fails, or completes with `output`. */
export type OnDeadline = { action: 'fail' } | { action: 'complete'; output: unknown };

/** How long an escalation applies: until a worker has accepted the task, or until there is a submission. */
export const ESCALATION_CONDITIONS = ['unassigned', 'unfinished'] as const;

/** What is done once, `after_seconds` after the start, if the condition holds then. */
export interface Escalation {
  after_seconds: number;
  while: (typeof ESCALATION_CONDITIONS)[number];
  /** Raises the urgency to this one; never lowers it. */
  urgency?: Urgency;
  /** Moves the task to this pool. */
  worker_pool_id?: string;
  /** Ids of members to notify. */
  notify_members?: string[];
}

/** The expected answer. `tolerance`: how far a number may be from it; absent: that of the copies, or 0. */
export interface GoldAnswer {
  output: unknown;
  tolerance?: number;
}

/**
 * The body of `POST /v1/tasks` with its defaults filled in and its secrets sealed. The same object from one version of a
 * task to the next unless a command has changed it (`Transition.changeInput`).
 */
export interface TaskInput {
  origin: { org_id: string; product: string; request_id: string; created_by: string; created_at?: string };
  task_type: string;
  /** The version of the registered task type whose defaults it was created with. */
  task_type_version?: number;
  domain: string;
  title: string;
  instructions: string;
  /** Until then it is not queued; see `startsAt`. */
  not_before?: string;
  context?: Record<string, unknown>;
  sla: {
    urgency: Urgency;
    deadline?: string;
    target_latency_seconds?: number;
    on_deadline?: OnDeadline;
    /** By time; see `Escalation`. */
    escalations?: Escalation[];
  };
  requirements?: Requirements;
  output: {
    expected_format: 'structured_json' | 'text';
    schema?: Record<string, unknown>;
    evidence_required: boolean;
    /** Accepted media types of files, such as `image/png` or `image/*`; absent: any. */
    evidence_types?: string[];
    review: ReviewMode;
    /** The task goes to so many workers; see `copies.ts`. */
    copies?: CopiesInput;
    /** The expected answer, never shown to workers. */
    gold?: GoldAnswer;
  };
  handoff?: Handoff;
  audit: { log_required: boolean; retain_days: number };
  metadata?: Record<string, string>;
}

export interface EvidenceRef {
  evidence_id: string;
  name: string;
  media_type: string;
  bytes: number;
  sha256: string;
}

export interface Submission {
  output: unknown;
  evidence: EvidenceRef[];
  notes: string | null;
  worker_id: string;
  submitted_at: number;
}

/** A copy of a task for one worker: a task of its own, which only workers see. */
export interface Copy {
  task_id: string;
  /** What was handed in and passed the checks; null before. */
  answer: Submission | null;
  /** Why there will be no answer. */
  lost?: FailureCode;
}

export const DECISIONS = ['approve', 'rework', 'reassign', 'reject'] as const;

/** A decision about a submission, by a reviewer or automatically (`system`). */
export interface Review {
  decision: (typeof DECISIONS)[number];
  feedback: string | null;
  /** How good the work was, 1–5; null when not said. */
  rating: number | null;
  /** The worker who submitted. */
  worker_id: string;
  reviewed_by: string;
  reviewed_at: number;
}

export const SLA_CLOCKS = ['target_latency', 'deadline'] as const;
export type SlaClock = (typeof SLA_CLOCKS)[number];

interface Breach {
  clock: SlaClock;
  due_at: number;
  breached_at: number;
}

export interface Task {
  task_id: string;
  org_id: string;
  input: TaskInput;
  status: Status;
  /** Grows by one with every commit. */
  version: number;
  /** Number of the last event. */
  sequence: number;
  /** 1 for the first worker; grows by one each time an accepted task returns to the queue or to its worker. */
  attempt: number;
  created_at: number;
  updated_at: number;
  /** When it last entered its status. */
  status_changed_at: number;
  /** When its input was last changed; absent: never. */
  input_changed_at?: number;
  completed_at: number | null;
  /** How many relaxation steps have been applied. */
  step: number;
  /** How many escalations have come due, whether or not their conditions held; absent: none. */
  escalations?: number;
  offers: Offer[];
  declines: Decline[];
  assignment: Assignment | null;
  /** Ids of the workers to whom it, or a copy of it, was ever assigned; absent: none. */
  assigned_workers?: string[];
  /** The last submission. It stays when it is sent back or rejected. */
  submission: Submission | null;
  /** Reviews, oldest first. */
  reviews: Review[];
  breaches: Breach[];
  /** `default`: the result is the output of `sla.on_deadline`; absent: the result is the submission. */
  result_source?: 'default';
  failure: { code: FailureCode; message: string } | null;
  cancellation: { reason: string | null; cancelled_by: string } | null;
  /** Number of updates; absent: none. */
  updates?: number;
  /**
   * Sequence of the event that changed the metadata last; absent: it never changed. Earlier events are delivered with
   * the metadata of their time (`inputAt`).
   */
  metadata_since?: number;
  /** The last report of a worker; absent: none. */
  report?: Report;
  /** The worker's dispute of the rejection that ended the task; absent: none. */
  dispute?: Dispute;
  /** Absent: nobody has written a message. */
  conversation?: Conversation;
  /** The copies of a task that several workers answer, in the order in which they were made. */
  copies?: Copy[];
  /** How far the answers agree, once that is decided. */
  agreement?: Agreement;
  /** In a copy: the task of which it is one. */
  copy_of?: string;
  /**
   * In a gold task of a type (see `gold.ts`): the real task it came with, the review mode that its worker is shown, and whether
   * they see it as one of several copies.
   */
  gold?: { came_with: string; review: ReviewMode; like_copy?: true };
}

export type FailureCode = 'deadline_exceeded' | 'rejected' | 'attempts_exhausted' | 'no_agreement';

/** Used when `max_attempts` is absent. */
export const DEFAULT_MAX_ATTEMPTS = 3;

/** The most attempts of a task. */
export function maxAttempts(task: Task): number {
  return task.input.requirements?.max_attempts ?? DEFAULT_MAX_ATTEMPTS;
}

/** When its clocks start, ms: at its creation, or at its `not_before` if that is later. */
export function startsAt({ created_at, input: { not_before } }: Task): number {
  return not_before === undefined ? created_at : Math.max(created_at, Date.parse(not_before));
}

/** An escalation, counted from 1, with its time (ms); null when there is no such escalation. */
export function escalationOf(task: Task, number: number): { escalation: Escalation; at: number } | null {
  const escalation = task.input.sla.escalations?.[number - 1];
  return escalation === undefined
    ? null
    : { escalation, at: startsAt(task) + escalation.after_seconds * 1000 };
}

/** The pool that the task requires, or null for any. */
export function poolOf(task: Task): string | null {
  return task.input.requirements?.worker_pool_id ?? null;
}

/** Due time of an SLA clock in ms, or null when the task does not have it. */
export function dueAt(task: Task, clock: SlaClock): number | null {
  const { sla } = task.input;
  if (clock === 'deadline') return sla.deadline === undefined ? null : Date.parse(sla.deadline);
  return sla.target_latency_seconds === undefined ? null : startsAt(task) + sla.target_latency_seconds * 1000;
}

const START_TIME: Record<Urgency, number> = { critical: 120, high: 300, normal: 900, low: 3600 };

/** How long a worker may take to start after accepting, in ms. */
export function startTime(urgency: Urgency): number {
  return START_TIME[urgency] * 1000;
}
