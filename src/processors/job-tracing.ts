// A span for each job, which continues the trace of what caused it. The context is a field of the job's data
// and not the one that BullMQ's `telemetry` option adds, because jobs come in batches of many traces, and some run without
// a queue. Attributes are those of OpenTelemetry's semantic conventions for messaging.

import { SpanKind } from '@opentelemetry/api';
import { DelayedError } from 'bullmq';
import type { QueueName } from '../queues/catalogue.ts';
import { inSpan, isTracing } from '../tracing/tracing.ts';
import type { RunnableJob, RunUnread } from './job-guard.ts';

/** The same processors, with a span for each job while traces are on. */
export function tracedJobs(runners: Record<QueueName, RunUnread>): Record<QueueName, RunUnread> {
  if (!isTracing()) return runners;
  const entries = Object.entries(runners) as [QueueName, RunUnread][];
  return Object.fromEntries(
    entries.map(([queue, run]): [QueueName, RunUnread] => [
      queue,
      // A turn of matching serves requests of many traces, each with a span of its own.
      (job, token) => (job.name === 'match' ? run(job, token) : inSpanOf(queue, job, () => run(job, token))),
    ]),
  ) as Record<QueueName, RunUnread>;
}

/** The ids in the data of a job that a log line about it shows. */
export function idsOf(data: unknown): { org_id?: string; task_id?: string; trace_id?: string } {
  const field = (name: string) => textIn(data, name);
  const [org_id, task_id, trace_id] = [field('org_id'), field('task_id'), field('trace')?.split('-')[1]];
  return {
    ...(org_id !== undefined && { org_id }),
    ...(task_id !== undefined && { task_id }),
    ...(trace_id !== undefined && { trace_id }),
  };
}

function textIn(data: unknown, name: string): string | undefined {
  const value: unknown = Reflect.get(Object(data), name);
  return typeof value === 'string' ? value : undefined;
}

function inSpanOf(queue: QueueName, job: RunnableJob, run: () => Promise<void>): Promise<void> {
  const { org_id, task_id } = idsOf(job.data);
  const attributes = {
    'messaging.system': 'bullmq',
    'messaging.destination.name': queue,
    'messaging.operation.type': 'process',
    'messaging.operation.name': job.name,
    org_id,
    task_id,
  };
  const options = { kind: SpanKind.CONSUMER, attributes, parent: textIn(job.data, 'trace') };
  return inSpan(`process ${queue}`, options, run, (error) => !(error instanceof DelayedError));
}
