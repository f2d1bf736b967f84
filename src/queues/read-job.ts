// Reads a job from Redis, by its queue and name. Its format version is known, newer than this process, or unusable.

import {
  CHECK_FORM,
  type DelayedCheck,
  isDelayed,
  readCheck,
  type ScheduledCheck,
} from '../state/tasks/scheduled-checks.ts';
import { broken, isObject, type Read, readForm, readShape, type Shape } from '../state/text/forms.ts';
import {
  type BulkActionJob,
  type CheckJob,
  type DeliveryJob,
  JOB_FORM,
  type Jobs,
  type MatchingJob,
  MOMENT_FORM,
  type MomentJob,
  type NoticeJob,
  type PoolJob,
  type QueueName,
  type ReplayJob,
  type WorkerJob,
} from './catalogue.ts';

const WORKER: Shape<WorkerJob> = {
  org_id: 'string',
  worker_id: 'string',
  orphaned_tasks: 'strings',
  eligibility_reduced: 'boolean?',
};
const POOL: Shape<PoolJob> = { org_id: 'string', pool_id: 'string' };
const MATCHING: Shape<MatchingJob> = { org_id: 'string', turn: 'string' };
const REPLAY: Shape<ReplayJob> = { org_id: 'string', replay_id: 'string' };
const BULK_ACTION: Shape<BulkActionJob> = { org_id: 'string', bulk_action_id: 'string' };
const NOTICE: Shape<NoticeJob> = { org_id: 'string', worker_id: 'string', notice_id: 'string' };
const DELIVERY: Shape<DeliveryJob> = {
  org_id: 'string',
  task_id: 'string',
  sequence: 'number',
  endpoint_id: 'string?',
  from_backlog: 'boolean?',
};
const MOMENT: Shape<MomentJob> = { partition: 'string', at: 'number', part: 'number' };
const CHECK: Shape<CheckJob> = { org_id: 'string', task_id: 'string', check: 'object' };

/** The newest format version of jobs in the `sla` queue. */
const SLA_FORM = Math.max(CHECK_FORM, MOMENT_FORM);

/** The reader of each queue: takes a job whose format version is known. */
const READERS: { [Q in QueueName]: (name: string, data: unknown) => Read<Jobs[Q]> } = {
  lifecycle(name, data) {
    switch (name) {
      case 'verify':
        return named(name, readCheckJob(data, isVerify));
      case 'match':
        return named(name, readShape<MatchingJob>(data, MATCHING));
      case 'worker':
        return named(name, readShape<WorkerJob>(data, WORKER));
      case 'pool':
        return named(name, readShape<PoolJob>(data, POOL));
      case 'replay':
        return named(name, readShape<ReplayJob>(data, REPLAY));
      default:
        return unknownJob(name);
    }
  },
  sla(name, data) {
    if (name === 'moment') return named(name, readShape<MomentJob>(data, MOMENT));
    const read = readCheckJob(data, isDelayed);
    if (read.kind !== 'known') return read;
    const { kind } = read.value.check;
    return kind === name ? named(kind, read) : unknownJob(name);
  },
  webhooks: readDelivery,
  retries: readDelivery,
  bulk: (name, data) =>
    name === 'bulk_action' ? named(name, readShape<BulkActionJob>(data, BULK_ACTION)) : unknownJob(name),
  notifications: (name, data) =>
    name === 'notify' ? named(name, readShape<NoticeJob>(data, NOTICE)) : unknownJob(name),
};

/**
 * Reads a job.
 * @param job its name and its data as stored. @returns the job for the processor of the queue, or why it cannot be used.
 */
export function readJob<Q extends QueueName>(queue: Q, job: { name: string; data: unknown }): Read<Jobs[Q]> {
  const { name, data } = job;
  if (!isObject(data) || data.form === undefined) return broken('without the form of its data');
  return readForm(data.form, queue === 'sla' ? SLA_FORM : JOB_FORM) ?? READERS[queue](name, data);
}

function readDelivery(name: string, data: unknown): Read<Jobs['webhooks']> {
  return name === 'deliver' ? named(name, readShape<DeliveryJob>(data, DELIVERY)) : unknownJob(name);
}

function readCheckJob<C extends ScheduledCheck>(
  data: unknown,
  isHere: (check: ScheduledCheck) => check is C,
): Read<CheckJob<C>> {
  const read = readShape<CheckJob>(data, CHECK);
  if (read.kind !== 'known') return read;
  const check = readCheck(read.value.check);
  if (check.kind !== 'known') return check;
  if (!isHere(check.value)) return unknownJob(check.value.kind);
  return { kind: 'known', value: { ...read.value, check: check.value } };
}

function isVerify(check: ScheduledCheck): check is Exclude<ScheduledCheck, DelayedCheck | { kind: 'match' }> {
  return check.kind === 'verify';
}

function named<N extends string, D>(name: N, read: Read<D>): Read<{ name: N; data: D }> {
  return read.kind === 'known' ? { kind: 'known', value: { name, data: read.value } } : read;
}

function unknownJob(name: string): { kind: 'broken'; reason: string } {
  return broken(`no job of this queue: ${name}`);
}
