// Faults of size: very many deadlines due at once, and a tenant that is much larger than another one. FAULT_TIMERS and
// FAULT_TENANT set their numbers.

import { BioLayer, type CreateTaskBody } from '@biolayer/sdk';
import autocannon from 'autocannon';
import { type System, startSystem } from '../system.ts';
import { type Fault, newOrg, pause } from './scene.ts';

/** Most tasks of a batch. */
const BATCH = 100;
/** Batches that are created at the same time. */
const AT_ONCE = 4;
const TIMERS = Number(process.env.FAULT_TIMERS ?? 50_000);
const TENANT = Number(process.env.FAULT_TENANT ?? 100_000);
/** The fewest tasks that are created in a second, for the choice of a deadline that is later. */
const CREATES_PER_SECOND = 300;
/** Lateness of the last breach that is a finding, s: the promised time of recovery. */
const LATE = 60;
/** The fewest tasks of the small tenant that are timed in a phase, alone and beside the large one. */
const PROBES = 80;
/** Its tasks before the first that is timed. */
const WARM_UP = 20;
/** Tasks that the large tenant creates in a second, and in a request. */
const PACED_RATE = 500;
const PACED_BATCH = 100;
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
      await api.tasks.createBatch({ tasks }, { timeoutMs: 60_000 });
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

/** A tenant with one worker, whose whole tasks are timed. */
interface SmallTenant {
  api: BioLayer;
  worker: BioLayer;
}

async function openSmallTenant(system: System): Promise<SmallTenant> {
  const { api } = await newOrg(system, 'Small');
  const { worker_id } = await api.workers.create({ name: 'W', capacity: 1, availability: 'available' });
  const { token } = await api.workers.createToken(worker_id);
  return { api, worker: new BioLayer({ apiKey: token, baseUrl: system.url, maxRetries: 8 }) };
}

/** Times a whole task, ms: from the request that creates it to its completion. */
async function timeTask({ api, worker }: SmallTenant): Promise<number> {
  const begun = performance.now();
  const { task_id } = await api.tasks.create(body(0));
  for (let offer_id: string | null = null; offer_id === null; ) {
    const { data } = await worker.worker.listOffers({ wait: 30 }, { timeoutMs: 60_000 });
    offer_id = data.find((one) => one.task_id === task_id)?.offer_id ?? null;
    if (offer_id !== null) await worker.worker.acceptOffer(offer_id);
  }
  await worker.worker.startTask(task_id);
  await worker.worker.submitTask(task_id, { output: 'done' });
  await api.tasks.waitFor(task_id, { timeoutMs: 60_000 });
  return performance.now() - begun;
}

/** A phase of the trial: the p95 of the small tenant, beside the large one and in a system of its own, ms. */
interface Compared {
  phase: string;
  beside: number;
  alone: number;
}

/**
 * Times tasks of the small tenant in two systems by turns, so that what else the machine does slows both alike: beside the
 * large one, and in one without it.
 * @param isOver ends it, after at least `PROBES` tasks in each.
 */
async function compare(
  phase: string,
  tenants: { beside: SmallTenant; alone: SmallTenant },
  isOver = () => true,
): Promise<Compared> {
  const beside: number[] = [];
  const alone: number[] = [];
  while (beside.length < PROBES || !isOver()) {
    alone.push(await timeTask(tenants.alone));
    beside.push(await timeTask(tenants.beside));
  }
  return { phase, beside: quantile(beside, 0.95), alone: quantile(alone, 0.95) };
}

/** Creates the tasks of the large tenant from a thread of its own, at a rate that leaves the processors time for others. */
async function createAtRate(system: System, apiKey: string): Promise<void> {
  const tasks = Array.from({ length: PACED_BATCH }, (_, at) => body(at));
  const result = await autocannon({
    url: `${system.url}/v1/tasks/batch`,
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tasks }),
    workers: 1,
    connections: 2,
    amount: Math.ceil(TENANT / PACED_BATCH),
    overallRate: PACED_RATE / PACED_BATCH,
    timeout: 60,
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} batches refused, ${result.errors} failed`);
}

/** The small tenant before the large one comes, while that one creates its tasks, and then while its workers have them. */
const largeTenant: Fault['inject'] = async (scene) => {
  // Both without simulations, which would slow one of them alone.
  const systems = [await startSystem(), await startSystem()] as const;
  const [shared, control] = systems;
  try {
    const tenants = { beside: await openSmallTenant(shared), alone: await openSmallTenant(control) };
    for (let nth = 0; nth < WARM_UP; nth += 1) await Promise.all(Object.values(tenants).map(timeTask));
    const phases = [await compare('before', tenants)];
    const { api, apiKey } = await newOrg(shared, 'Large');
    let isCreated = false;
    const creating = createAtRate(shared, apiKey).finally(() => {
      isCreated = true;
    });
    creating.catch(() => undefined);
    phases.push(await compare('while they are created', tenants, () => isCreated));
    await creating;
    for (let nth = 0; nth < 10; nth += 1)
      await api.workers.create({ worker_id: `w${nth}`, name: 'W', capacity: 50, availability: 'available' });
    phases.push(await compare('while they wait', tenants));
    for (const { phase, beside, alone } of phases)
      if (beside > SLOWER * alone)
        scene.findings.push(`${phase}: the p95 of the small tenant was ${beside} ms, alone ${alone} ms`);
    const shown = phases.map(
      ({ phase, beside, alone }) =>
        `${phase} ${Math.round(beside)} ms, alone ${Math.round(alone)} ms (${(beside / alone).toFixed(2)})`,
    );
    scene.note = `${TENANT} tasks; p95 of a whole task of the small one: ${shown.join('; ')}`;
  } finally {
    await Promise.all(systems.map((one) => one.stop()));
  }
};

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export const SIZE_FAULTS: readonly Fault[] = [
  { name: `${TIMERS} deadlines due at once`, inject: manyTimers, limitMs: LIMIT_MS },
  { name: `a tenant with ${TENANT} tasks beside a small one`, inject: largeTenant, limitMs: LIMIT_MS },
];
