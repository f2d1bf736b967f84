// A trial: tasks of a mix of kinds are created, done and delivered while parts of the system are killed. The simulated workers behave like
// real clients: they repeat requests that fail, and continue the tasks that are assigned to them.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { firstBroken } from '../../src/state/tasks/history.ts';
import { differences, type StatsAnswer } from '../support/recount.ts';
import { type Call, caller, listed } from './caller.ts';
import { type Done, Mix } from './mix.ts';
import { OPERATOR_TOKEN, PARTS, type Part, type System, startSystem } from './system.ts';

/** The result of a trial. */
export interface Trial {
  /** One sentence for each fault; empty when everything is right. */
  faults: string[];
  completed: number;
  /** What was acknowledged besides. */
  done: Done;
  kills: Record<Part, number>;
  /** Deliveries that arrived more than once, with the same bytes. */
  repeats: number;
  seconds: number;
}

const WORKERS = 10;
const CAPACITY = 3;

/**
 * Runs a trial.
 * @param tasks number of tasks. @param rounds how often each part is killed. @param limit time limit, ms.
 */
export async function runTrial(tasks: number, rounds: number, limit: number): Promise<Trial> {
  const started = performance.now();
  const over = AbortSignal.timeout(limit);
  const system = await startSystem();
  const receiver = await startReceiver();
  const faults: string[] = [];
  try {
    const call = caller(system.url, over);
    const org = await call('POST', '/admin/orgs', OPERATOR_TOKEN, { name: 'Trial' });
    const key = String(org.api_key);
    receiver.secrets.push(String((await call('GET', '/v1/webhook-secret', key)).secret));
    await call('POST', '/v1/pools', key, { pool_id: 'all', name: 'All', offer_ttl_seconds: 5 });
    const tokens: string[] = [];
    for (let index = 0; index < WORKERS; index += 1) {
      const worker = {
        worker_id: `w${index}`,
        name: `W${index}`,
        pool_ids: ['all'],
        capacity: CAPACITY,
        availability: 'available',
      };
      await call('POST', '/v1/workers', key, worker);
      tokens.push(String((await call('POST', `/v1/workers/w${index}/tokens`, key)).token));
    }

    const done = new AbortController();
    const mix = new Mix(call, key, faults);
    const workers = tokens.map((token) => work(call, token, done.signal, mix));
    const supervising = mix.supervise(done.signal);
    const watching = watchCapacity(call, key, done.signal, faults);
    const killing = killParts(system, rounds, done.signal);
    const ids = await createAll(call, key, tasks, receiver.url, mix);
    const finals = await finalStatuses(ids, (id) => finalStatus(call, key, id, over));
    for (const [index, status] of finals.entries())
      if (status !== 'completed') faults.push(`task ${ids[index]} ended ${status}`);
    if (over.aborted) throw new Error(`the time limit was reached: ${faults.slice(0, 20).join('; ')}`);
    const kills = await killing;
    done.abort();
    await Promise.all([...workers, watching, supervising]);

    if (new Set(ids).size !== tasks) faults.push('two creates returned the same task');
    await settled(system.redisUrl, over, faults);
    await checkTasks(call, key, ids, receiver, faults, mix);
    return {
      faults: [...faults, ...receiver.faults],
      completed: finals.filter((status) => status === 'completed').length,
      done: mix.done,
      kills,
      repeats: receiver.repeats(),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await system.stop();
    await receiver.close();
  }
}

/** Waits for a bounded number of tasks at a time: an address may open 2000 connections. */
export async function finalStatuses(ids: string[], wait: (id: string) => Promise<string>): Promise<string[]> {
  const statuses: string[] = [];
  const waiting = ids.entries();
  const waitForRest = async () => {
    for (const [index, id] of waiting) statuses[index] = await wait(id);
  };
  await Promise.all(Array.from({ length: 200 }, waitForRest));
  return statuses;
}

async function createAll(
  call: Call,
  key: string,
  count: number,
  callback: string,
  mix: Mix,
): Promise<string[]> {
  const ids: string[] = [];
  let left = count;
  const turn = async () => {
    while (left > 0) {
      left -= 1;
      const body = mix.body(left, callback);
      const made = await call('POST', '/v1/tasks', key, body, { 'idempotency-key': randomUUID() });
      if (made.http !== 201) throw new Error(`create answered ${JSON.stringify(made)}`);
      ids.push(String(made.task_id));
      await mix.created(String(made.task_id), body);
    }
  };
  await Promise.all(Array.from({ length: 6 }, turn));
  return ids;
}

/**
 * A worker: accepts offers and does the assigned tasks, until `done`. A worker who lets three offers in a row expire
 * becomes `away`, and this one then becomes available again.
 */
async function work(call: Call, token: string, done: AbortSignal, mix: Mix): Promise<void> {
  while (!done.aborted) {
    const offers = listed<{ offer_id: string }>(await call('GET', '/v1/worker/offers?wait=1', token));
    if (offers.length === 0 && (await call('GET', '/v1/worker', token)).availability !== 'available')
      await call('PATCH', '/v1/worker', token, { availability: 'available' });
    for (const { offer_id } of offers) await call('POST', `/v1/worker/offers/${offer_id}/accept`, token);
    const assigned = await call('GET', '/v1/worker/tasks', token);
    for (const task of listed<Parameters<Mix['work']>[1]>(assigned)) await mix.work(token, task);
  }
}

async function watchCapacity(call: Call, key: string, done: AbortSignal, faults: string[]): Promise<void> {
  let last: { active_tasks: number; worker_id: string }[] = [];
  while (!done.aborted) {
    last = listed(await call('GET', '/v1/workers', key));
    for (const { worker_id, active_tasks } of last)
      if (active_tasks > CAPACITY) faults.push(`${worker_id} held ${active_tasks} of ${CAPACITY}`);
    await sleep(200);
  }
  last = listed(await call('GET', '/v1/workers', key));
  for (const { worker_id, active_tasks } of last)
    if (active_tasks !== 0) faults.push(`${worker_id} still holds ${active_tasks}`);
}

/** Kills each part in turn, `rounds` times, after random delays so that the kills hit different moments. */
async function killParts(system: System, rounds: number, done: AbortSignal): Promise<Record<Part, number>> {
  const kills = Object.fromEntries(PARTS.map((part) => [part, 0])) as Record<Part, number>;
  for (let round = 0; round < rounds; round += 1)
    for (const part of PARTS) {
      if (done.aborted) return kills;
      await sleep(300 + Math.random() * 700);
      await system.killAndRestart(part);
      kills[part] += 1;
    }
  return kills;
}

/** The final status of a task, or its status when the time limit was reached. */
export async function finalStatus(call: Call, key: string, id: string, over: AbortSignal): Promise<string> {
  let last = 'unknown';
  try {
    for (;;) {
      last = String((await call('GET', `/v1/tasks/${id}?wait=5`, key)).status);
      if (last === 'completed' || last === 'failed' || last === 'cancelled') return last;
    }
  } catch (error) {
    if (over.aborted) return `still ${last}`;
    throw error;
  }
}

/** Waits until no delivery is pending and the outbox is empty. */
async function settled(redisUrl: string, over: AbortSignal, faults: string[]): Promise<void> {
  const redis = new Redis(redisUrl);
  try {
    for (;;) {
      const pending = await redis.keys('bl:{*}:pending-deliveries');
      const outbox = await Promise.all((await redis.keys('bl:{*}:outbox')).map((key) => redis.xlen(key)));
      if (pending.length === 0 && outbox.every((length) => length === 0)) return;
      if (over.aborted) {
        faults.push(
          `${pending.length} partitions still have pending deliveries, ${outbox.join()} entries are not relayed`,
        );
        return;
      }
      await sleep(100);
    }
  } finally {
    redis.disconnect();
  }
}

async function checkTasks(
  call: Call,
  key: string,
  ids: string[],
  receiver: Receiver,
  faults: string[],
  mix: Mix,
): Promise<void> {
  const histories: HistoryEntry[][] = [];
  await inParallel(ids, async (id) => {
    const history = (await call('GET', `/v1/tasks/${id}/events?limit=200`, key)).data as HistoryEntry[];
    histories.push(history);
    const broken = firstBroken(history);
    if (broken !== null) faults.push(`history of ${id} is not valid from ${broken} on`);
    const finals = history.filter((entry) => entry.type === 'task.completed');
    if (finals.length !== 1) faults.push(`${id} completed ${finals.length} times`);
    if (history.at(-1)?.type !== 'task.completed') faults.push(`${id} has events after its completion`);
    for (const { event_id, type } of history)
      if (!receiver.bodies.has(event_id)) faults.push(`${type} of ${id} never arrived`);
    await mix.check(id, history);
  });
  const { totals } = (await call('GET', '/v1/stats', key)) as unknown as StatsAnswer;
  for (const row of totals)
    for (const fault of differences(row, histories)) faults.push(`the numbers differ: ${fault}`);
  if (totals.length !== 1) faults.push(`there are ${totals.length} rows of numbers`);
  const count = await countTasks(call, key);
  if (count !== ids.length) faults.push(`${count} tasks exist, ${ids.length} were created`);
}

/** Runs `work` for each item, at most ten at the same time. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const run = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: 10 }, run));
}

export async function countTasks(call: Call, key: string): Promise<number> {
  let count = 0;
  for (let cursor = ''; ; ) {
    const page = await call('GET', `/v1/tasks?limit=200${cursor}`, key);
    count += (page.data as unknown[]).length;
    if (page.next_cursor === null) return count;
    cursor = `&cursor=${String(page.next_cursor)}`;
  }
}

interface Receiver {
  url: string;
  secrets: string[];
  /** Body of each event by its id. */
  bodies: Map<string, string>;
  faults: string[];
  repeats(): number;
  close(): Promise<void>;
}

/** Verifies every delivery; answers every twentieth with 503 although it has recorded it. */
export async function startReceiver(): Promise<Receiver> {
  const bodies = new Map<string, string>();
  const faults: string[] = [];
  let received = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      received += 1;
      const id = String(request.headers['webhook-id']);
      const headers = request.headers as Record<string, string>;
      if (!receiver.secrets.some((secret) => isVerified(secret, body, headers)))
        faults.push(`${id} does not verify`);
      if ((bodies.get(id) ?? body) !== body) faults.push(`${id} arrived with two different bodies`);
      bodies.set(id, body);
      response.statusCode = received % 20 === 0 ? 503 : 204;
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secrets: [],
    bodies,
    faults,
    repeats: () => received - bodies.size,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

function isVerified(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
