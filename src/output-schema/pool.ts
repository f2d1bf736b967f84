/*
 * A few worker threads in which strangers' schemas are compiled and run, each job against a deadline.
 * A thread that is late or runs out of memory is killed and replaced: that is the only way to stop JavaScript
 * that does not return, and it costs this process neither its event loop nor its life. Threads start when first
 * needed, and an idle pool never keeps the process alive.
 */
import { Worker } from 'node:worker_threads';
import { FairQueue } from './fair-queue.ts';
import type { Problem } from './problem.ts';
import type { Answer, ScheduledCheck } from './thread.ts';

const SECOND = 1_000;

/**
 * Threads; milliseconds a job may run; MiB of V8 heap it may use (with what its thread remembers); jobs that may
 * wait in all and of one org, and milliseconds they may.
 */
export type PoolLimits = {
  threads: number;
  deadlineMs: number;
  heapMb: number;
  maxWaiting: number;
  maxWaitingOfOrg: number;
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

/** What a thread runs. Not compiled yet, as in tests, it first needs a loader for itself. */
const BODY = new URL(import.meta.url.endsWith('.ts') ? './thread.mjs' : './thread.js', import.meta.url);

/** A new thread reads and compiles its own code first; on a busy machine that takes a while. */
const START_MS = 30 * SECOND;

/** The pool cannot take the job now: too many wait, it waited too long, or the pool is closed. The caller may try again. */
export class CheckerBusyError extends Error {
  override readonly name = 'CheckerBusyError';
}

const SHUT_DOWN = 'Output schemas are no longer checked here: this process is shutting down.';

type Job = {
  /** The org that asked. */
  owner: string;
  check: ScheduledCheck;
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
  /** When it was given its job. */
  since: number;
  timer: NodeJS.Timeout | null;
};

/**
 * See the head of the file. Jobs of one org are done in the order they came, orgs by the time that theirs have taken; an
 * org has never all of several threads.
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
   * The answer to `question` of an org. A job over its deadline, or out of memory, is answered with a problem that says so.
   * Rejects with CheckerBusyError where it could not be done now, with another Error where no thread can start.
   */
  run(check: ScheduledCheck, owner: string): Promise<Problem[]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new CheckerBusyError(SHUT_DOWN));
      if (this.#waiting.length >= this.#limits.maxWaiting) {
        return reject(new CheckerBusyError('Too many output schemas wait to be checked. Try again soon.'));
      }
      if (this.#waiting.lengthOf(owner) >= this.#limits.maxWaitingOfOrg) {
        return reject(
          new CheckerBusyError('Too many output schemas of this org wait to be checked. Try again soon.'),
        );
      }
      const waiting = setTimeout(() => this.#giveUp(job), this.#limits.maxWaitMs);
      const job: Job = { owner, check, isSecondTry: false, resolve, reject, waiting };
      this.#waiting.add(job);
      this.#assign();
    });
  }

  /** Kills the threads; what was running or waiting is rejected. Resolves when they are gone. */
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
    thread.worker.postMessage(job.check);
    thread.timer = setTimeout(() => {
      // An answer may lie unread behind this timer, if this thread was busy itself: let it be read first.
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
      // V8 ends the whole process where one allocation overshoots a thread's heap by more than some MiB: that
      // sizes are bounded before (schema, output, patterns, subschemas) is what makes this limit a safe one.
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMb, maxYoungGenerationSizeMb: 16 },
    });
    const thread: Thread = { worker, isReady: false, served: 0, job: null, since: 0, timer: null };
    thread.timer = setTimeout(() => this.#failStart(thread, new Error('no answer')), START_MS);
    this.#threads.add(thread);
    worker.on('message', (answer: Answer) => this.#hear(thread, answer));
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

  #hear(thread: Thread, answer: Answer): void {
    if (thread.timer !== null) clearTimeout(thread.timer);
    thread.timer = null;
    thread.worker.unref();
    if (answer.ready) {
      thread.isReady = true;
    } else {
      thread.job?.resolve(answer.problems);
      this.#end(thread);
      thread.job = null;
      thread.served += 1;
    }
    this.#assign();
  }

  /**
   * Ends a thread that failed its job. One that had served others may have failed for what those left behind
   * (memory), so with `mayRetry` the job gets a second try, on a fresh thread.
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

  /** A thread that cannot start will not start for the next job either: say so instead of trying for ever. */
  #failStart(thread: Thread, cause: Error): void {
    if (!this.#threads.delete(thread)) return;
    if (thread.timer !== null) clearTimeout(thread.timer);
    void thread.worker.terminate();
    const error = new Error('the thread that checks output schemas does not start', { cause });
    for (const job of this.#waiting.clear()) this.#reject(job, error);
  }

  /** Charges the org for what the thread did. */
  #end(thread: Thread): void {
    if (thread.job !== null) this.#waiting.end(thread.job, performance.now() - thread.since);
  }
}
