// `npm run bench -- account`: what each step of a task costs in Redis and in CPU time, as a Markdown table.

import { lowerQuartile } from './budget.ts';
import { type Life, LifeSeries, type StepCost, stepCosts, total } from './life-steps.ts';
import { quantile } from './rounds.ts';
import { startBenchEnvironment } from './stage.ts';

const WEBHOOKS = 9;
const COUNTS = ['commands', 'round_trips', 'bytes_in', 'bytes_out'] as const;
const CPU = ['cpu_us', 'web_us', 'worker_us'] as const;

/** Measures `count` lives of each kind. @returns the lines of the table */
export async function measureAccount(count: number): Promise<string[]> {
  const stage = await startBenchEnvironment();
  try {
    const series = await LifeSeries.start(stage);
    await series.measure(count);
    await series.stop();
    const without = costs(series.lives.without);
    const hooked = costs(series.lives.hooked);
    const deliveries = combine(total(hooked), total(without), (one, other) => (one - other) / WEBHOOKS);
    return [
      '| step | commands | round trips | bytes in | bytes out | µs of Redis | µs of the web process | µs of the worker process |',
      '| --- | --- | --- | --- | --- | --- | --- | --- |',
      ...[...without].map(([name, cost]) => line(name, cost)),
      line('**a life without webhooks**', total(without)),
      line('a delivery (a ninth of the difference)', deliveries),
      line('**a life with nine webhooks**', total(hooked)),
    ];
  } finally {
    await stage.close();
  }
}

/** Counts without what ran beside some of the lives; CPU times vary on both sides, so their medians. */
function costs(lives: readonly Life[]): Life {
  const counts = stepCosts(lives, lowerQuartile);
  const times = stepCosts(lives, (values) => quantile(values, 0.5));
  return new Map(
    [...counts].map(([name, count]) => {
      const { cpu_us, web_us, worker_us } = times.get(name) ?? count;
      return [name, { ...count, cpu_us, web_us, worker_us }];
    }),
  );
}

function combine(one: StepCost, other: StepCost, how: (one: number, other: number) => number): StepCost {
  const result = { ...one };
  for (const field of [...COUNTS, ...CPU]) result[field] = how(one[field], other[field]);
  return result;
}

function line(name: string, cost: StepCost): string {
  const counts = COUNTS.map((field) => Math.round(cost[field]));
  // The readings between the steps cost Redis about as much as a step, so its times are good to two digits at most.
  const times = CPU.map((field) => Math.max(0, Math.round(cost[field] / 10) * 10));
  return `| ${[name, ...counts, ...times].join(' | ')} |`;
}
