// One task at a time through its whole life, step by step, and what each step costs in Redis and in CPU time. Requests and
// what follows from them are apart: the worker process is stopped (SIGSTOP) during a request and continues after its response.
// Counts are exact and repeatable: caches are filled before each request, rate limits are off (their draws depend on the time
// between requests), and a step ends when the system is idle.

import { lives, settled } from './measures.ts';
import { cpuMicroseconds } from './processes.ts';
import { RedisMeter, type Used } from './redis-meter.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody, type Org } from './stage.ts';

/** Cost of a step in Redis, and CPU microseconds of the processes. */
export interface StepCost extends Used {
  web_us: number;
  worker_us: number;
}

/** The cost of each step by its name, in their order. */
export type Life = Map<string, StepCost>;

/** Lives before the measurement: they let V8 optimise, and fill the list of a worker's last 200 offers. */
const WARM_UP = 200;
const HOOKED_WARM_UP = 30;
/** Without draws of tokens. */
const UNLIMITED = { RATE_LIMIT_KEY: 'off', RATE_LIMIT_ORG: 'off' };

/** The processes of a measurement, and the lives that were measured so far. */
export class LifeSeries {
  readonly lives: { without: Life[]; hooked: Life[] } = { without: [], hooked: [] };
  readonly #children: Child[];
  readonly #target: string;
  readonly #measureLife: (target: string | null) => Promise<Life>;
  readonly #api: Client;

  private constructor(
    children: Child[],
    target: string,
    api: Client,
    measureLife: (target: string | null) => Promise<Life>,
  ) {
    this.#children = children;
    this.#target = target;
    this.#api = api;
    this.#measureLife = measureLife;
  }

  /** Starts the processes and warms them up. */
  static async start(stage: BenchEnvironment): Promise<LifeSeries> {
    const [web, worker, receiver] = await Promise.all([
      stage.start('src/web.js', UNLIMITED),
      stage.start('src/worker.js'),
      stage.start('bench/receiver.js'),
    ]);
    const api = new Client(String(web.ready.url), 10);
    const org = await createOrg(api, 1, 10);
    const target = `http://127.0.0.1:${receiver.ready.port}`;
    await lives(api, org, WARM_UP, null);
    await lives(api, org, HOOKED_WARM_UP, target);
    await settled(stage.redis);
    const children = [web, worker, receiver];
    const meter = await RedisMeter.start(
      stage.redis,
      children.map(({ pid }) => pid),
    );
    return new LifeSeries(children, target, api, (to) =>
      new LifeMeter(meter, web, worker, api, org).measure(to),
    );
  }

  /** Measures `count` lives without webhooks and as many with nine, alternating. */
  async measure(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      this.lives.without.push(await this.#measureLife(null));
      this.lives.hooked.push(await this.#measureLife(this.#target));
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children.map((one) => one.stop()), this.#api.close()]);
  }
}

class LifeMeter {
  readonly #meter: RedisMeter;
  readonly #web: Child;
  readonly #worker: Child;
  readonly #api: Client;
  readonly #org: Org;
  readonly #life: Life = new Map();
  #isStopped = false;

  constructor(meter: RedisMeter, web: Child, worker: Child, api: Client, org: Org) {
    this.#meter = meter;
    this.#web = web;
    this.#worker = worker;
    this.#api = api;
    this.#org = org;
  }

  /** The cost of one life. @param target where its webhooks go, null for none. */
  async measure(target: string | null): Promise<Life> {
    try {
      // Fills the cache of open tasks too.
      const later = new Date(Date.now() + 3_000_000).toISOString();
      await this.#api.call('POST', '/v1/tasks', this.#org.api_key, {
        ...exampleTaskBody(null),
        not_before: later,
      });
      await this.#request('create', 'POST', '/v1/tasks', this.#org.api_key, exampleTaskBody(target));
      await this.#follow('match and offer');
      const { data } = await this.#asWorker<{ data: { offer_id: string; task_id: string }[] }>(
        'list offers',
        'GET',
        'offers?wait=10',
      );
      const [offer] = data;
      if (offer === undefined) throw new Error('no offer came');
      await this.#asWorker('accept', 'POST', `offers/${offer.offer_id}/accept`);
      await this.#follow('after accept');
      await this.#asWorker('start', 'POST', `tasks/${offer.task_id}/start`);
      await this.#follow('after start');
      await this.#asWorker('submit', 'POST', `tasks/${offer.task_id}/submit`, OUTPUT);
      await this.#follow('verify and complete');
    } finally {
      process.kill(this.#worker.pid, 'SIGCONT');
    }
    return this.#life;
  }

  /** A request of the worker, whose credential is cached before. */
  async #asWorker<T>(name: string, method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const [token = ''] = this.#org.workers;
    await this.#api.call('GET', '/v1/worker', token);
    return await this.#request(name, method, `/v1/worker/${path}`, token, body);
  }

  /** A request while the worker process is stopped. */
  async #request<T>(
    name: string,
    method: 'GET' | 'POST',
    path: string,
    credential: string,
    body?: unknown,
  ): Promise<T> {
    await this.#meter.idle(this.#isStopped);
    process.kill(this.#worker.pid, 'SIGSTOP');
    this.#isStopped = true;
    return await this.#step(name, () => this.#api.call<T>(method, path, credential, body));
  }

  /** What the worker process does after a request. */
  #follow(name: string): Promise<void> {
    this.#isStopped = false;
    return this.#step(name, () => {
      process.kill(this.#worker.pid, 'SIGCONT');
    });
  }

  async #step<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const cpu = () =>
      Promise.all([this.#web, this.#worker].map(async ({ pid }) => (await cpuMicroseconds(pid)) ?? 0));
    const [web = 0, worker = 0] = await cpu();
    let result: T | undefined;
    const used = await this.#meter.measure(async () => {
      result = await work();
    }, this.#isStopped);
    const [webAfter = 0, workerAfter = 0] = await cpu();
    this.#life.set(name, { ...used, web_us: webAfter - web, worker_us: workerAfter - worker });
    return result as T;
  }
}

const OUTPUT = {
  output: { reached_user: true, user_confirmed: true, notes: 'Spoke to the owner; it was them.' },
};

/** For each step one value of all lives, such as the least. */
export function stepCosts(all: readonly Life[], how: (values: readonly number[]) => number): Life {
  const names = [...(all[0]?.keys() ?? [])];
  return new Map(
    names.map((name) => [
      name,
      combined(
        all.flatMap((life) => life.get(name) ?? []),
        how,
      ),
    ]),
  );
}

/** The sum of all steps of a life. */
export function total(life: Life): StepCost {
  return combined([...life.values()], (values) => values.reduce((sum, one) => sum + one, 0));
}

function combined(all: readonly StepCost[], how: (values: readonly number[]) => number): StepCost {
  const of = (name: keyof StepCost) => how(all.map((one) => one[name]));
  return {
    commands: of('commands'),
    round_trips: of('round_trips'),
    bytes_in: of('bytes_in'),
    bytes_out: of('bytes_out'),
    cpu_us: of('cpu_us'),
    web_us: of('web_us'),
    worker_us: of('worker_us'),
  };
}
