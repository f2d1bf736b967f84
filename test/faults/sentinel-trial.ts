// A trial behind sentinels: tasks are created, done and delivered by real processes that run from start to end, while the
// primary is killed, once with a replica that is frozen. Whatever was acknowledged must be there afterwards.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { freePort } from '../support/own-redis.ts';
import { type SentinelSystem, startSentinels } from '../support/sentinels.ts';
import { type Call, caller, listed } from './caller.ts';
import { OPERATOR_TOKEN } from './system.ts';
import { finalStatus, finalStatuses, inParallel, startReceiver } from './trial.ts';

const WORKERS = 10;

export interface SentinelTrial {
  /** One sentence for each fault. */
  faults: string[];
  /** Tasks whose creation was acknowledged and that are there. */
  acknowledged: number;
  failovers: number;
  seconds: number;
}

/**
 * The primary is killed; or a replica is frozen before, and until the other one has taken over; or a replica becomes the
 * primary by hand, while the old one still takes writes.
 */
type Failover = 'killed' | 'killed with a frozen replica' | 'by hand';

export interface SentinelTrialOptions {
  tasks: number;
  failovers: readonly Failover[];
  /** `DURABILITY_REPLICAS`; with 2, a killed primary is started again before the next step, as by its supervisor. */
  replicas: 1 | 2;
  /** Time limit, ms. */
  limit: number;
}

export async function runSentinelTrial(options: SentinelTrialOptions): Promise<SentinelTrial> {
  const started = performance.now();
  const over = AbortSignal.timeout(options.limit);
  const faults: string[] = [];
  const system = await startSentinels();
  const receiver = await startReceiver();
  const port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: system.url,
    DURABILITY: 'replicated',
    DURABILITY_REPLICAS: String(options.replicas),
    PORT: String(port),
    SECRETS_KEY: Buffer.alloc(32, 5).toString('base64'),
    OPERATOR_TOKEN,
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    LOG_LEVEL: 'error',
  };
  const children: ChildProcess[] = [];
  const done = new AbortController();
  try {
    for (const file of ['web', 'worker']) children.push(await start(`dist/src/${file}.js`, env));
    const call = caller(`http://127.0.0.1:${port}`, over);
    const key = String((await call('POST', '/admin/orgs', OPERATOR_TOKEN, { name: 'Trial' })).api_key);
    receiver.secret = String((await call('GET', '/v1/webhook-secret', key)).secret);
    await call('POST', '/v1/pools', key, { pool_id: 'all', name: 'All', offer_ttl_seconds: 5 });
    const working = await Promise.all(
      Array.from({ length: WORKERS }, async (_, index) => {
        const worker = { worker_id: `w${index}`, name: 'W', pool_ids: ['all'], capacity: 5 };
        await call('POST', '/v1/workers', key, { ...worker, availability: 'available' });
        const { token } = await call('POST', `/v1/workers/w${index}/tokens`, key);
        return { work: () => work(call, String(token), done.signal) };
      }),
    );
    const workers = working.map(({ work }) => work());

    const ids = new Set<string>();
    const stages = options.failovers.length + 1;
    for (const [stage, kind] of [...options.failovers, null].entries()) {
      const target = Math.round((options.tasks * (stage + 1)) / stages);
      const creating = createUpTo(target, ids, call, key, receiver.url);
      if (kind !== null) {
        // In the middle of its load.
        const middle = ids.size + (target - ids.size) / 2;
        while (ids.size < middle) await sleep(5);
        await failOver(system, kind, options.replicas, faults);
      }
      await creating;
    }
    await inParallel([...ids], async (id) => {
      if ((await call('GET', `/v1/tasks/${id}`, key)).http === 200) return;
      faults.push(`task ${id} was acknowledged and is lost`);
      ids.delete(id);
    });
    const acknowledged = ids.size;
    const finals = await finalStatuses([...ids], (id) => finalStatus(call, key, id, over));
    for (const [index, status] of finals.entries())
      if (status !== 'completed') faults.push(`task ${[...ids][index]} ended ${status}`);
    done.abort();
    await Promise.all(workers);
    await inParallel([...ids], async (id) => {
      const history = listed<HistoryEntry>(await call('GET', `/v1/tasks/${id}/events?limit=200`, key));
      for (const { event_id, type } of history)
        while (!receiver.bodies.has(event_id)) {
          if (over.aborted) throw new Error(`${type} of ${id} never arrived`);
          await sleep(50);
        }
    });
    for (const child of children)
      if (child.exitCode !== null || child.signalCode !== null)
        faults.push('a process of BioLayer has ended');
    return {
      faults: [...faults, ...receiver.faults.filter((one) => !one.includes('two different bodies'))],
      acknowledged,
      failovers: options.failovers.length,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    done.abort();
    for (const child of children) child.kill('SIGKILL');
    await Promise.all([system.stop(), receiver.close()]);
  }
}

/** Resolves when another node has taken over. */
async function failOver(
  system: SentinelSystem,
  kind: Failover,
  replicas: 1 | 2,
  faults: string[],
): Promise<void> {
  if (kind === 'by hand') return system.failOver();
  const before = await system.primary();
  const frozen = kind === 'killed' ? undefined : system.nodes.find((one) => one !== before);
  frozen?.freeze();
  // Long enough for writes that this replica does not have.
  if (frozen !== undefined) await sleep(1500);
  await before.kill();
  const end = performance.now() + 15_000;
  while ((await system.primary()) === before) {
    if (performance.now() > end) return void faults.push('the sentinels did not choose another primary');
    await sleep(50);
  }
  if ((await system.primary()) === frozen) faults.push('the frozen replica has become the primary');
  frozen?.resume();
  if (replicas === system.replicas) await before.start();
}

async function start(file: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<void>((resolve) => {
    lines.on('line', (line) => line.includes('"msg":"ready"') && resolve());
  });
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${file} ended`)));
  await Promise.race([ready, ended]);
  ended.catch(() => undefined);
  return child;
}

/** Creates tasks until so many creations were acknowledged. */
async function createUpTo(
  count: number,
  ids: Set<string>,
  call: Call,
  key: string,
  url: string,
): Promise<void> {
  let left = count - ids.size;
  const create = async () => {
    while (left > 0) {
      left -= 1;
      const body = {
        origin: { product: 'trial', request_id: randomUUID() },
        task_type: 'check',
        domain: 'test',
        title: 'Check',
        instructions: 'Check it.',
        sla: { urgency: 'normal' },
        requirements: { worker_pool_id: 'all' },
        output: { expected_format: 'text' },
        handoff: { callback_url: url, retry_policy: { max_retries: 20, backoff_seconds: 1 } },
      };
      const made = await call('POST', '/v1/tasks', key, body, { 'idempotency-key': randomUUID() });
      if (made.http !== 201) throw new Error(`create answered ${JSON.stringify(made)}`);
      ids.add(String(made.task_id));
      // A steady load, so that the failover comes in the middle of it.
      await sleep(20);
    }
  };
  await Promise.all(Array.from({ length: 6 }, create));
}

/** A worker who accepts every offer and does the tasks at once, until `done`. */
async function work(call: Call, token: string, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const offers = listed<{ offer_id: string }>(await call('GET', '/v1/worker/offers?wait=1', token));
    if (offers.length === 0) await call('PATCH', '/v1/worker', token, { availability: 'available' });
    for (const { offer_id } of offers) await call('POST', `/v1/worker/offers/${offer_id}/accept`, token);
    for (const task of listed<{ task_id: string; status: string }>(
      await call('GET', '/v1/worker/tasks', token),
    )) {
      const path = `/v1/worker/tasks/${task.task_id}`;
      if (task.status === 'accepted') await call('POST', `${path}/start`, token);
      await call('POST', `${path}/submit`, token, { output: 'done' });
    }
  }
}
