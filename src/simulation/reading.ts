// Reads everything that a simulation has left, checks it, and reports.

import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEntry } from '../state/tasks/event.ts';
import {
  checkCapacity,
  checkCreations,
  checkTask,
  type Finding,
  offerOutcomes,
  type ReadTask,
} from './check.ts';
import type { TrackedTask } from './ledger.ts';
import { type Latency, quantiles, Requests } from './requests.ts';
import { CAPACITY, type Simulation } from './simulation.ts';

/** Time limit of reading all tasks, ms. */
const READ_LIMIT = 300_000;
/** Tasks that are read at the same time. */
const READERS = 6;

export interface SimulationReport {
  seed: string;
  tasks: { created: number; completed: number; failed: number; cancelled: number; unfinished: number };
  /** Offers by their outcome. */
  offers: Record<string, number>;
  /** From the acknowledged creation until the task was seen final, ms. */
  task_ms: Latency;
  requests: { repeated: number; longest_outage_seconds: number; latency_ms: Record<string, Latency> };
  /** null: none could be received. */
  webhooks: { received: number; events: number; repeated: number } | null;
  invariants_broken: Finding[];
}

/** The report of a simulation, and the tasks that it is about. */
export interface Reading {
  report: SimulationReport;
  tasks: ReadTask[];
}

/** Reads and checks the tasks of a simulation. @param settleMs how long to wait for deliveries, ms. @throws ApiError, ConnectionError */
export async function readSimulation(simulation: Simulation, settleMs: number): Promise<Reading> {
  const { ledger, options, api, product } = simulation;
  const { receiver } = options;
  const requests = new Requests(AbortSignal.timeout(READ_LIMIT), ledger.unexpected);
  const existing = await requests.send('list tasks', [], (given) =>
    allOf(api.tasks.list({ product: [product], limit: 200 }, given)),
  );
  // A creation without an answer may have made a task.
  for (const { task_id } of existing ?? []) ledger.of(task_id);
  const tasks: ReadTask[] = [];
  const rest = ledger.tasks().values();
  const read = async () => {
    for (const tracked of rest) {
      const one = await readTask(simulation, requests, tracked);
      if (one !== null) tasks.push(one);
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  const histories = tasks.map(({ history }) => history);
  const owed = new Set(histories.flat().map(({ event_id }) => event_id));
  const arrivals = receiver?.arrivals;
  const end = performance.now() + settleMs;
  while (arrivals !== undefined && performance.now() < end && ![...owed].every((id) => arrivals.has(id)))
    await sleep(100);
  const hasArrived = arrivals === undefined ? null : (id: string) => arrivals.has(id);
  const foreign = [...(arrivals?.keys() ?? [])].filter((id) => !owed.has(id));
  const findings: Finding[] = [
    ...[...ledger.unexpected, ...(receiver?.faults ?? [])].map((text) => ({ kind: 'broken' as const, text })),
    ...checkCreations(ledger.tasks(), existing ?? [], ledger.requested),
    ...tasks.flatMap((task) => checkTask(task, hasArrived)),
    ...checkCapacity(histories, CAPACITY),
    ...foreign.map((id) => ({
      kind: 'broken' as const,
      text: `${id} arrived and is in no history of this org`,
    })),
  ];
  return { tasks, report: reportOf(simulation, tasks, findings) };
}

async function readTask(
  { api }: Simulation,
  requests: Requests,
  tracked: TrackedTask,
): Promise<ReadTask | null> {
  const { task_id } = tracked;
  const task = await requests.send('get task', ['not_found'], (options) =>
    api.tasks.get(task_id, {}, options),
  );
  if (task === null) return null;
  const history = await requests.send('list events', [], (options) =>
    allOf(api.tasks.listEvents(task_id, { limit: 200 }, options)),
  );
  const messages =
    tracked.messages.length === 0
      ? []
      : await requests.send('list messages', [], (options) =>
          allOf(api.tasks.listMessages(task_id, {}, options)),
        );
  const result = task.result as { output: unknown } | null;
  return {
    tracked,
    history: (history ?? []) as unknown as HistoryEntry[],
    status: task.status,
    messages: (messages ?? []).map(({ message_id }) => message_id),
    output: result === null ? null : JSON.stringify(result.output),
  };
}

async function allOf<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of list) items.push(item);
  return items;
}

function reportOf({ ledger, requests, options }: Simulation, tasks: ReadTask[], findings: Finding[]) {
  const count = (wanted: string) => tasks.filter(({ status }) => status === wanted).length;
  const [completed, failed, cancelled] = [count('completed'), count('failed'), count('cancelled')];
  const { receiver } = options;
  return {
    seed: options.seed,
    tasks: {
      created: ledger.count().created,
      completed,
      failed,
      cancelled,
      unfinished: tasks.length - completed - failed - cancelled,
    },
    offers: offerOutcomes(tasks.map(({ history }) => history)),
    task_ms: quantiles(
      ledger
        .tasks()
        .flatMap(({ created, finished }) =>
          created === null || finished === null ? [] : [finished - created],
        ),
    ),
    requests: {
      repeated: requests.repeated,
      longest_outage_seconds: Math.round(requests.longestOutage / 100) / 10,
      latency_ms: requests.latencies(),
    },
    webhooks:
      receiver === null
        ? null
        : { received: receiver.received, events: receiver.arrivals.size, repeated: receiver.repeated },
    invariants_broken: findings,
  } satisfies SimulationReport;
}
