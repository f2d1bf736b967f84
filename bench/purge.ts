// The effect of a purge on other requests: the p99 of creates at a steady rate, without a purge and while worker processes
// purge finished tasks.

import autocannon from 'autocannon';
import { PREFIX } from '../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../src/store/redis/keys.ts';
import { inTurns } from './measures.ts';
import { type BenchEnvironment, type Client, exampleTaskBody, type Org } from './stage.ts';

/** Creates per second, far below the capacity of a web process, so that queueing does not hide the effect. */
const RATE = 100;

/** Creates `count` tasks and cancels them. */
export async function finishedTasks(api: Client, org: Org, count: number): Promise<void> {
  const body = exampleTaskBody(null);
  await inTurns(count, 20, async () => {
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
    await api.call('POST', `/v1/tasks/${task_id}/cancel`, org.api_key, {});
  });
}

/** The p99 of creates over `seconds`, ms. */
export async function steadyP99(url: string, org: Org, seconds: number): Promise<number> {
  const { latency, non2xx, errors } = await autocannon({
    url: `${url}/v1/tasks`,
    method: 'POST',
    connections: 10,
    overallRate: RATE,
    duration: seconds,
    headers: { authorization: `Bearer ${org.api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify(exampleTaskBody(null)),
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx} refused, ${errors} failed`);
  return latency.p99;
}

/** Makes all finished tasks due at once. @returns their number. */
export async function makeDue({ redis }: BenchEnvironment): Promise<number> {
  let count = 0;
  for (const key of retainKeys()) {
    const members = await redis.zrange(key, 0, '-1');
    count += members.length;
    if (members.length > 0) await redis.zadd(key, ...members.flatMap((member) => [1, member]));
  }
  return count;
}

/** Number of remaining finished tasks. */
export async function leftToPurge({ redis }: BenchEnvironment): Promise<number> {
  const counts = await Promise.all(retainKeys().map((key) => redis.zcard(key)));
  return counts.reduce((sum, one) => sum + one, 0);
}

/** Waits until at most `count` are left. @throws Error after ten minutes. */
export async function purgedDownTo(stage: BenchEnvironment, count: number): Promise<void> {
  for (const end = performance.now() + 600_000; performance.now() < end; ) {
    if ((await leftToPurge(stage)) <= count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the purge did not finish within ten minutes');
}

function retainKeys(): string[] {
  return PARTITIONS.map((partition) => partitionKeys(PREFIX, partition).retain);
}
