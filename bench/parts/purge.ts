// The effect of a purge on other requests: the p99 of creates at a steady rate while a worker process purges finished tasks,
// and while there is nothing to purge.

import { PREFIX } from '../../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import { inTurns, settled, until } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';
import { steadyP99 } from '../steady.ts';

/** Tasks of a round. */
const TASKS = 600;

export async function measurePurge(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const org = await createOrg(api, 0, 1);
  const worker = await stage.start('src/worker.js');
  const seconds = Math.max(1, 2 * scale);
  const tasks = Math.round(TASKS * scale);
  const measured = await inRounds(
    rounds,
    {
      without: () => steadyP99(url, org, seconds),
      during: async () => {
        await finishTasks(api, org, tasks);
        await settled(stage.redis);
        const count = await makeDue(stage);
        await until(async () => (await leftToPurge(stage)) < count, 20);
        const p99 = await steadyP99(url, org, seconds);
        await until(async () => (await leftToPurge(stage)) === 0);
        return p99;
      },
    },
    true,
  );
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const base = { what: 'nothing to purge', values: measured.without };
  return {
    rows: [
      row(
        [`create p99 while ${tasks} tasks are purged`, 'ms', 'lower'],
        measured.during,
        base,
        'ratio ≤ 1.5',
      ),
    ],
  };
}

/** Creates tasks and cancels them. */
async function finishTasks(api: Client, org: Org, count: number): Promise<void> {
  const body = exampleTaskBody(null);
  await inTurns(count, 20, async () => {
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
    await api.call('POST', `/v1/tasks/${task_id}/cancel`, org.api_key, {});
  });
}

/** Makes all finished tasks due at once. @returns their number. */
async function makeDue({ redis }: BenchEnvironment): Promise<number> {
  let count = 0;
  for (const key of purgeKeys()) {
    const members = await redis.zrangeBuffer(key, 0, '-1');
    count += members.length;
    if (members.length > 0) await redis.zadd(key, ...members.flatMap((member) => [1, member]));
  }
  return count;
}

/** Number of remaining finished tasks. */
async function leftToPurge({ redis }: BenchEnvironment): Promise<number> {
  const counts = await Promise.all(purgeKeys().map((key) => redis.zcard(key)));
  return counts.reduce((sum, one) => sum + one, 0);
}

function purgeKeys(): string[] {
  return PARTITIONS.map((partition) => partitionKeys(PREFIX, partition).purges);
}
