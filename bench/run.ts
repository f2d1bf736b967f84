// `npm run bench`: prints a table for people, then one JSON document. Every figure stands beside its
// baseline from the same run; compare the ratios, not the figures, with other machines.
// `npm run bench -- --quick` does a tenth of the work.

import { cpus } from 'node:os';
import { bareDeliveries, cost, creates, deliveries, lives, memoryPerTask, settled } from './measures.ts';
import { Client, cardBody, createOrg, setStage } from './stage.ts';

const quick = process.argv.includes('--quick');
const scale = quick ? 0.1 : 1;
const seconds = Math.max(2, Math.round(8 * scale));
const stage = await setStage();
const say = (text: string) => process.stderr.write(`${text}\n`);

try {
  const web = await stage.start('src/web.js');
  const url = String(web.ready.url);
  const api = new Client(url, 60);
  const org = await createOrg(api, 0, 1);

  say('creates …');
  const bare = await stage.start('bench/bare-web.js');
  await creates(`${url}/v1/tasks`, org.api_key, 2, 32);
  await creates(String(bare.ready.url), '', 2, 32);
  const bareCreates = await creates(String(bare.ready.url), '', seconds, 32);
  const ourCreates = await creates(`${url}/v1/tasks`, org.api_key, seconds, 32);
  const createCost = await cost(stage.redis, 500, async () => {
    for (let index = 0; index < 500; index += 1)
      await api.call('POST', '/v1/tasks', org.api_key, cardBody(null));
  });
  await bare.stop();
  await stage.redis.flushall();

  say('deliveries …');
  const count = Math.round(8000 * scale);
  const delivered: Record<string, { ours: number; bare: number; ratio: number }> = {};
  for (const delay of [0, 50, 500]) {
    const bareRate = await bareDeliveries(stage, count, delay);
    const ours = await deliveries(stage, web, count, delay);
    delivered[`${delay}ms`] = { ours: round(ours), bare: round(bareRate), ratio: ratio(ours, bareRate) };
    await stage.redis.flushall();
  }

  say('lives …');
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const crew = await createOrg(api, 30, 4);
  await lives(api, crew, 200, null);
  const many = Math.round(2000 * scale);
  const without = await lives(api, crew, many, null);
  const withHooks = await lives(api, crew, many, target);
  // What the lives above left to be delivered would count as what Redis does idle.
  await settled(stage.redis);
  const lifeCost = await cost(stage.redis, 300, () => lives(api, crew, 300, null));
  const hookedCost = await cost(stage.redis, 300, () => lives(api, crew, 300, target));

  say('memory …');
  const hands = await createOrg(api, 30, 50);
  const memory = await memoryPerTask(stage, api, hands, Math.round(1000 * Math.max(scale, 0.3)), target);
  await Promise.all([worker.stop(), receiver.stop(), web.stop()]);
  await api.close();

  const result = {
    machine: { node: process.version, cpus: cpus().length, redis: 'AOF everysec' },
    creates: {
      ours: ourCreates,
      bare: bareCreates,
      ratio: ratio(ourCreates.per_second, bareCreates.per_second),
    },
    deliveries_per_second: delivered,
    lives_per_second: { without_webhooks: round(without), with_webhooks: round(withHooks) },
    redis_cost: { create: createCost, life: lifeCost, life_with_webhooks: hookedCost },
    memory_bytes_per_finished_task: memory,
  };
  table(result);
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await stage.close();
}

function table(result: {
  creates: {
    ours: { per_second: number; p99_ms: number };
    bare: { per_second: number; p99_ms: number };
    ratio: number;
  };
  deliveries_per_second: Record<string, { ours: number; bare: number; ratio: number }>;
  lives_per_second: { without_webhooks: number; with_webhooks: number };
  redis_cost: Record<string, { commands: number; round_trips: number; bytes_in: number; bytes_out: number }>;
  memory_bytes_per_finished_task: number;
}): void {
  const row = (...cells: (string | number)[]) =>
    say(
      cells
        .map((cell, index) => (index === 0 ? String(cell).padEnd(30) : String(cell).padStart(12)))
        .join(''),
    );
  say('');
  row('', 'ours', 'baseline', 'ratio');
  const { ours, bare, ratio: share } = result.creates;
  row('creates /s', round(ours.per_second), round(bare.per_second), share);
  row('creates p99 ms', ours.p99_ms, bare.p99_ms, '');
  for (const [delay, one] of Object.entries(result.deliveries_per_second))
    row(`deliveries /s, receiver ${delay}`, one.ours, one.bare, one.ratio);
  row('lives /s', result.lives_per_second.without_webhooks);
  row('lives /s with webhooks', result.lives_per_second.with_webhooks);
  say('');
  row('Redis, a task', 'commands', 'round trips', 'bytes in', 'bytes out');
  for (const [name, one] of Object.entries(result.redis_cost))
    row(name.replaceAll('_', ' '), one.commands, one.round_trips, one.bytes_in, one.bytes_out);
  say('');
  row('memory, a finished task', `${result.memory_bytes_per_finished_task} B`);
  say('');
}

function ratio(ours: number, bare: number): number {
  return Math.round((ours / bare) * 100) / 100;
}

function round(value: number): number {
  return Math.round(value);
}
