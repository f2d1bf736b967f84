// Prometheus metrics of a worker process: what it does and how long that takes. What waits in Redis is the same for all
// processes and is measured by the web process (`api/ops/metrics.ts`).

import { DelayedError } from 'bullmq';
import type { Redis } from 'ioredis';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { QueueName } from '../queues/catalogue.ts';
import type { RunUnread } from './job-guard.ts';

/** From a matching of a few milliseconds to a webhook that takes its whole timeout, s. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The state of a delivery after an attempt. */
type AttemptOutcome = 'succeeded' | 'pending' | 'exhausted';

export class ProcessorMetrics {
  readonly #registry = new Registry();
  readonly #jobs: Histogram<'queue' | 'job' | 'outcome'>;
  readonly #running: Gauge<'queue'>;
  readonly #attempts: Histogram<'outcome'>;
  readonly #reconnects: Counter;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#jobs = new Histogram({
      name: 'biolayer_job_duration_seconds',
      help: 'Time to run a job; outcome: done, put_off or failed',
      labelNames: ['queue', 'job', 'outcome'],
      buckets: SECONDS,
      registers,
    });
    this.#running = new Gauge({
      name: 'biolayer_jobs_running',
      help: 'Jobs that this process runs now',
      labelNames: ['queue'],
      registers,
    });
    this.#attempts = new Histogram({
      name: 'biolayer_delivery_attempt_duration_seconds',
      help: 'Time of a request of a webhook delivery; outcome: the state of the delivery after it',
      labelNames: ['outcome'],
      buckets: SECONDS,
      registers,
    });
    this.#reconnects = new Counter({
      name: 'biolayer_redis_reconnects_total',
      help: 'Lost connections to Redis that were established again',
      registers,
    });
  }

  /** The same processors, whose jobs are measured. */
  measured(runners: Record<QueueName, RunUnread>): Record<QueueName, RunUnread> {
    const entries = Object.entries(runners) as [QueueName, RunUnread][];
    return Object.fromEntries(entries.map(([queue, run]) => [queue, this.#measured(queue, run)])) as Record<
      QueueName,
      RunUnread
    >;
  }

  #measured(queue: QueueName, run: RunUnread): RunUnread {
    return async (job, token) => {
      const end = this.#jobs.startTimer({ queue, job: job.name });
      this.#running.inc({ queue });
      let outcome = 'failed';
      try {
        await run(job, token);
        outcome = 'done';
      } catch (error) {
        if (error instanceof DelayedError) outcome = 'put_off';
        throw error;
      } finally {
        this.#running.dec({ queue });
        end({ outcome });
      }
    };
  }

  /** Counts an attempt of a delivery. @param ms how long its request took */
  countAttempt(outcome: AttemptOutcome, ms: number): void {
    this.#attempts.observe({ outcome }, ms / 1000);
  }

  /** Counts the reconnections of a connection that is ready. */
  watch(redis: Redis): void {
    redis.on('ready', () => this.#reconnects.inc());
  }

  /** Content type and text of a scrape. */
  async scrape(): Promise<{ type: string; text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
