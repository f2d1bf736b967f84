// Faults of what the system is given: poisoned jobs, entries and records, and races.

import { Queue } from 'bullmq';
import { type Fault, killed, newOrg, operatorOf, pause, type Scene } from './scene.ts';
import { createMany } from './size-faults.ts';

const poisonedJobs: Fault['inject'] = async ({ redis, system }) => {
  const { hostname, port } = new URL(system.redisUrl);
  void redis;
  for (const name of ['lifecycle', 'sla', 'webhooks', 'retries']) {
    const queue = new Queue(name, {
      connection: { host: hostname, port: Number(port) },
      prefix: '{bl-queues}',
    });
    await queue.addBulk([
      { name: 'no-such-job', data: { form: 999 } },
      { name: 'match', data: null },
      { name: 'verify', data: { org_id: '../../x', task_id: {} } },
    ]);
    await queue.close();
  }
};

const poisonedEntries: Fault['inject'] = async (scene) => {
  const { redis, system } = scene;
  const outboxes = await redis.keys('bl:{*}:outbox');
  for (const key of outboxes) {
    await redis.xadd(key, '*', 'd', '{"kind":"task","org_id":', 'f', '1');
    await redis.xadd(key, '*', 'nonsense', 'nonsense');
    await redis.xadd(key, '*', 'd', '{"kind":"no-such-kind"}', 'f', '1');
  }
  await pause(3000);
  const dead = await operatorOf(system).admin.listDeadEntries({ limit: 200 });
  scene.note = `${dead.data.length} dead entries of ${3 * outboxes.length}`;
};

/** Damages the stored records of tasks of another org. */
const poisonedRecords: Fault['inject'] = async (scene) => {
  const { api } = await newOrg(scene.system, 'Damaged');
  await createMany(api, 20, { sla: { urgency: 'critical', target_latency_seconds: 2 } });
  let count = 0;
  for await (const { task_id } of api.tasks.list({ limit: 50 })) {
    const [key] = await keysOf(scene, `*:task:${task_id}`);
    if (key === undefined) continue;
    count += 1;
    await scene.redis.hset(key, ['s', 'z', 'i'][count % 3] ?? 's', 'no record');
  }
  scene.note = `${count} records damaged`;
  await pause(4000);
};

async function keysOf({ redis }: Scene, pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of redis.scanStream({ match: pattern, count: 1000 }) as AsyncIterable<string[]>)
    found.push(...keys);
  return found;
}

export const LOAD_FAULTS: readonly Fault[] = [
  { name: 'poisoned jobs in four queues', inject: poisonedJobs, holdMs: 2000 },
  { name: 'poisoned outbox entries', inject: poisonedEntries },
  { name: 'poisoned records of tasks', inject: poisonedRecords },
  {
    name: 'races of cancel, requeue, update, review, submit, message',
    mix: { raced: 1 },
    inject: () => pause(8000),
  },
  {
    name: 'races while a worker is killed',
    mix: { raced: 1 },
    inject: killed('worker 1'),
    holdMs: 3000,
  },
];
