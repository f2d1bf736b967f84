// A simulated integrator: creates tasks and follows each to its end. Depending on their kind it also reviews, changes,
// cancels them or writes to their workers.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BioLayer, RequestOptions, Task } from '@biolayer/sdk';
import { isFinal } from '../state/tasks/lifecycle.ts';
import type { Ledger, TrackedTask } from './ledger.ts';
import type { Random } from './random.ts';
import type { Requests } from './requests.ts';
import { bodyOf, type Mix, questionOf, type TaskKind } from './task-kinds.ts';

/** The task was changed meanwhile, or an earlier attempt without an answer has succeeded. */
const MOVED_ON = ['invalid_transition', 'task_not_cancellable', 'precondition_failed', 'conflict'];

export interface IntegratorOptions {
  /** `origin.product` of its tasks. */
  product: string;
  /** Unique; the beginning of the request ids of its tasks. */
  name: string;
  poolId: string;
  /** Where the events are sent; null: nowhere. */
  callback: string | null;
  mix: Mix;
  /** Tasks that it has open at the same time. */
  parallel: number;
  /** Longest pause before it creates another task, ms. */
  paceMs: number;
}

export class SimulatedIntegrator {
  readonly #api: BioLayer;
  readonly #requests: Requests;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #options: IntegratorOptions;
  #made = 0;

  constructor(api: BioLayer, requests: Requests, ledger: Ledger, random: Random, options: IntegratorOptions) {
    this.#api = api;
    this.#requests = requests;
    this.#ledger = ledger;
    this.#random = random;
    this.#options = options;
  }

  /** Creates tasks and follows them to their end. @param wanted asked before each task whether there shall be another. */
  async run(wanted: () => boolean): Promise<void> {
    const followOneAfterTheOther = async () => {
      while (wanted()) {
        await this.#followNew();
        await sleep(this.#random.integer(0, this.#options.paceMs));
      }
    };
    await Promise.all(Array.from({ length: this.#options.parallel }, followOneAfterTheOther));
  }

  async #followNew(): Promise<void> {
    const { product, name, poolId, callback, mix } = this.#options;
    this.#made += 1;
    const request_id = `${name}-${this.#made}`;
    const random = this.#random.of(`task-${this.#made}`);
    const kind = random.weighted(mix);
    const body = bodyOf(kind, random, { product, request_id }, poolId, callback);
    this.#ledger.requested.add(request_id);
    const created = await this.#requests.send('create task', ['quota_exceeded'], (options) =>
      this.#api.tasks.create(body, options),
    );
    if (created === null) return;
    const tracked = this.#ledger.of(created.task_id);
    if (tracked.created !== null) this.#ledger.unexpected.push(`two creations returned ${created.task_id}`);
    Object.assign(tracked, { kind, request_id, created: performance.now() });
    const besides = this.#actBesides(kind, tracked, random);
    const final = await this.#follow(kind, tracked, random);
    Object.assign(tracked, { finished: performance.now(), status: final.status });
    await besides;
  }

  /** Waits for the end; reviews submissions on the way. */
  async #follow(kind: TaskKind, tracked: TrackedTask, random: Random): Promise<Task> {
    const { tasks } = this.#api;
    let reviews = 0;
    for (;;) {
      const task = await this.#requests.send('wait for task', [], (options) =>
        tasks.get(tracked.task_id, { wait: 1 }, options),
      );
      if (task === null) throw new Error(`task ${tracked.task_id} cannot be read`);
      if (isFinal(task.status)) return task;
      if (task.status !== 'submitted' || (kind !== 'reviewed' && kind !== 'raced')) continue;
      reviews += 1;
      await this.#review(task, tracked, reviews, random);
    }
  }

  async #review(task: Task, tracked: TrackedTask, nth: number, random: Random): Promise<void> {
    const { a, b } = questionOf(task as Parameters<typeof questionOf>[0]);
    const isRight = JSON.stringify(task.submission?.output) === JSON.stringify({ sum: a + b });
    const decision = isRight ? 'approve' : nth === 1 ? 'rework' : random.weighted({ reject: 1, reassign: 1 });
    const type = {
      approve: 'task.verified',
      rework: 'task.started',
      reject: 'task.failed',
      reassign: 'task.queued',
    };
    await this.#act('review task', tracked, type[decision], (options) =>
      this.#api.tasks.review(
        task.task_id,
        isRight ? { decision, rating: 5 } : { decision, feedback: 'The sum is wrong.' },
        options,
      ),
    );
  }

  /** What it does with a task while the task goes its way. */
  async #actBesides(kind: TaskKind, tracked: TrackedTask, random: Random): Promise<void> {
    const pause = () => sleep(random.integer(0, 800));
    if (kind === 'updated') await pause().then(() => this.#update(tracked));
    if (kind === 'cancelled') await pause().then(() => this.#cancel(tracked));
    if (kind === 'message') await pause().then(() => this.#write(tracked));
    if (kind === 'raced')
      await Promise.all([
        pause().then(() => this.#update(tracked)),
        pause().then(() => this.#requeue(tracked)),
        pause().then(() => this.#write(tracked)),
        sleep(random.integer(400, 2500)).then(() => this.#cancel(tracked)),
      ]);
  }

  #update(tracked: TrackedTask): Promise<unknown> {
    return this.#act('update task', tracked, 'task.updated', (options) =>
      this.#api.tasks.update(tracked.task_id, { metadata: { updated: 'yes' } }, options),
    );
  }

  #requeue(tracked: TrackedTask): Promise<unknown> {
    return this.#act('requeue task', tracked, 'task.requeued', (options) =>
      this.#api.tasks.requeue(tracked.task_id, { reason: 'Another worker should do it.' }, options),
    );
  }

  #cancel(tracked: TrackedTask): Promise<unknown> {
    return this.#act('cancel task', tracked, 'task.cancelled', (options) =>
      this.#api.tasks.cancel(tracked.task_id, { reason: 'It is not needed any longer.' }, options),
    );
  }

  async #write(tracked: TrackedTask): Promise<void> {
    const message = await this.#act('send message', tracked, 'task.message_added', (options) =>
      this.#api.tasks.sendMessage(tracked.task_id, { text: 'Take your time.' }, options),
    );
    if (message !== null) tracked.messages.push(message.message_id);
  }

  /** Sends a request that changes a task, and records it. @returns the answer; null when it was refused. */
  async #act<T>(
    operation: string,
    tracked: TrackedTask,
    type: string,
    request: (options: RequestOptions) => PromiseLike<T>,
  ): Promise<T | null> {
    const action = { type, actor: 'api_key:' };
    tracked.sent.push(action);
    const answer = await this.#requests.send(operation, MOVED_ON, request);
    if (answer !== null) tracked.acknowledged.push(action);
    return answer;
  }
}
