// The catalogue of queues: which jobs exist, their ids, retries and retention. A job carries ids and the form of its
// data, never payloads or secrets. Its id is derived from what it is about, so adding the same job twice adds one job.

import type { JobsOptions } from 'bullmq';
import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import type { ScheduledCheck } from '../state/tasks/checks.ts';

export const QUEUES = ['lifecycle', 'sla', 'webhooks', 'retries'] as const;
export type QueueName = (typeof QUEUES)[number];

/** Form of the job data; see `read-job.ts`. */
export const JOB_FORM = 1;

/** A check of a task: in the `lifecycle` queue when it is due at once, in `sla` when it is due later. */
export interface CheckJob {
  form: typeof JOB_FORM;
  org_id: string;
  task_id: string;
  /** Version of the task that scheduled it. */
  version: number;
  check: ScheduledCheck;
}

/** An org's turn: the job matches some of the org's match requests. */
export interface MatchingJob {
  form: typeof JOB_FORM;
  org_id: string;
  turn: string;
}

/** A worker was removed, or is no longer eligible for all of their offers and tasks. */
export interface WorkerJob {
  form: typeof JOB_FORM;
  org_id: string;
  worker_id: string;
  version: number;
  at: number;
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

/** A delivery of one event to the task's callback URL or to an endpoint; sequence 0 is a message about no task. */
export interface DeliveryJob extends DeliveryTarget {
  form: typeof JOB_FORM;
  /** Released from the receiver's backlog, which may hold more deliveries. */
  from_backlog?: true;
}

interface DeliveryTarget {
  org_id: string;
  task_id: string;
  sequence: number;
  endpoint_id?: string | undefined;
}

export type JobData = CheckJob | MatchingJob | WorkerJob | PoolJob | ReplayJob | DeliveryJob;

/** A job to be added to a queue. */
export interface NewJob {
  queue: QueueName;
  name: string;
  data: JobData;
  opts: JobsOptions & { jobId: string };
}

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
};

/** Most entries kept in a queue's event stream. */
export const EVENTS_KEPT = 1000;

/** Delay before a failed job runs again, ms: 200 ms, doubled each time up to 30 s, plus up to 20 % jitter. */
export function backoff(attemptsMade: number): number {
  const base = Math.min(200 * 2 ** Math.max(0, attemptsMade - 1), 30 * SECOND);
  return Math.round(base * (1 + Math.random() * 0.2));
}

/** The match requests that follow from an outbox entry. */
export function matchRequestsOf(entry: OutboxEntry): MatchRequest[] {
  if (entry.kind === 'worker') return [{ kind: 'worker', worker_id: entry.worker_id }];
  if (entry.kind !== 'task' || !entry.scheduled.some(isImmediateMatch)) return [];
  return [{ kind: 'task', task_id: entry.task_id, pool: entry.pool }];
}

/** The jobs that follow from an outbox entry, except those of its match requests. @param now ms, by Redis' clock. */
export function jobsOf(entry: OutboxEntry, now: number): NewJob[] {
  if (entry.kind === 'worker') {
    const { kind: _kind, ...rest } = entry;
    if (entry.orphaned_tasks.length === 0 && entry.eligibility_reduced !== true) return [];
    return [
      {
        queue: 'lifecycle',
        name: 'worker',
        data: { form: JOB_FORM, ...rest },
        opts: { jobId: `worker-${entry.org_id}-${entry.worker_id}-${entry.at}-${entry.version}` },
      },
    ];
  }
  if (entry.kind === 'pool') return [poolJob(entry)];
  if (entry.kind === 'replay') return [replayJob(entry)];
  if (entry.kind === 'delivery') {
    const { kind: _kind, again, ...about } = entry;
    return [deliveryJob(about, again)];
  }
  const { org_id, task_id, version } = entry;
  return [
    ...entry.scheduled
      .filter((check) => !isImmediateMatch(check))
      .map((check) => checkJob({ org_id, task_id, version }, check, now)),
    ...entry.deliveries.map((sequence) => deliveryJob({ org_id, task_id, sequence })),
  ];
}

/** The job that empties a pool removed at `at`. @param repair as for `checkJob`. */
export function poolJob(
  { org_id, pool_id, at }: { org_id: string; pool_id: string; at: number },
  repair?: string,
): NewJob {
  const jobId = ['pool', org_id, pool_id, at, ...(repair === undefined ? [] : [repair])].join('-');
  return { queue: 'lifecycle', name: 'pool', data: { form: JOB_FORM, org_id, pool_id }, opts: { jobId } };
}

/** Ids of the delayed jobs that an outbox entry cancels. */
export function cancelledJobs(entry: OutboxEntry): string[] {
  if (entry.kind !== 'task') return [];
  return entry.cancelled.filter(isDelayed).map((check) => checkJobId(entry, check));
}

/**
 * The job of a scheduled check.
 * @param now ms, by Redis' clock. @param repair set by the sweeper, so that the id differs from that of the lost job.
 */
export function checkJob(
  about: { org_id: string; task_id: string; version: number },
  check: ScheduledCheck,
  now: number,
  repair: string | null = null,
): NewJob {
  const { org_id, task_id, version } = about;
  const jobId = checkJobId(about, check) + (repair === null ? '' : `-${repair}`);
  return {
    queue: isDelayed(check) ? 'sla' : 'lifecycle',
    name: check.kind,
    data: { form: JOB_FORM, org_id, task_id, version, check },
    opts: {
      jobId,
      ...(isDelayed(check) && { delay: Math.max(0, check.at - now) }),
      // A lower priority than matching: an org has one matching job at a time, but as many of these as it submits.
      ...(check.kind === 'verify' && { priority: 1 }),
    },
  };
}

/** The job of an org's turn. @param turn id of the turn, used once. @param repair as in `checkJob`. */
export function matchingJob(org_id: string, turn: string, repair: string | null = null): NewJob {
  const jobId = `match-${org_id}-${turn}${repair === null ? '' : `-${repair}`}`;
  return {
    queue: 'lifecycle',
    name: 'match',
    data: { form: JOB_FORM, org_id, turn },
    opts: { jobId, attempts: 1000 },
  };
}

/** The job that releases a task of a removed worker. @param at when the worker was removed, ms. @param repair as in `checkJob`. */
export function orphanedReservationJob(
  about: { org_id: string; worker_id: string; task_id: string },
  at: number,
  repair: string,
): NewJob {
  const { org_id, worker_id, task_id } = about;
  return {
    queue: 'lifecycle',
    name: 'worker',
    data: { form: JOB_FORM, org_id, worker_id, version: 0, at, orphaned_tasks: [task_id] },
    opts: { jobId: `orphan-${task_id}-${worker_id}-${repair}` },
  };
}

/** The job that runs a replay step by step. @param repair as in `checkJob`. */
export function replayJob(
  about: { org_id: string; replay_id: string },
  repair: string | null = null,
): NewJob {
  const { org_id, replay_id } = about;
  const jobId = `replay-${replay_id}${repair === null ? '' : `-${repair}`}`;
  return { queue: 'lifecycle', name: 'replay', data: { form: JOB_FORM, org_id, replay_id }, opts: { jobId } };
}

/** The job of a first attempt. @param repair as in `checkJob`; a manual redelivery also sets it. */
export function deliveryJob(about: DeliveryTarget, repair: string | null = null): NewJob {
  const { org_id, task_id, sequence, endpoint_id } = about;
  const target = endpoint_id === undefined ? '' : `-${endpoint_id}`;
  const jobId = `deliver-${task_id}-${sequence}${target}${repair === null ? '' : `-${repair}`}`;
  const data: DeliveryJob = {
    form: JOB_FORM,
    org_id,
    task_id,
    sequence,
    ...(endpoint_id !== undefined && { endpoint_id }),
  };
  return { queue: 'webhooks', name: 'deliver', data, opts: { jobId } };
}

/** The job of a retry, in the `retries` queue; its id contains the due time. @param at when it is due, ms. @param now ms. */
export function retryJob(about: DeliveryTarget, at: number, now: number): NewJob {
  const { name, data, opts } = deliveryJob(about, String(Math.ceil(at)));
  return { queue: 'retries', name, data, opts: { ...opts, delay: Math.max(0, Math.ceil(at - now)) } };
}

/** The job of a delivery that is released from a backlog. @param now ms; makes the id unique. */
export function backlogJob(about: DeliveryTarget, now: number): NewJob {
  const job = deliveryJob(about, `w${now.toString(36)}`);
  return { ...job, data: { ...job.data, from_backlog: true } };
}

/** Whether the check is due later: all checks except verification and an immediate match. */
export function isDelayed(check: ScheduledCheck): boolean {
  return check.kind !== 'verify' && !isImmediateMatch(check);
}

function isImmediateMatch(check: ScheduledCheck): boolean {
  return check.kind === 'match' && check.ref === null;
}

function checkJobId(about: { task_id: string; version: number }, check: ScheduledCheck): string {
  return isDelayed(check)
    ? `${check.kind}-${about.task_id}-${check.at}-${check.ref ?? 'clock'}`
    : `${check.kind}-${about.task_id}-v${about.version}`;
}
