// The catalogue of queues: what jobs there are, how they are named, tried again and kept. A job carries ids
// and the form of its data, never payloads or secrets; its id follows from what it is about, so the same
// job made twice is one job.

import type { JobsOptions } from 'bullmq';
import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import type { ScheduledCheck } from '../state/tasks/checks.ts';

export const QUEUES = ['lifecycle', 'sla', 'webhooks', 'retries'] as const;
export type QueueName = (typeof QUEUES)[number];

/** Form of the job data; see `read-job.ts`. */
export const JOB_FORM = 1;

/** Asks a question of a task: in `lifecycle` when it is to be asked now, in `sla` when later. */
export interface CheckJob {
  form: typeof JOB_FORM;
  org_id: string;
  task_id: string;
  /** Version of the task that gave rise to it. */
  version: number;
  check: ScheduledCheck;
}

/** An org has its turn: a part of what it requested is matched. */
export interface MatchingJob {
  form: typeof JOB_FORM;
  org_id: string;
  turn: string;
}

/** A worker was removed, or may not be able to keep what they are offered. */
export interface WorkerJob {
  form: typeof JOB_FORM;
  org_id: string;
  worker_id: string;
  version: number;
  at: number;
  orphaned_tasks: string[];
  eligibility_reduced?: boolean;
}

/** A pool was removed: its tasks are to be taken from those who have them, its workers out of it. */
export interface PoolJob {
  form: typeof JOB_FORM;
  org_id: string;
  pool_id: string;
}

/** A replay to a webhook endpoint goes on: one step of it. */
export interface ReplayJob {
  form: typeof JOB_FORM;
  org_id: string;
  replay_id: string;
}

/** One event is owed to the task's callback URL, or to an endpoint; sequence 0 is a message about no task. */
export interface DeliveryJob extends DeliveryTarget {
  form: typeof JOB_FORM;
  /** It comes from the list of those who wait for its receiver: there may be more. */
  from_backlog?: true;
}

interface DeliveryTarget {
  org_id: string;
  task_id: string;
  sequence: number;
  endpoint_id?: string | undefined;
}

export type JobData = CheckJob | MatchingJob | WorkerJob | PoolJob | ReplayJob | DeliveryJob;

export interface NewJob {
  queue: QueueName;
  name: string;
  data: JobData;
  opts: JobsOptions & { jobId: string };
}

const SECOND = 1000;
const DAY = 24 * 3600;

/** A job is one attempt: when to try again is the delivery's own policy, and another job. More are for outages. */
const DELIVERIES: JobsOptions = {
  attempts: 1000,
  backoff: { type: 'custom' },
  removeOnComplete: { count: 100 },
  removeOnFail: { age: 7 * DAY, count: 10_000 },
  stackTraceLimit: 1,
};

/** What every job of a queue has in common. */
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
  // Those tried before have a lane of their own, so that thousands due at once hold up no first attempt.
  retries: DELIVERIES,
};

/** How much of a queue's event stream is kept. */
export const EVENTS_KEPT = 1000;

/** Delay before the next try in ms: 0.2 s doubling up to 30 s, jittered upwards. */
export function backoff(attemptsMade: number): number {
  const base = Math.min(200 * 2 ** Math.max(0, attemptsMade - 1), 30 * SECOND);
  return Math.round(base * (1 + Math.random() * 0.2));
}

/** Matches that an outbox entry requests. */
export function matchRequestsOf(entry: OutboxEntry): MatchRequest[] {
  if (entry.kind === 'worker') return [{ kind: 'worker', worker_id: entry.worker_id }];
  if (entry.kind !== 'task' || !entry.scheduled.some(isImmediateMatch)) return [];
  return [{ kind: 'task', task_id: entry.task_id, pool: entry.pool }];
}

/** Jobs that follow from an outbox entry, beside those of the matches it requests. @param now ms, by Redis' clock. */
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

/** Ids of the delayed jobs that an outbox entry makes pointless. */
export function cancelledJobs(entry: OutboxEntry): string[] {
  if (entry.kind !== 'task') return [];
  return entry.cancelled.filter(isDelayed).map((check) => checkJobId(entry, check));
}

/** The job that asks `question`. @param repair set by the sweeper: tells the job from a lost one of the same id. */
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
      // Behind matching, of which each org has one job at a time, however much it submits.
      ...(check.kind === 'verify' && { priority: 1 }),
    },
  };
}

/** The job of an org's turn to be matched. Its id is given once. @param repair as in `checkJob`. */
export function matchingJob(org_id: string, turn: string, repair: string | null = null): NewJob {
  const jobId = `match-${org_id}-${turn}${repair === null ? '' : `-${repair}`}`;
  return {
    queue: 'lifecycle',
    name: 'match',
    data: { form: JOB_FORM, org_id, turn },
    opts: { jobId, attempts: 1000 },
  };
}

/** The job that takes from a removed worker what they held. @param at when they left, ms. */
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
    opts: { jobId: `left-${task_id}-${worker_id}-${repair}` },
  };
}

/** The job that takes a replay from step to step. @param repair as in `checkJob`. */
export function replayJob(
  about: { org_id: string; replay_id: string },
  repair: string | null = null,
): NewJob {
  const { org_id, replay_id } = about;
  const jobId = `replay-${replay_id}${repair === null ? '' : `-${repair}`}`;
  return { queue: 'lifecycle', name: 'replay', data: { form: JOB_FORM, org_id, replay_id }, opts: { jobId } };
}

/** The job that makes a delivery. @param repair as in `checkJob`; also what tells one that is sent again. */
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

/** The job that makes a delivery again, in the lane of those; named by when it is due. @param at, now ms. */
export function retryJob(about: DeliveryTarget, at: number, now: number): NewJob {
  const { name, data, opts } = deliveryJob(about, String(Math.ceil(at)));
  return { queue: 'retries', name, data, opts: { ...opts, delay: Math.max(0, Math.ceil(at - now)) } };
}

/** The job that makes a delivery which has waited for its receiver. */
export function backlogJob(about: DeliveryTarget, now: number): NewJob {
  const job = deliveryJob(about, `w${now.toString(36)}`);
  return { ...job, data: { ...job.data, from_backlog: true } };
}

/** Whether the question is for later: all but the ones that follow at once from where the task stands. */
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
