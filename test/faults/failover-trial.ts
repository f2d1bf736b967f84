// A trial of failovers: tasks are created, done and delivered by real processes that run from start to end, while servers of
// Redis are taken away. Whatever was acknowledged must be there afterwards.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { freePort } from '../support/own-redis.ts';
import { type Call, caller, listed } from './caller.ts';
import { OPERATOR_TOKEN } from './system.ts';
import { countTasks, finalStatus, finalStatuses, inParallel, startReceiver } from './trial.ts';

const WORKERS = 10;

export interface FailoverTrial {
  /** One sentence for each fault. */
  faults: string[];
  /** Tasks whose creation was acknowledged and that are there. */
  acknowledged: number;
  /** Steps that were carried out. */
  steps: number;
  seconds: number;
}

export interface FailoverTrialOptions {
  /** `REDIS_URL` of the processes. */
  url: string;
  tasks: number;
  /** Orgs that share the tasks; in a cluster, those of several nodes. */
  orgs: number;
  /** Each runs in the middle of its part of the load, and returns the faults that it sees. */
  steps: readonly (() => Promise<string[]>)[];
  /** Variables of the processes, besides those that all need. */
  env: Readonly<Record<string, string>>;
  /** Time limit, ms. */
  limit: number;
}

/** An org with its key. */
interface Org {
  key: string;
}

export async function runFailoverTrial(options: FailoverTrialOptions): Promise<FailoverTrial> {
  const started = performance.now();
  const over = AbortSignal.timeout(options.limit);
  const faults: string[] = [];
  const receiver = await startReceiver();
  const port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: options.url,
    PORT: String(port),
    SECRETS_KEY: Buffer.alloc(32, 5).toString('base64'),
    OPERATOR_TOKEN,
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    LOG_LEVEL: process.env.TRIAL_LOG ?? 'error',
    ...options.env,
  };
  const children: ChildProcess[] = [];
  const done = new AbortController();
  try {
    for (const file of ['web', 'worker']) children.push(await start(`dist/src/${file}.js`, env));
    const call = caller(`http://127.0.0.1:${port}`, over);
    const orgs: Org[] = [];
    const working: (() => Promise<void>)[] = [];
    for (let index = 0; index < options.orgs; index += 1) {
      const key = String((await call('POST', '/admin/orgs', OPERATOR_TOKEN, { name: 'Trial' })).api_key);
      receiver.secrets.push(String((await call('GET', '/v1/webhook-secret', key)).secret));
      orgs.push({ key });
      await call('POST', '/v1/pools', key, { pool_id: 'all', name: 'All', offer_ttl_seconds: 5 });
      const count = Math.max(2, Math.round(WORKERS / options.orgs));
      const added = Array.from({ length: count }, async (_, number) => {
        const worker = { worker_id: `w${number}`, name: 'W', pool_ids: ['all'], capacity: 5 };
        await call('POST', '/v1/workers', key, { ...worker, availability: 'available' });
        const { token } = await call('POST', `/v1/workers/w${number}/tokens`, key);
        working.push(() => work(call, String(token), done.signal));
      });
      await Promise.all(added);
    }
    // An error counts once the tasks are checked.
    const workers = Promise.all(working.map((one) => one()));
    workers.catch(() => undefined);

    /** Key of the org by task. */
    const ids = new Map<string, string>();
    const stages = options.steps.length + 1;
    for (const [stage, step] of [...options.steps, null].entries()) {
      const target = Math.round((options.tasks * (stage + 1)) / stages);
      const creating = createUpTo(target, ids, call, orgs, receiver.url);
      creating.catch(() => undefined);
      if (step !== null) {
        // In the middle of its load.
        const middle = ids.size + (target - ids.size) / 2;
        while (ids.size < middle && !over.aborted) await sleep(5);
        faults.push(...(await step()));
      }
      await creating;
    }
    await inParallel([...ids], async ([id, key]) => {
      if ((await call('GET', `/v1/tasks/${id}`, key)).http === 200) return;
      faults.push(`task ${id} was acknowledged and is lost`);
      ids.delete(id);
    });
    const acknowledged = ids.size;
    const finals = await finalStatuses([...ids.keys()], (id) =>
      finalStatus(call, ids.get(id) ?? '', id, over),
    );
    for (const [index, status] of finals.entries())
      if (status !== 'completed') faults.push(`task ${[...ids.keys()][index]} ended ${status}`);
    done.abort();
    await workers;
    await inParallel([...ids], async ([id, key]) => {
      const history = listed<HistoryEntry>(await call('GET', `/v1/tasks/${id}/events?limit=200`, key));
      for (const [index, { sequence }] of history.entries())
        if (sequence !== index + 1) faults.push(`the history of ${id} has a gap before ${sequence}`);
      if (history.filter(({ type }) => type === 'task.completed').length !== 1)
        faults.push(`task ${id} was not completed once`);
      for (const { event_id, type } of history)
        while (!receiver.bodies.has(event_id)) {
          if (over.aborted) throw new Error(`${type} of ${id} never arrived`);
          await sleep(50);
        }
    });
    // Whoever has created them: none may have been created twice.
    for (const { key } of orgs) {
      const own = [...ids].filter(([, one]) => one === key).length;
      const counted = await countTasks(call, key);
      if (counted !== own) faults.push(`an org has ${counted} tasks, and ${own} were acknowledged`);
    }
    for (const child of children)
      if (child.exitCode !== null || child.signalCode !== null)
        faults.push('a process of BioLayer has ended');
    return {
      faults: [...faults, ...receiver.faults.filter((one) => !one.includes('two different bodies'))],
      acknowledged,
      steps: options.steps.length,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    done.abort();
    for (const child of children) child.kill('SIGKILL');
    await receiver.close();
  }
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
  ids: Map<string, string>,
  call: Call,
  orgs: readonly Org[],
  url: string,
): Promise<void> {
  let left = count - ids.size;
  const create = async () => {
    while (left > 0) {
      left -= 1;
      const key = orgs[left % orgs.length]?.key ?? '';
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
      ids.set(String(made.task_id), key);
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
