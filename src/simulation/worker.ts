// A simulated worker: answers offers and does the assigned tasks as its persona does.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BioLayer, WorkerTask } from '@biolayer/sdk';
import type { Ledger } from './ledger.ts';
import { PERSONAS, type Persona, type PersonaName } from './personas.ts';
import type { Random } from './random.ts';
import type { Requests } from './requests.ts';
import { questionOf } from './task-kinds.ts';

/** Another actor may have changed the task meanwhile, or an earlier attempt without an answer has succeeded. */
const MOVED_ON = ['not_found', 'invalid_transition', 'offer_not_pending', 'precondition_failed', 'conflict'];
/** Pause between two looks without any offer, ms. */
const IDLE = 50;

export class SimulatedWorker {
  readonly #persona: Persona;
  readonly #actor: string;
  /** Offers that the worker has decided on, also those that it lets expire. */
  readonly #decided = new Set<string>();
  readonly #working = new Map<string, Promise<void>>();
  /** Tasks for which a wrong output was submitted already. */
  readonly #erred = new Set<string>();
  readonly #api: BioLayer;
  readonly #requests: Requests;
  readonly #ledger: Ledger;
  readonly #random: Random;

  /** @param api has the token of the worker. */
  constructor(
    workerId: string,
    persona: PersonaName,
    api: BioLayer,
    requests: Requests,
    ledger: Ledger,
    random: Random,
  ) {
    this.#persona = PERSONAS[persona];
    this.#actor = `worker:${workerId}`;
    this.#api = api;
    this.#requests = requests;
    this.#ledger = ledger;
    this.#random = random;
  }

  /** Works until `done`; tasks in hand are finished first. */
  async run(done: AbortSignal): Promise<void> {
    const { worker } = this.#api;
    while (!done.aborted) {
      const offers = await this.#requests.send('list offers', [], (options) =>
        worker.listOffers({ wait: 1 }, options),
      );
      // A worker who lets offers expire is set away.
      if (offers?.data.length === 0) await this.#becomeAvailable();
      for (const { offer_id, task_id } of offers?.data ?? []) await this.#answer(offer_id, task_id);
      const tasks = await this.#requests.send('list own tasks', [], (options) => worker.listTasks(options));
      for (const task of tasks?.data ?? []) this.#takeUp(task);
      await sleep(IDLE);
    }
    await Promise.all(this.#working.values());
  }

  async #becomeAvailable(): Promise<void> {
    const { worker } = this.#api;
    const own = await this.#requests.send('get own worker', [], (options) => worker.get(options));
    if (own === null || own.availability === 'available') return;
    await this.#requests.send('become available', MOVED_ON, (options) =>
      worker.update({ availability: 'available' }, options),
    );
  }

  async #answer(offerId: string, taskId: string): Promise<void> {
    if (this.#decided.has(offerId)) return;
    this.#decided.add(offerId);
    const { accepts, declines } = this.#persona;
    const decision = this.#random.weighted({
      accept: accepts,
      decline: declines,
      ignore: 1 - accepts - declines,
    });
    const { worker } = this.#api;
    if (decision === 'decline')
      await this.#requests.send('decline offer', MOVED_ON, (options) =>
        worker.declineOffer(offerId, { reason: 'Not today.' }, options),
      );
    if (decision !== 'accept') return;
    await this.#act('accept offer', taskId, 'task.accepted', (options) =>
      worker.acceptOffer(offerId, {}, options),
    );
  }

  #takeUp(task: WorkerTask): void {
    if (this.#working.has(task.task_id) || !['accepted', 'started'].includes(task.status)) return;
    const work = this.#work(task).finally(() => this.#working.delete(task.task_id));
    this.#working.set(task.task_id, work);
  }

  async #work(task: WorkerTask): Promise<void> {
    const { task_id } = task;
    const { worker } = this.#api;
    if (task.status === 'accepted')
      await this.#act('start task', task_id, 'task.started', (options) =>
        worker.startTask(task_id, {}, options),
      );
    await sleep(this.#random.integer(...this.#persona.workMs));
    const { a, b } = questionOf(task);
    const [isInvalid, isWrong] = [this.#random.next(), this.#random.next()];
    if (isInvalid < this.#persona.invalid)
      await this.#requests.send('submit task', ['validation_failed', ...MOVED_ON], (options) =>
        worker.submitTask(task_id, { output: { sum: 'many' } }, options),
      );
    const isError = isWrong < this.#persona.wrong && !this.#erred.has(task_id);
    if (isError) this.#erred.add(task_id);
    const output = { sum: a + b + (isError ? 1 : 0) };
    const tracked = this.#ledger.of(task_id);
    tracked.sentOutputs.push(JSON.stringify(output));
    const submitted = await this.#act('submit task', task_id, 'task.submitted', (options) =>
      worker.submitTask(task_id, { output }, options),
    );
    if (submitted) tracked.outputs.push(JSON.stringify(output));
  }

  /** Sends a request that changes a task, and records it. @returns whether it was acknowledged. */
  async #act(
    operation: string,
    taskId: string,
    type: string,
    request: Parameters<Requests['send']>[2],
  ): Promise<boolean> {
    const tracked = this.#ledger.of(taskId);
    const action = { type, actor: this.#actor };
    tracked.sent.push(action);
    const answer = await this.#requests.send(operation, MOVED_ON, request);
    if (answer !== null) tracked.acknowledged.push(action);
    return answer !== null;
  }
}
