// Faults of what the system is given: poisoned jobs, entries and records, races, many timers at once, a large tenant.

import type { BioLayer, CreateTaskBody } from '@biolayer/sdk';
import { Queue } from 'bullmq';
import { type Fault, killed, newOrg, operatorOf, pause, type Scene } from './scene.ts';

/** Most tasks of a batch. */
const BATCH = 500;
const TIMERS = 1000;
const LARGE_TENANT = 3000;
/** Lateness of a breach that is a finding, s: the checks of other tenants wait behind these. */
const LATE = 20;

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

async function createMany(api: BioLayer, count: number, more: Partial<CreateTaskBody>): Promise<void> {
  for (let first = 0; first < count; first += BATCH) {
    const tasks = Array.from({ length: Math.min(BATCH, count - first) }, (_, at) => body(first + at, more));
    await api.tasks.createBatch({ tasks });
  }
}

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

/** Clocks of many tasks that are due within a second: each breach happens once. */
const manyTimers: Fault['inject'] = async (scene) => {
  const { api } = await newOrg(scene.system, 'Timers');
  const due = 12 - (Date.now() % 1000) / 1000;
  const deadline = new Date(Date.now() + due * 1000).toISOString();
  await createMany(api, TIMERS, {
    sla: { urgency: 'low', deadline },
    // Nobody does them, so that they also fail at the deadline.
    requirements: { skills: ['none'] },
  });
  return async () => {
    const breached = new Map<string, number>();
    let latest = 0;
    const end = performance.now() + 60_000;
    while (breached.size < TIMERS && performance.now() < end) {
      await pause(500);
      breached.clear();
      for await (const event of api.events.list({ types: ['task.sla_breached'], limit: 200 })) {
        const { task_id, at } = event as unknown as { task_id: string; at: string };
        breached.set(task_id, (breached.get(task_id) ?? 0) + 1);
        latest = Math.max(latest, (Date.parse(at) - Date.parse(deadline)) / 1000);
      }
    }
    if (breached.size !== TIMERS) scene.findings.push(`${breached.size} of ${TIMERS} clocks were breached`);
    const more = [...breached.values()].filter((count) => count !== 1).length;
    if (more > 0) scene.findings.push(`${more} clocks were breached more than once`);
    if (latest > LATE) scene.findings.push(`a breach was ${latest} s late`);
    scene.note = `${TIMERS} clocks, the last breach ${latest.toFixed(1)} s late`;
  };
};

const largeTenant: Fault['inject'] = async (scene) => {
  const { api } = await newOrg(scene.system, 'Large');
  for (let nth = 0; nth < 10; nth += 1)
    await api.workers.create({ worker_id: `w${nth}`, name: 'W', capacity: 5, availability: 'available' });
  await createMany(api, LARGE_TENANT, {});
  scene.note = `${LARGE_TENANT} tasks of another org`;
  await pause(4000);
};

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
  { name: `${TIMERS} deadlines due at once`, inject: manyTimers, holdMs: 10_000 },
  { name: `a tenant with ${LARGE_TENANT} tasks beside a small one`, inject: largeTenant },
];
