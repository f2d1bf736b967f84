/*
 * A pool of worker threads that compile and run untrusted schemas, each job with a deadline. A thread that misses it or
 * runs out of memory is killed and replaced: JavaScript that does not return cannot be stopped in another way, and the
 * event loop of this process stays free. Threads start when first needed. An idle pool does not keep the process alive.
 */
import { Worker } from 'node:worker_threads';
import { FairQueue } from './fair-queue.ts';
import type { Problem } from './problem.ts';
import type { CheckRequest, ThreadMessage } from './thread.ts';

const SECOND = 1_000;

export type PoolLimits = {
  threads: number;
  /** Longest time a job may run, ms. */
  deadlineMs: number;
  /** Largest V8 heap of a thread, including its cached schemas, MiB. */
  heapMb: number;
  /** Most waiting jobs. */
  maxWaiting: number;
  /** Most waiting jobs of one org. */
  maxWaitingOfOrg: number;
  /** Longest time a job may wait, ms. */
  maxWaitMs: number;
};

const POOL_LIMITS: PoolLimits = {
  threads: 2,
  deadlineMs: SECOND,
  heapMb: 128,
  maxWaiting: 200,
  maxWaitingOfOrg: 50,
  maxWaitMs: 10 * SECOND,
};

/** The code of a thread. In tests it is TypeScript, which needs a loader first. */
const BODY = new URL(import.meta.url.endsWith('.ts') ? './thread.mjs' : './thread.js', import.meta.url);

/** Longest start of a thread, ms; loading its code takes a while on a busy machine. */
const START_MS = 30 * SECOND;

/** The job cannot run now: too many jobs wait, it waited too long, or the pool is closed. The caller may try again. */
export class CheckerBusyError extends Error {
  override readonly name = 'CheckerBusyError';
}

const SHUT_DOWN = 'This process is shutting down and does not check output schemas.';

type Job = {
  /** The org that is charged. */
  owner: string;
  request: CheckRequest;
  isSecondTry: boolean;
  resolve: (problems: Problem[]) => void;
  reject: (error: Error) => void;
  waiting: NodeJS.Timeout;
};

type Thread = {
  worker: Worker;
  isReady: boolean;
  served: number;
  job: Job | null;
  /** Start of its current job, by `performance.now()`. */
  since: number;
  timer: NodeJS.Timeout | null;
};

/**
 * The pool. Jobs of one org run in the order of their arrival; between orgs, the one that has used the least time is next.
 * One org never occupies all of several threads.
 */
export class ThreadPool {
  readonly #limits: PoolLimits;
  readonly #threads = new Set<Thread>();
  readonly #waiting = new FairQueue<Job>();
  #isClosed = false;

  constructor(limits: Partial<PoolLimits> = {}) {
    this.#limits = { ...POOL_LIMITS, ...limits };
  }

  /**
   * Runs a check.
   * @param owner the org that is charged.
   * @returns the problems; a job that exceeds its deadline or memory returns a problem that says so.
   * @throws CheckerBusyError when it cannot run now; another Error when no thread can start.
   */
  run(request: CheckRequest, owner: string): Promise<Problem[]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new CheckerBusyError(SHUT_DOWN));
      if (this.#waiting.length >= this.#limits.maxWaiting) {
        return reject(
          new CheckerBusyError('Too many output schemas are waiting to be checked. Try again soon.'),
        );
      }
      if (this.#waiting.lengthOf(owner) >= this.#limits.maxWaitingOfOrg) {
        return reject(
          new CheckerBusyError(
            'Too many output schemas of this org are waiting to be checked. Try again soon.',
          ),
        );
      }
      const waiting = setTimeout(() => this.#giveUp(job), this.#limits.maxWaitMs);
      const job: Job = { owner, request, isSecondTry: false, resolve, reject, waiting };
      this.#waiting.add(job);
      this.#assign();
    });
  }

  /** Kills the threads and rejects running and waiting jobs. Resolves when the threads have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const error = new CheckerBusyError(SHUT_DOWN);
    for (const job of this.#waiting.clear()) this.#reject(job, error);
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const { job, timer } of threads) {
      if (timer !== null) clearTimeout(timer);
      if (job !== null) this.#reject(job, error);
    }
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #giveUp(job: Job): void {
    if (!this.#waiting.remove(job)) return;
    job.reject(new CheckerBusyError('The output schema waited too long to be checked. Try again soon.'));
  }

  #reject(job: Job, error: Error): void {
    clearTimeout(job.waiting);
    job.reject(error);
  }

  #assign(): void {
    const threads = [...this.#threads];
    const most = Math.max(1, this.#limits.threads - 1);
    for (const thread of threads) {
      if (!thread.isReady || thread.job !== null) continue;
      const job = this.#waiting.take(most);
      if (job === undefined) return;
      this.#give(thread, job);
    }
    const starting = threads.filter(({ isReady }) => !isReady).length;
    if (this.#waiting.length > starting && threads.length < this.#limits.threads) this.#start();
  }

  #give(thread: Thread, job: Job): void {
    clearTimeout(job.waiting);
    thread.job = job;
    thread.since = performance.now();
    thread.worker.ref();
    thread.worker.postMessage(job.request);
    thread.timer = setTimeout(() => {
      // If this thread was busy, an unread message may be waiting; setImmediate reads it first.
      setImmediate(() => {
        if (thread.job === job) this.#drop(thread, 'takes too long to check');
      });
    }, this.#limits.deadlineMs);
  }

  #start(): void {
    const worker = new Worker(BODY, {
      name: 'output-schema',
      execArgv: [],
      env: {},
      // V8 ends the whole process when one allocation exceeds the heap of a thread by some MiB. The limits of schema,
      // output, patterns and subschemas prevent such allocations.
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMb, maxYoungGenerationSizeMb: 16 },
    });
    const thread: Thread = { worker, isReady: false, served: 0, job: null, since: 0, timer: null };
    thread.timer = setTimeout(() => this.#failStart(thread, new Error('it did not become ready')), START_MS);
    this.#threads.add(thread);
    worker.on('message', (message: ThreadMessage) => this.#receive(thread, message));
    worker.on('error', (error: Error & { code?: string }) => {
      const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      if (!thread.isReady) this.#failStart(thread, error);
      else this.#drop(thread, isMemory ? 'takes too much memory to check' : 'cannot be checked', true);
    });
    worker.on('exit', () => {
      if (!thread.isReady) this.#failStart(thread, new Error('it ended'));
      else this.#drop(thread, 'cannot be checked', true);
    });
  }

  #receive(thread: Thread, message: ThreadMessage): void {
    if (thread.timer !== null) clearTimeout(thread.timer);
    thread.timer = null;
    thread.worker.unref();
    if (message.ready) {
      thread.isReady = true;
    } else {
      thread.job?.resolve(message.problems);
      this.#end(thread);
      thread.job = null;
      thread.served += 1;
    }
    this.#assign();
  }

  /**
   * Ends a thread that failed its job. If it had run other jobs, their memory may be the cause, so with `mayRetry` the job
   * is repeated once on a new thread.
   */
  #drop(thread: Thread, message: string, mayRetry = false): void {
    if (!this.#threads.delete(thread)) return;
    if (thread.timer !== null) clearTimeout(thread.timer);
    void thread.worker.terminate();
    const { job } = thread;
    if (job !== null) {
      this.#end(thread);
      if (mayRetry && thread.served > 0 && !job.isSecondTry) {
        job.isSecondTry = true;
        this.#waiting.add(job, true);
      } else {
        job.resolve([{ pointer: '', message }]);
      }
    }
    this.#assign();
  }

  /** Rejects all waiting jobs when a thread cannot start, because the next one would not start either. */
  #failStart(thread: Thread, cause: Error): void {
    if (!this.#threads.delete(thread)) return;
    if (thread.timer !== null) clearTimeout(thread.timer);
    void thread.worker.terminate();
    const error = new Error('the thread that checks output schemas does not start', { cause });
    for (const job of this.#waiting.clear()) this.#reject(job, error);
  }

  /** Charges the org for the time of the thread's job. */
  #end(thread: Thread): void {
    if (thread.job !== null) this.#waiting.end(thread.job, performance.now() - thread.since);
  }
}
