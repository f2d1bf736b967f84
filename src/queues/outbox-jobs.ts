// What follows from an outbox entry: the jobs and match requests that it adds, and the delayed jobs that it cancels.

import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import { momentOf } from '../state/tasks/due-moment.ts';
import {
  type DelayedCheck,
  hasJob,
  isLaterMatch,
  isScheduledNow,
  type JobCheck,
} from '../state/tasks/scheduled-checks.ts';
import { partitionOf } from '../store/redis/keys.ts';
import { JOB_FORM, type NewJob } from './catalogue.ts';
import {
  bulkActionJob,
  checkJob,
  checkJobId,
  deliveryJob,
  momentJob,
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
          .map((check) => jobOfCheck(entry, check, now)),
        ...entry.deliveries.map((sequence) => deliveryJob({ org_id, task_id, sequence })),
      ];
    }
  }
}

/** The job that runs a check: of its own, or of its moment. */
function jobOfCheck(entry: Extract<OutboxEntry, { kind: 'task' }>, check: JobCheck, now: number): NewJob {
  if (check.kind === 'verify' || check.kind === 'match') return checkJob(entry, check, now);
  return momentJob({ partition: partitionOf(entry.org_id), at: momentOf(check.at, now) }, now);
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

/** The checks with a delayed job of their own that an outbox entry cancels. */
export function cancelledChecks(entry: OutboxEntry): DelayedCheck[] {
  return entry.kind === 'task' ? entry.cancelled.filter(isLaterMatch) : [];
}

/** Ids of the delayed jobs that an outbox entry cancels. */
export function cancelledJobs(entry: OutboxEntry): string[] {
  if (entry.kind !== 'task') return [];
  return cancelledChecks(entry).map((check) => checkJobId(entry, check));
}
