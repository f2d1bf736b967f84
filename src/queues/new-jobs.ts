// Makes jobs with their ids. The id of a job is derived from what the job is about, so that adding the same job twice adds
// one. A suffix makes it another job: `idSuffix` is set by the sweeper, because a lost job may have left its id behind.

import { checkSubject, formOfChecks, isDelayed, type JobCheck } from '../state/tasks/scheduled-checks.ts';
import { type DeliveryJob, type DeliveryTarget, JOB_FORM, MOMENT_FORM, type NewJob } from './catalogue.ts';

/** Joins the parts of an id; null and undefined are left out. */
function idFrom(...parts: readonly (string | number | null | undefined)[]): string {
  return parts.filter((part) => part !== null && part !== undefined).join('-');
}

/** The job that empties a pool removed at `at`, ms. */
export function poolJob(
  { org_id, pool_id, at }: { org_id: string; pool_id: string; at: number },
  idSuffix: string | null = null,
): NewJob {
  const jobId = idFrom('pool', org_id, pool_id, at, idSuffix);
  return { queue: 'lifecycle', name: 'pool', data: { form: JOB_FORM, org_id, pool_id }, opts: { jobId } };
}

/**
 * The job of a moment: it runs all checks of the partition that are due by then.
 * @param at the moment, ms, from `momentOf`. @param now ms, by Redis' clock. @param part see `MomentJob`
 */
export function momentJob(
  { partition, at, part = 1 }: { partition: string; at: number; part?: number },
  now: number,
  idSuffix: string | null = null,
): NewJob {
  const jobId =
    idSuffix === null ? idFrom('moment', partition, at, part) : idFrom('moment', partition, idSuffix);
  return {
    queue: 'sla',
    name: 'moment',
    data: { form: MOMENT_FORM, partition, at, part },
    // Removed when it ends, so that it can be added again.
    opts: { jobId, delay: Math.max(0, Math.ceil(at - now)), removeOnComplete: true },
  };
}

/**
 * The job of one check.
 * @param about the task at the version that scheduled the check. @param now ms, by Redis' clock.
 */
export function checkJob(
  about: { org_id: string; task_id: string; version: number },
  check: JobCheck,
  now: number,
  idSuffix: string | null = null,
): NewJob {
  const { org_id, task_id } = about;
  const base = { form: formOfChecks([check]), org_id, task_id };
  const jobId = idFrom(checkJobId(about, check), idSuffix);
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

/** Id of the job of a check. */
export function checkJobId(about: { task_id: string; version: number }, check: JobCheck): string {
  return isDelayed(check)
    ? idFrom(check.kind, about.task_id, check.at, checkSubject(check) ?? 'clock')
    : idFrom(check.kind, about.task_id, `v${about.version}`);
}

/** The job of an org's turn. @param turn id of the turn, used once. */
export function matchingJob(org_id: string, turn: string, idSuffix: string | null = null): NewJob {
  return {
    queue: 'lifecycle',
    name: 'match',
    data: { form: JOB_FORM, org_id, turn },
    opts: { jobId: idFrom('match', org_id, turn, idSuffix), attempts: 1000 },
  };
}

/** The job that releases a task which a removed worker still holds. */
export function orphanedReservationJob(
  about: { org_id: string; worker_id: string; task_id: string },
  idSuffix: string,
): NewJob {
  const { org_id, worker_id, task_id } = about;
  return {
    queue: 'lifecycle',
    name: 'worker',
    data: { form: JOB_FORM, org_id, worker_id, orphaned_tasks: [task_id] },
    opts: { jobId: idFrom('orphan', task_id, worker_id, idSuffix) },
  };
}

/** The job that runs a replay step by step. */
export function replayJob(
  { org_id, replay_id }: { org_id: string; replay_id: string },
  idSuffix: string | null = null,
): NewJob {
  const jobId = idFrom('replay', replay_id, idSuffix);
  return { queue: 'lifecycle', name: 'replay', data: { form: JOB_FORM, org_id, replay_id }, opts: { jobId } };
}

/** The job that runs a bulk action step by step. */
export function bulkActionJob(
  { org_id, bulk_action_id }: { org_id: string; bulk_action_id: string },
  idSuffix: string | null = null,
): NewJob {
  const data = { form: JOB_FORM, org_id, bulk_action_id } as const;
  const jobId = idFrom('bulk', bulk_action_id, idSuffix);
  return { queue: 'bulk', name: 'bulk_action', data, opts: { jobId } };
}

/** The job of a notice. */
export function noticeJob(
  { org_id, worker_id, notice_id }: { org_id: string; worker_id: string; notice_id: string },
  idSuffix: string | null = null,
): NewJob {
  const data = { form: JOB_FORM, org_id, worker_id, notice_id } as const;
  const jobId = idFrom('notice', notice_id, idSuffix);
  return { queue: 'notifications', name: 'notify', data, opts: { jobId } };
}

/** The job of a first attempt. @param idSuffix set by a manual redelivery too. */
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
  { org_id, task_id, sequence, endpoint_id }: DeliveryTarget,
  suffix: string | null,
): { data: DeliveryJob; opts: { jobId: string } } {
  const target = { org_id, task_id, sequence, ...(endpoint_id !== undefined && { endpoint_id }) };
  return {
    data: { form: JOB_FORM, ...target },
    opts: { jobId: idFrom('deliver', task_id, sequence, endpoint_id, suffix) },
  };
}

/** The same job as part of a trace. @param trace the span that causes it, as a `traceparent`; undefined: of no trace. */
export function withTrace<J extends NewJob>(job: J, trace: string | undefined): J {
  return trace === undefined ? job : { ...job, data: { ...job.data, trace } };
}
