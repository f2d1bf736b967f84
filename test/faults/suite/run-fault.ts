// Runs one fault: two orgs are in use while it happens, and everything that they leave is read and checked afterwards.

import type { BioLayer } from '@biolayer/sdk';
import { Redis } from 'ioredis';
import type { ReadTask } from '../../../src/simulation/check.ts';
import type { TrackedTask } from '../../../src/simulation/ledger.ts';
import { DEFAULT_STAFF } from '../../../src/simulation/personas.ts';
import { Random } from '../../../src/simulation/random.ts';
import { type Reading, readSimulation } from '../../../src/simulation/reading.ts';
import { Receiver } from '../../../src/simulation/receiver.ts';
import { Simulation, type SimulationOptions } from '../../../src/simulation/simulation.ts';
import { DEFAULT_MIX } from '../../../src/simulation/task-kinds.ts';
import { differences, type StatsAnswer } from '../../support/recount.ts';
import type { System } from '../system.ts';
import { type Fault, newOrg, pause, type Scene } from './scene.ts';

/** Tasks that are final before the fault begins. */
const WARM = 5;
/** Time limit for that, ms. */
const WARM_LIMIT = 40_000;
/** Everything in flight must be final and delivered this long after the end of the fault, ms. */
const RECOVERY = 60_000;

/** A row of the result. */
export interface Row {
  fault: string;
  seed: string;
  /** Tasks that were not final when the fault began. */
  inFlight: number;
  /** Tasks of both orgs. */
  tasks: number;
  lost: number;
  doubled: number;
  broken: number;
  /** From the end of the fault until all tasks that were open then were final and their events delivered, s. */
  recovery: number;
  note: string;
  /** What is wrong, one sentence each. */
  findings: string[];
}

/** Runs a fault in a running system. */
export async function runFault(fault: Fault, system: System, seed: string): Promise<Row> {
  const random = new Random(`${seed}/${fault.name}`);
  const receivers = [await new Receiver().listen(), await new Receiver().listen()];
  const redis = new Redis(system.redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  const scene: Scene = { system, redis, random, receivers, note: '', findings: [] };
  const orgs: Org[] = [];
  try {
    const opened = receivers.map((receiver, at) => openOrg(system, receiver, at === 0, fault, seed));
    orgs.push(...(await Promise.all(opened)));
    const [main] = orgs;
    if (main === undefined) throw new Error('there is no org');
    const running = orgs.map(({ simulation }) => simulation.run());
    // They are awaited at the end.
    for (const one of running) one.catch(() => undefined);
    const warmBefore = performance.now() + WARM_LIMIT;
    while (main.simulation.ledger.count().final < WARM) {
      if (performance.now() > warmBefore) throw new Error('the simulation does not get going');
      await pause(50);
    }
    await pause(random.integer(0, 1000));
    const inFlight = openTasks(orgs).length;
    const heal = await fault.inject(scene);
    await pause(fault.holdMs ?? 0);
    await heal?.();
    const healed = performance.now();
    if (fault.losesWrites) return await afterLoss(fault, scene, orgs, running, inFlight, seed);
    const open = openTasks(orgs);
    while (open.some(({ finished }) => finished === null) && performance.now() < healed + RECOVERY)
      await pause(50);
    for (const { simulation } of orgs) simulation.stop();
    await Promise.all(running);
    const readings: Reading[] = [];
    for (const { simulation } of orgs) readings.push(await readSimulation(simulation, RECOVERY));
    for (const [at, { api }] of orgs.entries())
      scene.findings.push(...(await recount(api, readings[at]?.tasks ?? [])));
    const recovery = recoveryOf(open, readings, receivers, healed);
    if (recovery > RECOVERY) scene.findings.push(`recovery took ${Math.round(recovery / 1000)} s`);
    return rowOf(fault, seed, scene, inFlight, readings, recovery);
  } finally {
    // Those of a row that failed would slow down the next ones.
    for (const { simulation } of orgs) simulation.abort();
    redis.disconnect();
    await Promise.all(receivers.map((receiver) => receiver.close()));
  }
}

interface Org {
  api: BioLayer;
  simulation: Simulation;
}

/** An org with a simulation that is not started yet. @param isMain the other one is small. */
async function openOrg(
  system: System,
  receiver: Receiver,
  isMain: boolean,
  fault: Fault,
  seed: string,
): Promise<Org> {
  const { api, apiKey } = await newOrg(system, isMain ? 'Main' : 'Neighbour');
  receiver.secrets.push((await api.webhookSecret.get()).secret);
  const options: SimulationOptions = {
    url: system.url,
    apiKey,
    seed,
    staff: isMain ? DEFAULT_STAFF : { fast: 1, slow: 1 },
    integrators: isMain ? 2 : 1,
    mix: fault.mix ?? DEFAULT_MIX,
    tasks: 1000,
    durationMs: 180_000,
    graceMs: RECOVERY,
    parallel: isMain ? 4 : 2,
    paceMs: 500,
    offerTtlSeconds: 3,
    receiver,
  };
  return { api, simulation: new Simulation(options) };
}

function openTasks(orgs: readonly Org[]): TrackedTask[] {
  return orgs.flatMap(({ simulation }) => simulation.ledger.open());
}

/**
 * After writes were lost: what the first simulations have left cannot agree with what was acknowledged to them. Those that
 * follow in the same orgs must be right.
 */
async function afterLoss(
  fault: Fault,
  scene: Scene,
  orgs: readonly Org[],
  running: Promise<void>[],
  inFlight: number,
  seed: string,
): Promise<Row> {
  const healed = performance.now();
  for (const { simulation } of orgs) simulation.abort();
  await Promise.allSettled(running);
  // The receivers have events of a state that does not exist any longer.
  const receivers = await Promise.all(orgs.map(() => new Receiver().listen()));
  const later = orgs.map(({ api, simulation }, at) => {
    const receiver = receivers[at] ?? null;
    receiver?.secrets.push(...(simulation.options.receiver?.secrets ?? []));
    const options = { ...simulation.options, tasks: 15, seed: `${seed}-2`, receiver };
    return { api, simulation: new Simulation(options) };
  });
  await Promise.all(later.map(({ simulation }) => simulation.run()));
  const recovery = performance.now() - healed;
  const readings: Reading[] = [];
  for (const { simulation } of later) readings.push(await readSimulation(simulation, RECOVERY));
  await Promise.all(receivers.map((receiver) => receiver.close()));
  const first: Reading[] = [];
  for (const { simulation } of orgs) first.push(await readSimulation(simulation, 0));
  const lost = first
    .flatMap(({ report }) => report.invariants_broken)
    .filter(({ kind }) => kind === 'lost').length;
  scene.note = `${lost} acknowledged facts lost, as documented; the next ${readings.flatMap(({ tasks }) => tasks).length} tasks were right`;
  return rowOf(fault, seed, scene, inFlight, readings, recovery);
}

/** Compares the statistics of the sandbox with the histories. */
async function recount(api: BioLayer, tasks: readonly ReadTask[]): Promise<string[]> {
  const { totals } = (await api.stats.get()) as unknown as StatsAnswer;
  const histories = tasks.map(({ history }) => history);
  return totals.flatMap((row) => differences(row, histories)).map((text) => `the statistics differ: ${text}`);
}

/** ms */
function recoveryOf(
  open: readonly TrackedTask[],
  readings: readonly Reading[],
  receivers: readonly Receiver[],
  healed: number,
): number {
  const ids = new Set(open.map(({ task_id }) => task_id));
  const histories = readings
    .flatMap(({ tasks }) => tasks)
    .filter(({ tracked }) => ids.has(tracked.task_id))
    .flatMap(({ history }) => history);
  const arrivals = histories.flatMap(({ event_id }) =>
    receivers.flatMap((receiver) => receiver.arrivals.get(event_id)?.at ?? []),
  );
  const ends = open.map(({ finished }) => finished ?? Number.POSITIVE_INFINITY);
  return Math.max(0, ...arrivals.map((at) => at - healed), ...ends.map((at) => at - healed));
}

function rowOf(
  fault: Fault,
  seed: string,
  scene: Scene,
  inFlight: number,
  readings: readonly Reading[],
  recovery: number,
): Row {
  const found = readings.flatMap(({ report }) => report.invariants_broken);
  const count = (wanted: string) => found.filter(({ kind }) => kind === wanted).length;
  return {
    fault: fault.name,
    seed,
    inFlight,
    tasks: readings.reduce((sum, { tasks }) => sum + tasks.length, 0),
    lost: count('lost'),
    doubled: count('doubled'),
    broken: count('broken') + scene.findings.length,
    recovery: Math.round(recovery / 100) / 10,
    note: scene.note,
    findings: [...scene.findings, ...found.map(({ kind, text }) => `${kind}: ${text}`)],
  };
}
