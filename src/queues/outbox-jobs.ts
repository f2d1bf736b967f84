// What follows from an outbox entry: the jobs and match requests that it adds, and the delayed jobs that it cancels.

import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import { type DelayedCheck, isDelayed } from '../state/tasks/scheduled-checks.ts';
import { hasJob, isScheduledNow, JOB_FORM, type NewJob } from './catalogue.ts';
import {
  bulkActionJob,
  checkJob,
  checkJobId,
  deliveryJob,
  noticeJob,
  poolJob,
  replayJob,
  withTrace,
} from './new-jobs.ts';

/** The match requests that follow from an outbox entry. */
export function matchRequestsOf(entry: OutboxEntry): MatchRequest[] {
  const { trace } = entry;
  const traced = trace === undefined ? {} : { trace };
  if (entry.kind === 'worker') return [{ kind: 'worker', worker_id: entry.worker_id, ...traced }];
  if (entry.kind !== 'task' || entry.scheduled.every(hasJob)) return [];
  return [{ kind: 'task', task_id: entry.task_id, pool: entry.pool, ...traced }];
}

/**
 * The jobs that follow from an outbox entry, except those of its match requests. Those that run at once belong to its trace.
 * @param now ms, by Redis' clock.
 */
export function jobsOf(entry: OutboxEntry, now: number): NewJob[] {
  const jobs = untracedJobs(entry, now);
  const { trace } = entry;
  if (trace === undefined) return jobs;
  return jobs.map((job) => (job.opts.delay === undefined ? withTrace(job, trace) : job));
}

function untracedJobs(entry: OutboxEntry, now: number): NewJob[] {
  switch (entry.kind) {
    case 'worker':
      return workerJobs(entry);
    case 'pool':
      return [poolJob(entry)];
    case 'replay':
      return [replayJob(entry)];
    case 'bulk_action':
      return [bulkActionJob(entry)];
    case 'delivery':
      return [deliveryJob(entry, entry.id_suffix)];
    case 'notice':
      return [noticeJob(entry)];
    case 'task': {
      const { org_id, task_id } = entry;
      return [
        ...entry.scheduled
          .filter(hasJob)
          .filter((check) => isScheduledNow(check, now))
          .map((check) => checkJob(entry, check, now)),
        ...entry.deliveries.map((sequence) => deliveryJob({ org_id, task_id, sequence })),
      ];
    }
  }
}

function workerJobs(entry: Extract<OutboxEntry, { kind: 'worker' }>): NewJob[] {
  const { org_id, worker_id, orphaned_tasks, eligibility_reduced = false, at, version } = entry;
  if (orphaned_tasks.length === 0 && !eligibility_reduced) return [];
  const data = { form: JOB_FORM, org_id, worker_id, orphaned_tasks, eligibility_reduced } as const;
  return [
    {
      queue: 'lifecycle',
      name: 'worker',
      data,
      opts: { jobId: `worker-${org_id}-${worker_id}-${at}-${version}` },
    },
  ];
}

/** The checks with a delayed job that an outbox entry cancels. @param now ms, by Redis' clock. */
export function cancelledChecks(entry: OutboxEntry, now: number): DelayedCheck[] {
  if (entry.kind !== 'task') return [];
  return entry.cancelled.filter(isDelayed).filter((check) => isScheduledNow(check, now));
}

/** Ids of the delayed jobs that an outbox entry cancels. @param now ms, by Redis' clock. */
export function cancelledJobs(entry: OutboxEntry, now: number): string[] {
  if (entry.kind !== 'task') return [];
  return cancelledChecks(entry, now).map((check) => checkJobId(entry, check));
}
