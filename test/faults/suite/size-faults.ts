// Faults of size: very many deadlines due at once, and a tenant that is much larger than another one. FAULT_TIMERS and
// FAULT_TENANT set their numbers.

import { BioLayer, type CreateTaskBody } from '@biolayer/sdk';
import { type Fault, newOrg, pause, type Scene } from './scene.ts';

/** Most tasks of a batch. */
const BATCH = 500;
/** Batches that are created at the same time. */
const AT_ONCE = 4;
const TIMERS = Number(process.env.FAULT_TIMERS ?? 50_000);
const TENANT = Number(process.env.FAULT_TENANT ?? 100_000);
/** The fewest tasks that are created in a second, for the choice of a deadline that is later. */
const CREATES_PER_SECOND = 400;
/** Lateness of the last breach that is a finding, s. */
const LATE = 20;
/** Tasks of the small tenant that are timed, alone and beside the large one. */
const PROBES = 60;
/** How much slower the small tenant may become. */
const SLOWER = 2;
const LIMIT_MS = 900_000;

/** The body of a task. */
const body = (index: number, more: Partial<CreateTaskBody> = {}): CreateTaskBody => ({
  origin: { product: 'load', request_id: `L-${index}` },
  task_type: 'load',
  domain: 'load',
  title: 'Load',
  instructions: 'Nobody does it.',
  sla: { urgency: 'normal' },
  output: { expected_format: 'text' },
  ...more,
});

/** Creates so many tasks, in batches. */
export async function createMany(api: BioLayer, count: number, more: Partial<CreateTaskBody>): Promise<void> {
  const batches = Array.from({ length: Math.ceil(count / BATCH) }, (_, at) => at * BATCH).values();
  const create = async () => {
    for (const first of batches) {
      const tasks = Array.from({ length: Math.min(BATCH, count - first) }, (_, at) => body(first + at, more));
      await api.tasks.createBatch({ tasks });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, create));
}

/** Clocks of many tasks that are due at one instant: each breach happens once, and soon. */
const manyTimers: Fault['inject'] = async (scene) => {
  const { api } = await newOrg(scene.system, 'Timers');
  const due = Math.ceil(Date.now() / 1000) * 1000 + 10_000 + (TIMERS / CREATES_PER_SECOND) * 1000;
  const deadline = new Date(due).toISOString();
  await createMany(api, TIMERS, {
    sla: { urgency: 'low', deadline },
    // Nobody does them, so that they also fail at the deadline.
    requirements: { skills: ['none'] },
  });
  if (Date.now() > due) scene.findings.push('the tasks were not created before their deadline');
  await pause(Math.max(0, due - Date.now()));
  return async () => {
    const breached = new Map<string, number>();
    const lateness: number[] = [];
    const end = performance.now() + 120_000;
    for (let cursor: string | null = null; breached.size < TIMERS && performance.now() < end; ) {
      const query = { types: ['task.sla_breached'], limit: 200, ...(cursor !== null && { cursor }) };
      const page = await api.events.list(query as Parameters<typeof api.events.list>[0]);
      for (const event of page.data) {
        const { task_id, at } = event as unknown as { task_id: string; at: string };
        breached.set(task_id, (breached.get(task_id) ?? 0) + 1);
        lateness.push((Date.parse(at) - due) / 1000);
      }
      cursor = page.next_cursor ?? cursor;
      if (page.data.length === 0) await pause(200);
    }
    if (breached.size !== TIMERS) scene.findings.push(`${breached.size} of ${TIMERS} clocks were breached`);
    const more = [...breached.values()].filter((count) => count !== 1).length;
    if (more > 0) scene.findings.push(`${more} clocks were breached more than once`);
    const latest = Math.max(0, ...lateness);
    if (latest > LATE) scene.findings.push(`a breach was ${latest} s late`);
    const median = quantile(lateness, 0.5);
    scene.note = `${TIMERS} clocks; breaches ${median.toFixed(1)} s late (median), ${latest.toFixed(1)} s (last)`;
  };
};

interface SmallTenant {
  api: BioLayer;
  worker: BioLayer;
}

async function openSmallTenant(scene: Scene): Promise<SmallTenant> {
  const { api } = await newOrg(scene.system, 'Small');
  const { worker_id } = await api.workers.create({ name: 'W', capacity: 1, availability: 'available' });
  const { token } = await api.workers.createToken(worker_id);
  return { api, worker: new BioLayer({ apiKey: token, baseUrl: scene.system.url, maxRetries: 8 }) };
}

/** Times whole tasks of the small tenant, one after the other, ms: from the request that creates one to its completion. */
async function timeTasks({ api, worker }: SmallTenant, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const begun = performance.now();
    const { task_id } = await api.tasks.create(body(nth));
    for (let offer_id: string | null = null; offer_id === null; ) {
      const { data } = await worker.worker.listOffers({ wait: 30 }, { timeoutMs: 60_000 });
      offer_id = data.find((one) => one.task_id === task_id)?.offer_id ?? null;
      if (offer_id !== null) await worker.worker.acceptOffer(offer_id);
    }
    await worker.worker.startTask(task_id);
    await worker.worker.submitTask(task_id, { output: 'done' });
    await api.tasks.waitFor(task_id, { timeoutMs: 60_000 });
    times.push(performance.now() - begun);
  }
  return times;
}

/** The small tenant alone, then while the large one creates its tasks, then while that one's workers do them. */
const largeTenant: Fault['inject'] = async (scene) => {
  const small = await openSmallTenant(scene);
  await timeTasks(small, 10);
  const alone = quantile(await timeTasks(small, PROBES), 0.95);
  const { api } = await newOrg(scene.system, 'Large');
  const creating = createMany(api, TENANT, {});
  const during = await whileRunning(creating, () => timeTasks(small, 5));
  for (let nth = 0; nth < 10; nth += 1)
    await api.workers.create({ worker_id: `w${nth}`, name: 'W', capacity: 5, availability: 'available' });
  const beside = quantile(await timeTasks(small, PROBES), 0.95);
  if (beside > SLOWER * alone)
    scene.findings.push(
      `the p95 of the small tenant rose from ${Math.round(alone)} to ${Math.round(beside)} ms`,
    );
  const shown = (ms: number) => `${Math.round(ms)} ms`;
  scene.note =
    `p95 of a whole task of the small one: alone ${shown(alone)}, beside ${TENANT} waiting tasks ${shown(beside)}, ` +
    `while they are created ${shown(quantile(during, 0.95))}`;
};

/** Repeats `act` until the work has ended. @returns all that it returned */
async function whileRunning(work: Promise<void>, act: () => Promise<number[]>): Promise<number[]> {
  let isOver = false;
  const watched = work.finally(() => {
    isOver = true;
  });
  watched.catch(() => undefined);
  const found: number[] = [];
  while (!isOver) found.push(...(await act()));
  await watched;
  return found;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export const SIZE_FAULTS: readonly Fault[] = [
  { name: `${TIMERS} deadlines due at once`, inject: manyTimers, limitMs: LIMIT_MS },
  { name: `a tenant with ${TENANT} tasks beside a small one`, inject: largeTenant, limitMs: LIMIT_MS },
];
