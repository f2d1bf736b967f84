// Prometheus metrics of a worker process: what it does and how long that takes. What waits in Redis is the same for all
// processes and is measured by the web process (`api/ops/metrics.ts`).

import { DelayedError } from 'bullmq';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { QueueName } from '../queues/catalogue.ts';
import type { DelayedCheck } from '../state/tasks/scheduled-checks.ts';
import { countChanges } from '../store/metrics/changes.ts';
import { addProcessMetrics } from '../store/metrics/process.ts';
import type { Db } from '../store/redis/connection.ts';
import type { RunUnread } from './job-guard.ts';

/** From a matching of a few milliseconds to a webhook that takes its whole timeout, s. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How late a check may run: within a poll of the queue, after a restart, after an outage, s. */
const LATENESS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Attempts of a delivery that are counted apart; later ones count together. */
const COUNTED_ATTEMPTS = 5;

/** The state of a delivery after an attempt. */
type AttemptOutcome = 'succeeded' | 'pending' | 'exhausted';

/** What the parts of a worker process have counted since the start. */
interface Counted {
  /** Outbox entries that the relay has turned into jobs. */
  relayed: () => number;
  /** Lost jobs that the sweeper has added again. */
  repaired: () => number;
  purged: () => { tasks: number; logs: number };
  /** Receivers that cool down now. */
  coolingDown: () => number;
}

export class ProcessorMetrics {
  readonly #registry = new Registry();
  readonly #jobs: Histogram<'queue' | 'job' | 'outcome'>;
  /** Jobs that run now, by queue. */
  readonly #running = new Map<QueueName, number>();
  readonly #attempts: Histogram<'outcome'>;
  readonly #deliveries: Counter<'outcome' | 'attempt'>;
  readonly #lateness: Histogram<'check'>;

  /** @param version of the software */
  constructor(db: Db, version: string) {
    const registers = [this.#registry];
    addProcessMetrics(this.#registry, db.redis, version);
    countChanges(db, this.#registry);
    this.#jobs = new Histogram({
      name: 'biolayer_job_duration_seconds',
      help: 'Time to run a job; outcome: done, put_off or failed',
      labelNames: ['queue', 'job', 'outcome'],
      buckets: SECONDS,
      registers,
    });
    const running = this.#running;
    new Gauge({
      name: 'biolayer_jobs_running',
      help: 'Jobs that this process runs now',
      labelNames: ['queue'],
      registers,
      collect() {
        for (const [queue, jobs] of running) this.set({ queue }, jobs);
      },
    });
    this.#attempts = new Histogram({
      name: 'biolayer_delivery_attempt_duration_seconds',
      help: 'Time of a request of a webhook delivery; outcome: the state of the delivery after it',
      labelNames: ['outcome'],
      buckets: SECONDS,
      registers,
    });
    this.#deliveries = new Counter({
      name: 'biolayer_delivery_attempts_total',
      help: 'Attempts of webhook deliveries; attempt: 1 to 5, or more',
      labelNames: ['outcome', 'attempt'],
      registers,
    });
    this.#lateness = new Histogram({
      name: 'biolayer_check_lateness_seconds',
      help: 'How long after its due time a scheduled check ran',
      labelNames: ['check'],
      buckets: LATENESS,
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
    const add = (jobs: number) => this.#running.set(queue, (this.#running.get(queue) ?? 0) + jobs);
    return async (job, token) => {
      const startedAt = performance.now();
      add(1);
      let outcome = 'failed';
      try {
        await run(job, token);
        outcome = 'done';
      } catch (error) {
        if (error instanceof DelayedError) outcome = 'put_off';
        throw error;
      } finally {
        add(-1);
        this.#jobs.observe({ queue, job: job.name, outcome }, (performance.now() - startedAt) / 1000);
      }
    };
  }

  /** Counts an attempt of a delivery. @param attempt from 1. @param ms how long its request took */
  countAttempt(outcome: AttemptOutcome, attempt: number, ms: number): void {
    this.#attempts.observe({ outcome }, ms / 1000);
    this.#deliveries.inc({ outcome, attempt: attempt > COUNTED_ATTEMPTS ? 'more' : String(attempt) });
  }

  /** Counts a scheduled check that runs. @param ms how late */
  countCheck(check: DelayedCheck['kind'], ms: number): void {
    this.#lateness.observe({ check }, ms / 1000);
  }

  /** Shows what the parts of the process count themselves. */
  show({ relayed, repaired, purged, coolingDown }: Counted): void {
    const registers = [this.#registry];
    new Counter({
      name: 'biolayer_outbox_relayed_total',
      help: 'Outbox entries that the relay has turned into jobs',
      registers,
      collect() {
        this.reset();
        this.inc(relayed());
      },
    });
    new Counter({
      name: 'biolayer_sweeper_repairs_total',
      help: 'Lost jobs that the sweeper has added again',
      registers,
      collect() {
        this.reset();
        this.inc(repaired());
      },
    });
    new Counter({
      name: 'biolayer_retention_purged_total',
      help: 'What retention has purged: tasks, and histories of tasks that are kept',
      labelNames: ['kind'],
      registers,
      collect() {
        this.reset();
        const { tasks, logs } = purged();
        this.inc({ kind: 'task' }, tasks);
        this.inc({ kind: 'history' }, logs);
      },
    });
    new Gauge({
      name: 'biolayer_receivers_cooling_down',
      help: 'Receivers that get no first attempts from this process after failures',
      registers,
      collect() {
        this.set(coolingDown());
      },
    });
  }

  /** Content type and text of a scrape. */
  async scrape(): Promise<{ type: string; text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
