// `biolayer simulate`: workers and integrators who use the sandbox of an org, for trials of a deployment.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '@biolayer/sdk';
import { type Command, InvalidArgumentError } from 'commander';
import { DEFAULT_STAFF, PERSONAS, type PersonaName, type Staff } from '../simulation/personas.ts';
import { type Reading, readSimulation, type SimulationReport } from '../simulation/reading.ts';
import { Receiver } from '../simulation/receiver.ts';
import { Simulation } from '../simulation/simulation.ts';
import { DEFAULT_MIX } from '../simulation/task-kinds.ts';
import { asSeconds, showDuration } from './durations.ts';
import { CheckFailed, UsageError } from './faults.ts';
import { asNumber } from './flags.ts';
import type { Output } from './output.ts';
import { openSession, type Session, type Streams } from './session.ts';

const SECOND = 1000;
/** Time limits for open tasks after the last creation, for a first webhook, and for the last ones, ms. */
const [GRACE, FIRST_WEBHOOK, LAST_WEBHOOKS] = [30 * SECOND, 3 * SECOND, 15 * SECOND];
const MOST = { workers: 200, integrators: 20, tasks: 100_000 };
const SHOWN_FINDINGS = 20;

interface SimulateFlags {
  workers: Staff;
  integrators: number;
  tasks: number;
  duration: number;
  seed?: string;
}

/** Adds `biolayer simulate`. */
export function addSimulateCommand(program: Command, streams: Streams): void {
  const personas = Object.keys(PERSONAS).join(', ');
  program
    .command('simulate')
    .description(
      'run simulated workers and integrators in the sandbox of a test key, and check what they leave',
    )
    .option(
      '--workers <staff>',
      `workers by persona, such as fast=4,no-show=1; personas: ${personas}`,
      asStaff,
      DEFAULT_STAFF,
    )
    .option('--integrators <n>', `1 to ${MOST.integrators}`, asCount(MOST.integrators), 2)
    .option('--tasks <n>', 'most tasks that are created', asCount(MOST.tasks), 100)
    .option('--duration <duration>', 'end of the creations, such as 10m', asSeconds, 60)
    .option('--seed <seed>', 'repeats the decisions of an earlier simulation', asSeed)
    .action(async (flags: SimulateFlags, command: Command) => {
      const { seed = String(randomInt(1_000_000)) } = flags;
      const session = await openSession(command, streams);
      const { api, apiKey, url, out } = session;
      if (!apiKey.startsWith('blk_test_'))
        throw new UsageError('A simulation needs a test key, blk_test_…: see `biolayer keys create --test`.');
      // A wrong URL or key is reported here, and not repeated like a fault in the middle of the simulation.
      await api.org.get();
      out.note(`seed ${seed}`);
      const receiver = await reachableReceiver(session);
      if (receiver === null) out.note('Webhooks are not checked: the server cannot send to this machine.');
      const simulation = new Simulation({
        url,
        apiKey,
        seed,
        staff: flags.workers,
        integrators: flags.integrators,
        mix: DEFAULT_MIX,
        tasks: flags.tasks,
        durationMs: flags.duration * SECOND,
        graceMs: GRACE,
        parallel: 5,
        paceMs: 200,
        offerTtlSeconds: 5,
        receiver,
      });
      const interrupt = () => simulation.stop();
      process.once('SIGINT', interrupt);
      try {
        const { report } = await runAndRead(simulation, out);
        out.answer(report, () => show(out, report));
        if (report.invariants_broken.length > 0)
          throw new CheckFailed(`${report.invariants_broken.length} invariants are broken.`);
      } finally {
        process.removeListener('SIGINT', interrupt);
        await simulation.remove();
        await receiver?.close();
      }
    });
}

async function runAndRead(simulation: Simulation, out: Output): Promise<Reading> {
  const started = performance.now();
  let shown = '';
  const showProgress = () => {
    const { created, final } = simulation.ledger.count();
    const { repeated } = simulation.requests;
    const counts = `${created} created, ${final} final, ${repeated} requests repeated`;
    if (counts === shown) return;
    shown = counts;
    out.note(`${showDuration(Math.round((performance.now() - started) / SECOND))}: ${counts}`);
  };
  const timer = setInterval(showProgress, SECOND);
  try {
    await simulation.run();
  } finally {
    clearInterval(timer);
  }
  showProgress();
  return readSimulation(simulation, LAST_WEBHOOKS);
}

/** A receiver that the server can reach: a test event has arrived. Null without one. */
async function reachableReceiver({ api, url }: Session): Promise<Receiver | null> {
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname)) return null;
  const receiver = await new Receiver().listen();
  let hasArrived = false;
  try {
    receiver.secrets.push((await api.webhookSecret.get()).secret);
    const endpoint = await api.webhookEndpoints.create({ url: receiver.url, events: ['task.created'] });
    if (endpoint.secret !== null) receiver.secrets.push(endpoint.secret);
    try {
      await api.webhookEndpoints.test(endpoint.endpoint_id);
      const end = performance.now() + FIRST_WEBHOOK;
      while (receiver.received === 0 && performance.now() < end) await sleep(50);
      hasArrived = receiver.received > 0 && receiver.faults.length === 0;
    } finally {
      await api.webhookEndpoints.delete(endpoint.endpoint_id);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  } finally {
    if (!hasArrived) await receiver.close();
  }
  receiver.received = 0;
  receiver.arrivals.clear();
  return hasArrived ? receiver : null;
}

function show(
  out: Output,
  { tasks, offers, task_ms, requests, webhooks, invariants_broken }: SimulationReport,
) {
  const named = (counts: object) =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ');
  out.line(`tasks     ${named(tasks)}`);
  out.line(`offers    ${named(offers)}`);
  const { repeated, longest_outage_seconds: outage } = requests;
  out.line(`requests  ${repeated} repeated, longest time without an answer ${showDuration(outage)}`);
  if (webhooks !== null) out.line(`webhooks  ${named(webhooks)}`);
  const rows = Object.entries({ ...requests.latency_ms, 'task until final': task_ms });
  out.rows([
    ['', 'count', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms'],
    ...rows.map(([name, { count, p50, p95, p99, max }]) => [
      name,
      ...[count, p50, p95, p99, max].map(String),
    ]),
  ]);
  for (const { kind, text } of invariants_broken.slice(0, SHOWN_FINDINGS)) out.line(`${kind}: ${text}`);
}

/** Parses `fast=4,slow=1`. @throws InvalidArgumentError */
function asStaff(text: string): Staff {
  const staff: Partial<Record<PersonaName, number>> = {};
  for (const part of text.split(',')) {
    const [, name = '', count] = /^([a-z-]+)=(\d{1,3})$/.exec(part.trim()) ?? [];
    if (!Object.hasOwn(PERSONAS, name))
      throw new InvalidArgumentError(
        `It must be like fast=4,slow=1, of ${Object.keys(PERSONAS).join(', ')}.`,
      );
    staff[name as PersonaName] = Number(count);
  }
  const sum = Object.values(staff).reduce((all, one) => all + one, 0);
  if (sum < 1 || sum > MOST.workers)
    throw new InvalidArgumentError(`It must be 1 to ${MOST.workers} workers.`);
  return staff;
}

function asCount(most: number): (text: string) => number {
  return (text) => {
    const count = asNumber(text);
    if (!Number.isInteger(count) || count < 1 || count > most)
      throw new InvalidArgumentError(`It must be an integer from 1 to ${most}.`);
    return count;
  };
}

function asSeed(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,20}$/.test(text))
    throw new InvalidArgumentError('It must have 1 to 20 letters, digits, - or _.');
  return text;
}
