// A trial on a Redis Cluster: a master is killed, a slot is moved, a node is added, a replica takes over by hand.

import { queuePrefix } from '../../src/queues/shards.ts';
import { PREFIX } from '../../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import { slotOf } from '../../src/store/redis/servers.ts';
import { type RedisCluster, startCluster } from '../support/cluster.ts';
import { until } from '../support/redis-nodes.ts';
import { type FailoverTrial, runFailoverTrial } from './failover-trial.ts';

/** What happens to the cluster; `queues` is the master that has BullMQ's queues. */
type ClusterEvent =
  | 'master killed'
  | 'queues killed'
  | 'master frozen'
  | 'queues taken over by hand'
  | 'slots moved to a new node'
  | 'queues moved';

export interface ClusterTrialOptions {
  tasks: number;
  orgs: number;
  events: readonly ClusterEvent[];
  durability: 'local' | 'replicated';
  /** Time limit, ms. */
  limit: number;
}

const QUEUES = slotOf(`${queuePrefix(PREFIX, 0)}:x`);

export async function runClusterTrial(options: ClusterTrialOptions): Promise<FailoverTrial> {
  const cluster = await startCluster();
  const { tasks, orgs, limit, durability } = options;
  try {
    return await runFailoverTrial({
      url: cluster.url,
      tasks,
      orgs,
      steps: options.events.map((event) => () => happen(cluster, event)),
      env: durability === 'local' ? {} : { DURABILITY: 'replicated', DURABILITY_REPLICAS: '1' },
      limit,
    });
  } finally {
    await cluster.stop();
  }
}

/** @returns faults */
async function happen(cluster: RedisCluster, event: ClusterEvent): Promise<string[]> {
  switch (event) {
    case 'queues taken over by hand':
      await cluster.failOver(await cluster.masterOf(QUEUES));
      return [];
    case 'slots moved to a new node': {
      const node = await cluster.addMaster();
      for (const partition of PARTITIONS.filter((_, index) => index % 4 === 0))
        await cluster.moveSlot(slotOf(partitionKeys(PREFIX, partition).outbox), node);
      return [];
    }
    case 'queues moved': {
      const from = await cluster.masterOf(QUEUES);
      const to = (await cluster.masters()).find((one) => one !== from);
      if (to === undefined) return ['there is no other master'];
      await cluster.moveSlot(QUEUES, to);
      return [];
    }
  }
  const queues = await cluster.masterOf(QUEUES);
  const masters = await cluster.masters();
  const killed = event === 'queues killed' ? queues : masters.find((one) => one !== queues);
  if (killed === undefined) return ['there is no other master'];
  if (event === 'master frozen') killed.freeze();
  else await killed.kill();
  await until('no replica has taken over', async () => !(await cluster.masters()).includes(killed));
  if (event === 'master frozen') killed.resume();
  else await killed.start();
  return [];
}
