// What idle processes ask of Redis: a worker process sends at most 100 commands a second with the queues in 16 shards, also on a
// cluster; and a web process with two worker processes cost at most 200, those within scripts included, while many tasks wait
// for a worker who is not there. FAULT_WAITING sets the number of these tasks.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { startCluster } from '../support/cluster.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';
import { newOrg } from './suite/scene.ts';
import { createMany } from './suite/size-faults.ts';
import { startSystem } from './system.ts';

const SECONDS = 30;
const WAITING = Number(process.env.FAULT_WAITING ?? 100_000);
/** Matching queues in which they wait. */
const QUEUES = 2001;
/** Most time until what was created is relayed, ms. */
const SETTLED_WITHIN = 300_000;

/** Commands a second that an idle worker process sends to these servers. */
async function sentBySecond(url: string, servers: readonly string[]): Promise<number> {
  const worker = startProcess(process.execPath, ['dist/src/worker.js'], {
    REDIS_URL: url,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    QUEUE_SHARDS: '16',
  });
  await worker.ready;
  // Until the workers have found their queues empty.
  await sleep(5000);
  let sent = 0;
  for (const server of servers) {
    const redis = new Redis(server);
    const monitor = await redis.monitor();
    // The commands that scripts call are not sent by the process.
    monitor.on('monitor', (_time: string, _args: string[], source: string) => {
      if (source !== 'lua') sent += 1;
    });
    onTestFinished(() => {
      monitor.disconnect();
      redis.disconnect();
    });
  }
  await sleep(SECONDS * 1000);
  return sent / SECONDS;
}

test('an idle worker process of 16 shards sends at most 100 commands a second', async () => {
  const own = await startOwnRedis();
  onTestFinished(() => own.stop());
  const sent = await sentBySecond(own.url, [own.url]);
  expect(sent).toBeGreaterThan(10);
  expect(sent).toBeLessThan(100);
}, 90_000);

test('on a cluster too', async () => {
  const cluster = await startCluster({ replicas: 0 });
  onTestFinished(() => cluster.stop());
  const servers = cluster.nodes.map(({ port }) => `redis://127.0.0.1:${port}`);
  const sent = await sentBySecond(cluster.url, servers);
  expect(sent).toBeGreaterThan(10);
  expect(sent).toBeLessThan(100);
}, 120_000);

/** Commands that Redis carries out in a second, those that scripts call included. */
async function carriedOutBySecond(redis: Redis, seconds: number): Promise<number> {
  const total = async () => {
    const all = (await redis.info('commandstats')).matchAll(/^cmdstat_[^:]+:calls=(\d+)/gm);
    return [...all].reduce((sum, [, calls]) => sum + Number(calls), 0);
  };
  const before = await total();
  await sleep(seconds * 1000);
  return ((await total()) - before) / seconds;
}

test(
  `${WAITING} tasks in ${QUEUES} matching queues beside a ready worker who fits none cost at most 200 commands a second`,
  async () => {
    const system = await startSystem();
    onTestFinished(() => system.stop());
    const redis = new Redis(system.redisUrl);
    onTestFinished(() => redis.disconnect());
    const { api } = await newOrg(system, 'Waiting');
    await api.workers.create({ name: 'Fits none', availability: 'available' });
    const skills = Array.from({ length: QUEUES }, (_, at) => `skill_${at}`).values();
    const create = async () => {
      for (const skill of skills)
        await createMany(api, Math.ceil(WAITING / QUEUES), { requirements: { skills: [skill] } });
    };
    await Promise.all([create(), create(), create()]);
    const [index = ''] = await redis.keys('bl:*:queues');
    expect(await redis.zcard(index)).toBe(QUEUES);
    let commands = Number.POSITIVE_INFINITY;
    for (const end = Date.now() + SETTLED_WITHIN; commands > 500 && Date.now() < end; )
      commands = await carriedOutBySecond(redis, 5);
    commands = await carriedOutBySecond(redis, SECONDS);
    console.log(
      `${WAITING} waiting tasks, ${QUEUES} matching queues: ${commands.toFixed(0)} commands a second`,
    );
    expect(commands).toBeGreaterThan(5);
    expect(commands).toBeLessThan(200);
  },
  30 * 60_000,
);
