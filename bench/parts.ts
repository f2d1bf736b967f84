// The parts of the benchmark. Each starts the processes it needs, measures, stops them, and returns its figures and the
// rows of the printed table.

import {
  bareDeliveries,
  besideHanging,
  type Delivered,
  deliveries,
  latencyAtHalfLoad,
} from './deliveries.ts';
import { measureDurability } from './durability.ts';
import { measureFairness } from './fairness.ts';
import { measureAttack } from './hostile.ts';
import { measureMatching } from './matching.ts';
import {
  type Cell,
  type Cost,
  cost,
  creates,
  emptied,
  lives,
  type Measured,
  memoryPerTask,
  type Rate,
  settled,
} from './measures.ts';
import { finishedTasks, leftToPurge, makeDue, purgedDownTo, steadyP99 } from './purge.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody } from './stage.ts';
import { measureStats } from './stats.ts';
import { measureStreams } from './streams.ts';

/** @param scale 1 for a full run; a smaller value does less work. */
type Part = (stage: BenchEnvironment, scale: number) => Promise<Measured>;

/** All parts by their name on the command line, in the order in which they run. */
export const PARTS: Record<string, Part> = {
  creates: measureCreates,
  durability: measureDurability,
  deliveries: measureDeliveries,
  latency: measureLatency,
  hanging: measureHanging,
  lives: measureLives,
  memory: measureMemory,
  purge: measurePurge,
  hostile: measureHostile,
  matching: measureMatching,
  fairness: measureFairness,
  streams: measureStreams,
  stats: measureStats,
};

/** Goal: 0.6 of the rate of the same work without the service; a baseline with minimal records is measured too. */
async function measureCreates(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const seconds = Math.max(2, Math.round(8 * scale));
  const { web, url, api } = await startApi(stage);
  const bare = await stage.start('bench/bare-web.js');
  const target = `${url}/v1/tasks`;
  const same = `${bare.ready.url}/same`;
  const least = `${bare.ready.url}/least`;
  const rates: [url: string, rate: Rate][] = [];
  // Alternating, because the speed of the machine varies within seconds. Each on an empty Redis and after a warm-up of the
  // same length: V8 has no optimised code in a new process, and drops it in an idle one.
  for (const one of [same, least, target, target, least, same]) {
    await emptied(stage.redis);
    const credential = one === target ? (await createOrg(api, 0, 1)).api_key : '';
    await creates(one, credential, seconds, 32);
    rates.push([one, await creates(one, credential, seconds, 32)]);
  }
  const org = await createOrg(api, 0, 1);
  const price = await cost(stage.redis, 500, async () => {
    for (let index = 0; index < 500; index += 1)
      await api.call('POST', '/v1/tasks', org.api_key, exampleTaskBody(null));
  });
  await Promise.all([bare.stop(), web.stop(), api.close()]);
  const meanOf = (which: string) => mean(rates.flatMap(([one, rate]) => (one === which ? [rate] : [])));
  const [ours, bareSame, bareLeast] = [meanOf(target), meanOf(same), meanOf(least)];
  const rateRow = (what: string, { per_second }: Rate): Cell[] => [
    what,
    ours.per_second,
    per_second,
    ratio(ours.per_second, per_second),
  ];
  return {
    figures: { ours, bare: { same: bareSame, least: bareLeast }, redis_cost: price },
    rows: [
      rateRow('creates /s (base: the same records, barely)', bareSame),
      rateRow('creates /s (base: one hash, three sets, a stream)', bareLeast),
      ['creates p99 ms (base: the same records, barely)', ours.p99_ms, bareSame.p99_ms, ''],
      ...costRows('create', price),
    ],
  };
}

/** Goals: 0.6 of the rates of the baseline; 95 % of requests on reused connections. */
async function measureDeliveries(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const count = Math.round(8000 * scale);
  const figures: Record<
    string,
    { ours: Delivered; bare: Delivered; ratio: number; cpu_ratio: number | null }
  > = {};
  for (const delay of [0, 50, 500]) {
    const bare = await bareDeliveries(stage, count, delay);
    const ours = await deliveries(stage, web, count, delay);
    const hasCpu = ours.per_cpu_second !== null && bare.per_cpu_second !== null;
    figures[`${delay}ms`] = {
      ours: rounded(ours),
      bare: rounded(bare),
      ratio: ratio(ours.per_second, bare.per_second),
      cpu_ratio: hasCpu ? ratio(ours.per_cpu_second ?? 0, bare.per_cpu_second ?? 1) : null,
    };
    await stage.redis.flushall();
  }
  await Promise.all([web.stop(), api.close()]);
  return {
    figures,
    rows: Object.entries(figures).flatMap(([delay, { ours, bare, ratio, cpu_ratio }]): Cell[][] => [
      [`deliveries /s, receiver ${delay}`, ours.per_second, bare.per_second, ratio],
      ['  by a second of CPU', ours.per_cpu_second ?? '', bare.per_cpu_second ?? '', cpu_ratio ?? ''],
      ['  share on open connections', ours.reuse, bare.reuse, ''],
    ]),
  };
}

/** Goal: a p99 of 50 ms at half of the highest rate. */
async function measureLatency(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const latency = await latencyAtHalfLoad(stage, web, Math.max(3, Math.round(15 * scale)));
  await Promise.all([web.stop(), api.close()]);
  return {
    figures: latency,
    rows: [
      [`ms from commit to first byte, p99, ${Math.round(latency.per_second)} /s`, latency.p99_ms, '', ''],
      ['ms from commit to first byte, p50', latency.p50_ms, '', ''],
    ],
  };
}

/** Goal: with an endpoint that hangs and 10 000 queued deliveries, the p99 is at most twice the p99 without them. */
async function measureHanging(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const queued = Math.round(10_000 * Math.max(scale, 0.3));
  const seconds = Math.max(5, Math.round(20 * scale));
  const { alone, beside, attempted } = await besideHanging(stage, web, queued, seconds);
  await Promise.all([web.stop(), api.close()]);
  const worse = ratio(beside.p99_ms, alone.p99_ms);
  return {
    figures: { queued, attempted, alone, beside, ratio: worse },
    rows: [
      ['ms to a healthy endpoint beside a hanging one, p99', beside.p99_ms, alone.p99_ms, worse],
      ['ms to a healthy endpoint beside a hanging one, p50', beside.p50_ms, alone.p50_ms, ''],
    ],
  };
}

function rounded({ per_second, per_cpu_second, reuse }: Delivered): Delivered {
  return {
    per_second: Math.round(per_second),
    per_cpu_second: per_cpu_second === null ? null : Math.round(per_cpu_second),
    reuse: Math.round(reuse * 1000) / 1000,
  };
}

async function measureLives(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const crew = await createOrg(api, 30, 4);
  await lives(api, crew, 200, null);
  const many = Math.round(2000 * scale);
  const without = Math.round(await lives(api, crew, many, null));
  // What the first run left to do would slow down the second.
  await settled(stage.redis);
  const withHooks = Math.round(await lives(api, crew, many, target));
  // Remaining deliveries would count as the cost of an idle system.
  await settled(stage.redis);
  const life = await cost(stage.redis, 300, () => lives(api, crew, 300, null));
  const hooked = await cost(stage.redis, 300, () => lives(api, crew, 300, target));
  await Promise.all([worker.stop(), receiver.stop(), web.stop(), api.close()]);
  return {
    figures: {
      per_second: { without_webhooks: without, with_webhooks: withHooks },
      redis_cost: { without_webhooks: life, with_webhooks: hooked },
    },
    rows: [
      ['lives /s', without, '', ''],
      ['lives /s with webhooks', withHooks, '', ''],
      ...costRows('life', life),
      ...costRows('life with webhooks', hooked),
    ],
  };
}

async function measureMemory(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const org = await createOrg(api, 30, 50);
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const bytes = await memoryPerTask(stage, api, org, Math.round(1000 * Math.max(scale, 0.3)), target);
  await Promise.all([worker.stop(), receiver.stop(), web.stop(), api.close()]);
  return {
    figures: { bytes_per_finished_task: bytes },
    rows: [['bytes of a finished task', bytes, '', '']],
  };
}

/** Goal: the p99 while 10 000 tasks are purged is at most 1.5 times the p99 without. */
async function measurePurge(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const org = await createOrg(api, 0, 1);
  const worker = await stage.start('src/worker.js');
  const seconds = Math.max(5, Math.round(20 * scale));
  await finishedTasks(api, org, Math.round(10_000 * scale));
  await settled(stage.redis);
  await steadyP99(url, org, 2);
  const before = await steadyP99(url, org, seconds);
  const count = await makeDue(stage);
  await purgedDownTo(stage, count - 1);
  const start = performance.now();
  const during = await steadyP99(url, org, seconds);
  const purged = count - (await leftToPurge(stage));
  const rate = Math.round((purged * 1000) / (performance.now() - start));
  await purgedDownTo(stage, 0);
  const after = await steadyP99(url, org, seconds);
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const without = (before + after) / 2;
  const figures = { p99_ms: { without, during }, ratio: ratio(during, without), purged, per_second: rate };
  return {
    figures,
    rows: [
      ['create p99 ms while tasks are purged', during, without, figures.ratio],
      ['tasks purged meanwhile', purged, '', ''],
    ],
  };
}

async function measureHostile(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const attacked = await measureAttack(url, api, Math.max(5, Math.round(20 * scale)));
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const { during, without } = attacked.p99_ms;
  return {
    figures: attacked,
    rows: [
      ['create p99 ms under hostile schemas and outputs', during, without, ratio(during, without)],
      ['hostile requests meanwhile, by status', JSON.stringify(attacked.answers), '', ''],
    ],
  };
}

async function startApi(stage: BenchEnvironment): Promise<{ web: Child; url: string; api: Client }> {
  const web = await stage.start('src/web.js');
  const url = String(web.ready.url);
  return { web, url, api: new Client(url, 60) };
}

function costRows(what: string, price: Cost): Cell[][] {
  return [
    [`Redis commands, a ${what}`, price.commands, '', ''],
    [`Redis round trips, a ${what}`, price.round_trips, '', ''],
    [`Redis bytes in, a ${what}`, price.bytes_in, '', ''],
    [`Redis bytes out, a ${what}`, price.bytes_out, '', ''],
  ];
}

function mean(all: Rate[]): Rate {
  const of = (name: keyof Rate) =>
    Math.round((all.reduce((sum, one) => sum + one[name], 0) / all.length) * 10) / 10;
  return { per_second: of('per_second'), p50_ms: of('p50_ms'), p99_ms: of('p99_ms') };
}

function ratio(ours: number, bare: number): number {
  return Math.round((ours / bare) * 100) / 100;
}
