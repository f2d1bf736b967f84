// Reads the data of a job from Redis. Its form is known, newer than this process, or unusable.

import { readCheck } from '../state/tasks/checks.ts';
import { broken, isObject, type Read, readForm, readShape, type Shape } from '../state/text/forms.ts';
import {
  type CheckJob,
  type DeliveryJob,
  isDelayed,
  JOB_FORM,
  type JobData,
  type MatchingJob,
  type PoolJob,
  type QueueName,
  type ReplayJob,
  type WorkerJob,
} from './catalogue.ts';

const WORKER: Shape<WorkerJob> = {
  org_id: 'string',
  worker_id: 'string',
  version: 'number',
  at: 'number',
  orphaned_tasks: 'strings',
};
const POOL: Shape<PoolJob> = { org_id: 'string', pool_id: 'string' };
const MATCHING: Shape<MatchingJob> = { org_id: 'string', turn: 'string' };
const REPLAY: Shape<ReplayJob> = { org_id: 'string', replay_id: 'string' };
const DELIVERY: Shape<DeliveryJob> = { org_id: 'string', task_id: 'string', sequence: 'number' };
const CHECK: Shape<CheckJob> = {
  org_id: 'string',
  task_id: 'string',
  version: 'number',
  check: 'object',
};

/**
 * Reads a job.
 * @param job its name and its data as stored. @returns the data for the processor of the queue, or why it cannot be used.
 */
export function readJob(queue: QueueName, job: { name: string; data: unknown }): Read<JobData> {
  const { name, data } = job;
  if (!isObject(data) || data.form === undefined) return broken('without the form of its data');
  const unknown = readForm(data.form, JOB_FORM);
  if (unknown !== null) return unknown;
  if (queue === 'webhooks' || queue === 'retries')
    return name === 'deliver' ? readShape(data, DELIVERY) : broken(`no job of this queue: ${name}`);
  if (queue === 'lifecycle') {
    if (name === 'worker') return readShape(data, WORKER);
    if (name === 'pool') return readShape(data, POOL);
    if (name === 'replay') return readShape(data, REPLAY);
    if (name === 'match' && 'turn' in data) return readShape(data, MATCHING);
  }
  return readCheckJob(queue, name, data);
}

function readCheckJob(queue: QueueName, name: string, data: unknown): Read<CheckJob> {
  const read = readShape<CheckJob>(data, CHECK);
  if (read.kind !== 'known') return read;
  const check = readCheck(read.value.check);
  if (check.kind !== 'known') return check;
  const isHere = check.value.kind === name && isDelayed(check.value) === (queue === 'sla');
  return isHere ? read : broken(`no job of this queue: ${name}`);
}
