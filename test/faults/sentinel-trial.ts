// A trial behind sentinels: the primary is killed, once with a replica that is frozen.

import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/redis-nodes.ts';
import { type SentinelSystem, startSentinels } from '../support/sentinels.ts';
import { type FailoverTrial, runFailoverTrial } from './failover-trial.ts';

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

export async function runSentinelTrial(options: SentinelTrialOptions): Promise<FailoverTrial> {
  const system = await startSentinels();
  const { tasks, limit, replicas } = options;
  try {
    return await runFailoverTrial({
      url: system.url,
      tasks,
      orgs: 1,
      steps: options.failovers.map((kind) => () => failOver(system, kind, replicas)),
      env: { DURABILITY: 'replicated', DURABILITY_REPLICAS: String(replicas) },
      limit,
    });
  } finally {
    await system.stop();
  }
}

/** Resolves when another node has taken over. @returns faults */
async function failOver(system: SentinelSystem, kind: Failover, replicas: 1 | 2): Promise<string[]> {
  const faults: string[] = [];
  if (kind === 'by hand') {
    await system.failOver();
    return [];
  }
  const before = await system.primary();
  const frozen = kind === 'killed' ? undefined : system.nodes.find((one) => one !== before);
  frozen?.freeze();
  // Long enough for writes that this replica does not have.
  if (frozen !== undefined) await sleep(1500);
  await before.kill();
  await until(
    'the sentinels have not chosen another primary',
    async () => (await system.primary()) !== before,
  );
  if ((await system.primary()) === frozen) faults.push('the frozen replica has become the primary');
  frozen?.resume();
  if (replicas === system.replicas) await before.start();
  return faults;
}
