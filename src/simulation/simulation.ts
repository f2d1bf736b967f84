// A simulation: workers and integrators who use the sandbox of an org. `reading.ts` reads and checks what they have left.

import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { BioLayer } from '@biolayer/sdk';
import { SimulatedIntegrator } from './integrator.ts';
import { Ledger } from './ledger.ts';
import type { PersonaName, Staff } from './personas.ts';
import { Random } from './random.ts';
import type { Receiver } from './receiver.ts';
import { Requests } from './requests.ts';
import type { Mix } from './task-kinds.ts';
import { SimulatedWorker } from './worker.ts';

/** Tasks that a worker may have at the same time. */
export const CAPACITY = 3;
/** Time limit for removing what a simulation has made, ms. */
const REMOVAL_LIMIT = 60_000;

export interface SimulationOptions {
  url: string;
  /** A test key with all scopes. */
  apiKey: string;
  seed: string;
  staff: Staff;
  integrators: number;
  mix: Mix;
  /** Most tasks that are created. */
  tasks: number;
  /** Time limit of the creations, ms. */
  durationMs: number;
  /** Time limit for what is still open after the creations, ms. */
  graceMs: number;
  /** Tasks that an integrator has open at the same time, and its longest pause before another one, ms. */
  parallel: number;
  paceMs: number;
  offerTtlSeconds: number;
  /** Receives the webhooks; null: none are sent. */
  receiver: Receiver | null;
}

export class Simulation {
  readonly options: SimulationOptions;
  readonly api: BioLayer;
  readonly ledger = new Ledger();
  readonly requests: Requests;
  /** `origin.product` of its tasks; its pool has the same name. It differs between two runs with the same seed. */
  readonly product: string;
  readonly #random: Random;
  readonly #workerIds: string[] = [];
  readonly #stopped = new AbortController();
  readonly #over = new AbortController();

  constructor(options: SimulationOptions) {
    this.options = options;
    this.product = `simulation-${options.seed}-${randomUUID().slice(0, 8)}`;
    this.#random = new Random(options.seed);
    // Every open request listens to it.
    setMaxListeners(0, this.#over.signal);
    this.requests = new Requests(this.#over.signal, this.ledger.unexpected);
    this.api = this.#client(options.apiKey);
  }

  /** Ends the creations: no further task is created. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Ends everything at once, also what is open. */
  abort(): void {
    this.stop();
    this.#over.abort(new Error('the simulation was aborted'));
  }

  /** Makes the pool and its workers, and runs until all tasks are final or the time is up. @throws ApiError, ConnectionError */
  async run(): Promise<void> {
    const workers = await this.#makeWorkers();
    const { durationMs, graceMs, tasks } = this.options;
    const timers = [setTimeout(() => this.stop(), durationMs)];
    this.#stopped.signal.addEventListener('abort', () => {
      timers.push(setTimeout(() => this.#over.abort(new Error('the time is up')), graceMs));
    });
    let left = tasks;
    const next = () => !this.#stopped.signal.aborted && left-- > 0;
    const done = new AbortController();
    try {
      const integrating = Promise.all(this.#integrators().map((one) => one.run(next)));
      await Promise.all([
        integrating.finally(() => done.abort()),
        ...workers.map((worker) => worker.run(done.signal)),
      ]);
    } catch (error) {
      if (!this.#over.signal.aborted) throw error;
    } finally {
      for (const timer of timers) clearTimeout(timer);
      this.stop();
      this.#over.abort();
    }
  }

  /** Cancels what is open, and removes the workers and the pool. The tasks stay. */
  async remove(): Promise<void> {
    const requests = new Requests(AbortSignal.timeout(REMOVAL_LIMIT), this.ledger.unexpected);
    for (const { task_id } of this.ledger.open())
      await requests.send('cancel task', ['task_not_cancellable', 'not_found'], (options) =>
        this.api.tasks.cancel(task_id, { reason: 'The simulation is over.' }, options),
      );
    for (const id of this.#workerIds)
      await requests.send('remove worker', ['not_found'], (options) => this.api.workers.delete(id, options));
    await requests.send('remove pool', ['not_found'], (options) =>
      this.api.pools.delete(this.product, options),
    );
  }

  async #makeWorkers(): Promise<SimulatedWorker[]> {
    const { offerTtlSeconds: offer_ttl_seconds, staff } = this.options;
    const pool = { pool_id: this.product, name: `Simulation ${this.options.seed}`, offer_ttl_seconds };
    await this.requests.send('create pool', ['conflict'], (options) => this.api.pools.create(pool, options));
    const workers: SimulatedWorker[] = [];
    for (const [persona, count] of Object.entries(staff) as [PersonaName, number][])
      for (let nth = 1; nth <= count; nth += 1) workers.push(await this.#makeWorker(persona, nth));
    return workers;
  }

  async #makeWorker(persona: PersonaName, nth: number): Promise<SimulatedWorker> {
    const worker_id = `${this.product}-${persona}-${nth}`;
    const worker = {
      worker_id,
      name: `${persona} ${nth}`,
      pool_ids: [this.product],
      capacity: CAPACITY,
      availability: 'available' as const,
    };
    this.#workerIds.push(worker_id);
    await this.requests.send('create worker', ['conflict'], (options) =>
      this.api.workers.create(worker, options),
    );
    const made = await this.requests.send('create token', [], (options) =>
      this.api.workers.createToken(worker_id, {}, options),
    );
    if (made === null) throw new Error(this.ledger.unexpected.at(-1) ?? 'no token');
    const random = this.#random.of(`${persona}-${nth}`);
    const api = this.#client(made.token);
    return new SimulatedWorker(worker_id, persona, api, this.requests, this.ledger, random);
  }

  #integrators(): SimulatedIntegrator[] {
    const { integrators, mix, parallel, paceMs, receiver } = this.options;
    return Array.from({ length: integrators }, (_, index) => {
      const random = this.#random.of(`integrator-${index}`);
      const options = {
        product: this.product,
        name: `${this.product}-${index}`,
        poolId: this.product,
        callback: receiver?.url ?? null,
        mix,
        parallel,
        paceMs,
      };
      return new SimulatedIntegrator(this.api, this.requests, this.ledger, random, options);
    });
  }

  #client(apiKey: string): BioLayer {
    return new BioLayer({ apiKey, baseUrl: this.options.url });
  }
}
