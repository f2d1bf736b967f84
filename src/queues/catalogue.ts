// The catalogue of queues: which jobs exist, what they carry, their retries and retention. A job carries ids and the format
// version of its data, never payloads or secrets. `new-jobs.ts` makes jobs with their ids.

import type { JobsOptions } from 'bullmq';
import type { DelayedCheck, ScheduledCheck, VerifyCheck } from '../state/tasks/scheduled-checks.ts';

export const QUEUES = ['lifecycle', 'sla', 'webhooks', 'retries', 'bulk', 'notifications'] as const;
export type QueueName = (typeof QUEUES)[number];

/** Format version of the job data, except of checks, which have their own; see `read-job.ts`. */
export const JOB_FORM = 1;

/** Format version of the job of a moment, which older processes leave to newer ones. The next one of checks is higher. */
export const MOMENT_FORM = 7;

/** All checks of a partition that are due by a moment, in the index of due times. */
export interface MomentJob {
  form: typeof MOMENT_FORM;
  partition: string;
  /** The moment, ms. */
  at: number;
  /** Number of the job among those that share the work of the moment, from 1. */
  part: number;
}

/** A check of a task: in `lifecycle` if it is run at once, in `sla` if it is run later and not in the index of due times. */
export interface CheckJob<C extends ScheduledCheck = ScheduledCheck> {
  form: number;
  org_id: string;
  task_id: string;
  check: C;
}

/** An org's turn: the job matches some of the org's match requests. */
export interface MatchingJob {
  form: typeof JOB_FORM;
  org_id: string;
  turn: string;
}

/** A worker was removed, or is no longer eligible for all of their offers. */
export interface WorkerJob {
  form: typeof JOB_FORM;
  org_id: string;
  worker_id: string;
  orphaned_tasks: string[];
  eligibility_reduced?: boolean;
}

/** A pool was removed: its tasks are released from their workers, and its workers leave it. */
export interface PoolJob {
  form: typeof JOB_FORM;
  org_id: string;
  pool_id: string;
}

/** One step of a replay to a webhook endpoint. */
export interface ReplayJob {
  form: typeof JOB_FORM;
  org_id: string;
  replay_id: string;
}

/** One step of a bulk action. */
export interface BulkActionJob {
  form: typeof JOB_FORM;
  org_id: string;
  bulk_action_id: string;
}

/** A notice to a worker. */
export interface NoticeJob {
  form: typeof JOB_FORM;
  org_id: string;
  worker_id: string;
  notice_id: string;
}

/** A delivery of one event to the task's callback URL or to an endpoint; sequence 0 is a message about no task. */
export interface DeliveryJob extends DeliveryTarget {
  form: typeof JOB_FORM;
  /** Released from the receiver's backlog, which may hold more deliveries. */
  from_backlog?: boolean;
}

export interface DeliveryTarget {
  org_id: string;
  task_id: string;
  sequence: number;
  endpoint_id?: string | undefined;
}

/** The jobs of each queue, by name. */
export interface Jobs {
  lifecycle:
    | { name: 'verify'; data: CheckJob<VerifyCheck> }
    | { name: 'match'; data: MatchingJob }
    | { name: 'worker'; data: WorkerJob }
    | { name: 'pool'; data: PoolJob }
    | { name: 'replay'; data: ReplayJob };
  /** A check of the index of due times has a job of its own when it failed, or when an older process added it. */
  sla: { name: 'moment'; data: MomentJob } | { name: DelayedCheck['kind']; data: CheckJob<DelayedCheck> };
  webhooks: { name: 'deliver'; data: DeliveryJob };
  retries: { name: 'deliver'; data: DeliveryJob };
  bulk: { name: 'bulk_action'; data: BulkActionJob };
  notifications: { name: 'notify'; data: NoticeJob };
}

/** A job to be added to a queue. While traces are on, its data has the field `trace`; see `withTrace`. */
export type NewJob = {
  [Q in QueueName]: {
    queue: Q;
    opts: JobsOptions & { jobId: string };
    /** What the job need not read when it runs at once in the process that makes it; never in a queue. */
    known?: unknown;
  } & Jobs[Q];
}[QueueName];

const SECOND = 1000;
const DAY = 24 * 3600;

/** A job makes one delivery attempt; a retry is another job. BullMQ's own attempts are only for outages of Redis. */
const DELIVERIES: JobsOptions = {
  attempts: 1000,
  backoff: { type: 'custom' },
  removeOnComplete: { count: 100 },
  removeOnFail: { age: 7 * DAY, count: 10_000 },
  stackTraceLimit: 1,
};

/** Default options of the jobs of each queue. */
export const DEFAULTS: Record<QueueName, JobsOptions> = {
  lifecycle: {
    attempts: 20,
    backoff: { type: 'custom' },
    removeOnComplete: { count: 500 },
    removeOnFail: { age: 7 * DAY, count: 10_000 },
    stackTraceLimit: 3,
  },
  sla: {
    attempts: 20,
    backoff: { type: 'custom' },
    removeOnComplete: { count: 100 },
    removeOnFail: { age: 7 * DAY, count: 10_000 },
    stackTraceLimit: 3,
  },
  webhooks: DELIVERIES,
  // A separate queue, so that thousands of retries due at once do not delay first attempts.
  retries: DELIVERIES,
  // A separate queue, so that bulk actions of many orgs do not delay verification and matching.
  bulk: {
    attempts: 1000,
    backoff: { type: 'custom' },
    removeOnComplete: { count: 100 },
    removeOnFail: { age: 7 * DAY, count: 1000 },
    stackTraceLimit: 3,
  },
  // A job tries all channels of a worker. BullMQ's own attempts are only for outages of Redis.
  notifications: {
    attempts: 20,
    backoff: { type: 'custom' },
    removeOnComplete: { count: 100 },
    removeOnFail: { age: 7 * DAY, count: 1000 },
    stackTraceLimit: 3,
  },
};

/** Most entries kept in a queue's event stream. */
export const EVENTS_KEPT = 1000;

/** Delay before a failed job runs again, ms: 200 ms, doubled each time up to 30 s, plus up to 20 % jitter. */
export function backoff(attemptsMade: number): number {
  const base = Math.min(200 * 2 ** Math.max(0, attemptsMade - 1), 30 * SECOND);
  return Math.round(base * (1 + Math.random() * 0.2));
}
