// The catalogue of queues: which jobs exist, their ids, retries and retention. A job carries ids and the format version of its
// data, never payloads or secrets. Its id is derived from what it is about, so adding the same job twice adds one job.

import type { JobsOptions } from 'bullmq';
import {
  checkSubject,
  type DelayedCheck,
  formOfChecks,
  isDelayed,
  type ScheduledCheck,
} from '../state/tasks/scheduled-checks.ts';

export const QUEUES = ['lifecycle', 'sla', 'webhooks', 'retries', 'bulk', 'notifications'] as const;
export type QueueName = (typeof QUEUES)[number];

/** Format version of the job data, except of checks, which have their own; see `read-job.ts`. */
export const JOB_FORM = 1;

/** A check of a task: in `lifecycle` if it is run at once, in `sla` if it is run later. */
export interface CheckJob<C extends ScheduledCheck = ScheduledCheck> {
  form: number;
  org_id: string;
  task_id: string;
  check: C;
}

type VerifyCheck = Extract<ScheduledCheck, { kind: 'verify' }>;
/** A check with a job of its own; a match at once is requested instead. */
type JobCheck = VerifyCheck | DelayedCheck;

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

interface DeliveryTarget {
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
  sla: { name: DelayedCheck['kind']; data: CheckJob<DelayedCheck> };
  webhooks: { name: 'deliver'; data: DeliveryJob };
  retries: { name: 'deliver'; data: DeliveryJob };
  bulk: { name: 'bulk_action'; data: BulkActionJob };
  notifications: { name: 'notify'; data: NoticeJob };
}

/** A job to be added to a queue. */
export type NewJob = {
  [Q in QueueName]: { queue: Q; opts: JobsOptions & { jobId: string } } & Jobs[Q];
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

/**
 * A check gets its job this long before it is due, ms. Most checks are cancelled earlier, and never cost a job.
 * `processors/check-scheduler.ts` adds the jobs of those that are still scheduled then.
 */
export const SCHEDULED_AHEAD = 60_000;

/** Whether the check has a job by now: it is due soon, or not in the index of due times. */
export function isScheduledNow(check: ScheduledCheck, now: number): boolean {
  return check.kind === 'match' || check.at <= now + SCHEDULED_AHEAD;
}

/** Most entries kept in a queue's event stream. */
export const EVENTS_KEPT = 1000;

/** Delay before a failed job runs again, ms: 200 ms, doubled each time up to 30 s, plus up to 20 % jitter. */
export function backoff(attemptsMade: number): number {
  const base = Math.min(200 * 2 ** Math.max(0, attemptsMade - 1), 30 * SECOND);
  return Math.round(base * (1 + Math.random() * 0.2));
}

/** The job that empties a pool removed at `at`. @param idSuffix as for `checkJob`. */
export function poolJob(
  { org_id, pool_id, at }: { org_id: string; pool_id: string; at: number },
  idSuffix?: string,
): NewJob {
  const jobId = ['pool', org_id, pool_id, at, ...(idSuffix === undefined ? [] : [idSuffix])].join('-');
  return { queue: 'lifecycle', name: 'pool', data: { form: JOB_FORM, org_id, pool_id }, opts: { jobId } };
}

/**
 * The job of a check.
 * @param about the task at the version that scheduled the check. @param now ms, by Redis' clock.
 * @param idSuffix set by the sweeper: distinguishes the job from a lost one of the same id.
 */
export function checkJob(
  about: { org_id: string; task_id: string; version: number },
  check: JobCheck,
  now: number,
  idSuffix: string | null = null,
): NewJob {
  const { org_id, task_id } = about;
  const base = { form: formOfChecks([check]), org_id, task_id };
  const jobId = checkJobId(about, check) + (idSuffix === null ? '' : `-${idSuffix}`);
  if (isDelayed(check))
    return {
      queue: 'sla',
      name: check.kind,
      data: { ...base, check },
      opts: { jobId, delay: Math.max(0, check.at - now) },
    };
  // A lower priority than matching: an org has one matching job at a time, but as many of these as it submits.
  const opts = { jobId, priority: 1 };
  return { queue: 'lifecycle', name: check.kind, data: { ...base, check }, opts };
}

/** The job of an org's turn. @param turn id of the turn, used once. @param idSuffix as in `checkJob`. */
export function matchingJob(org_id: string, turn: string, idSuffix: string | null = null): NewJob {
  const jobId = `match-${org_id}-${turn}${idSuffix === null ? '' : `-${idSuffix}`}`;
  return {
    queue: 'lifecycle',
    name: 'match',
    data: { form: JOB_FORM, org_id, turn },
    opts: { jobId, attempts: 1000 },
  };
}

/** The job that releases a task which a removed worker still holds. @param idSuffix as in `checkJob`. */
export function orphanedReservationJob(
  about: { org_id: string; worker_id: string; task_id: string },
  idSuffix: string,
): NewJob {
  const { org_id, worker_id, task_id } = about;
  return {
    queue: 'lifecycle',
    name: 'worker',
    data: { form: JOB_FORM, org_id, worker_id, orphaned_tasks: [task_id] },
    opts: { jobId: `orphan-${task_id}-${worker_id}-${idSuffix}` },
  };
}

/** The job that runs a replay step by step. @param idSuffix as in `checkJob`. */
export function replayJob(
  about: { org_id: string; replay_id: string },
  idSuffix: string | null = null,
): NewJob {
  const { org_id, replay_id } = about;
  const jobId = `replay-${replay_id}${idSuffix === null ? '' : `-${idSuffix}`}`;
  return { queue: 'lifecycle', name: 'replay', data: { form: JOB_FORM, org_id, replay_id }, opts: { jobId } };
}

/** The job that runs a bulk action step by step. @param idSuffix as in `checkJob`. */
export function bulkActionJob(
  about: { org_id: string; bulk_action_id: string },
  idSuffix: string | null = null,
): NewJob {
  const { org_id, bulk_action_id } = about;
  const jobId = `bulk-${bulk_action_id}${idSuffix === null ? '' : `-${idSuffix}`}`;
  const data = { form: JOB_FORM, org_id, bulk_action_id } as const;
  return { queue: 'bulk', name: 'bulk_action', data, opts: { jobId } };
}

/** The job of a notice. @param idSuffix as in `checkJob` */
export function noticeJob(
  about: { org_id: string; worker_id: string; notice_id: string },
  idSuffix: string | null = null,
): NewJob {
  const { org_id, worker_id, notice_id } = about;
  const jobId = `notice-${notice_id}${idSuffix === null ? '' : `-${idSuffix}`}`;
  const data = { form: JOB_FORM, org_id, worker_id, notice_id } as const;
  return { queue: 'notifications', name: 'notify', data, opts: { jobId } };
}

/** The job of a first attempt. @param idSuffix as in `checkJob`; a manual redelivery also sets it. */
export function deliveryJob(about: DeliveryTarget, idSuffix: string | null = null): NewJob {
  return { queue: 'webhooks', name: 'deliver', ...delivery(about, idSuffix) };
}

/** The job of a retry; its id contains the due time. @param at when it is due, ms. @param now ms. */
export function retryJob(about: DeliveryTarget, at: number, now: number): NewJob {
  const { data, opts } = delivery(about, String(Math.ceil(at)));
  const delay = Math.max(0, Math.ceil(at - now));
  return { queue: 'retries', name: 'deliver', data, opts: { ...opts, delay } };
}

/** The job of a delivery that waited for an earlier event of its task. @param now ms; makes the id unique. */
export function orderedJob(about: DeliveryTarget, now: number): NewJob {
  return deliveryJob(about, `n${now.toString(36)}`);
}

/** The job of a delivery that is released from a backlog. @param now ms; makes the id unique. */
export function backlogJob(about: DeliveryTarget, now: number): NewJob {
  const { data, opts } = delivery(about, `w${now.toString(36)}`);
  return { queue: 'webhooks', name: 'deliver', data: { ...data, from_backlog: true }, opts };
}

function delivery(
  about: DeliveryTarget,
  suffix: string | null,
): { data: DeliveryJob; opts: { jobId: string } } {
  const { org_id, task_id, sequence, endpoint_id } = about;
  const target = endpoint_id === undefined ? '' : `-${endpoint_id}`;
  const data = {
    form: JOB_FORM,
    org_id,
    task_id,
    sequence,
    ...(endpoint_id !== undefined && { endpoint_id }),
  } as const;
  return {
    data,
    opts: { jobId: `deliver-${task_id}-${sequence}${target}${suffix === null ? '' : `-${suffix}`}` },
  };
}

/** Whether the check has a job of its own: all but a match at once, which is requested in a turn of the org. */
export function hasJob(check: ScheduledCheck): check is JobCheck {
  return check.kind !== 'match' || check.after !== null;
}

/** Id of the job of a check. */
export function checkJobId(about: { task_id: string; version: number }, check: JobCheck): string {
  return isDelayed(check)
    ? `${check.kind}-${about.task_id}-${check.at}-${checkSubject(check) ?? 'clock'}`
    : `${check.kind}-${about.task_id}-v${about.version}`;
}
