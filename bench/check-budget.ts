// `script/check-budget`: measures what a create and a whole life cost in Redis, and what a finished task and a pending timer take
// there, and compares it with bench/budget.json. Exit code 1 when a budget is exceeded. `--write` makes the measured figures the budget.

import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Budget, compareWithBudget, usualCosts } from './budget.ts';
import { LifeSeries } from './life-steps.ts';
import { measureTaskMemory, taskBytes } from './memory.ts';
import { type BenchEnvironment, startBenchEnvironment } from './stage.ts';

const FILE = 'bench/budget.json';
/** Lives that are measured; as many again, up to the most, while a budget seems to be exceeded. */
const LIVES = 6;
const MOST_LIVES = 18;
/** Tasks whose memory is measured, after as many others. */
const TASKS = 256;

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const budget = JSON.parse(await readFile(FILE, 'utf8')) as Budget;
const stored = await withStage(async (stage) => {
  const memory = await measureTaskMemory(stage, TASKS);
  return {
    finished_task: { stored_bytes: Math.round(taskBytes(memory)) },
    pending_timer: { stored_bytes: Math.round(memory.timer) },
  };
});
await withStage(async (stage) => {
  const series = await LifeSeries.start(stage);
  const least = values.write ? MOST_LIVES : LIVES;
  let lines = compareWithBudget(budget, budget);
  let measured = budget;
  do {
    await series.measure(LIVES);
    measured = { ...usualCosts(series.lives), ...stored };
    lines = compareWithBudget(measured, budget);
  } while (
    series.lives.hooked.length < least ||
    (series.lives.hooked.length < MOST_LIVES && lines.some(({ verdict }) => verdict === 'exceeded'))
  );
  await series.stop();
  const cells = lines.map((one) => [one.row, one.field, one.measured, one.budget, one.verdict]);
  for (const [row, field, ...rest] of [['', 'Redis', 'measured', 'budget', ''], ...cells])
    print(
      `${`${row}`.padEnd(20)}${`${field}`.padEnd(14)}${rest.map((one) => `${one}`.padStart(10)).join('  ')}`,
    );
  const has = (verdict: string) => lines.some((line) => line.verdict === verdict);
  if (values.write) await writeFile(FILE, `${JSON.stringify(measured, null, 2)}\n`);
  else if (has('exceeded')) {
    print(
      `\nA budget is exceeded. Find the new command, or raise the budget with a reason: script/check-budget --write`,
    );
    process.exitCode = 1;
  } else if (has('could be lowered')) print('\nA budget could be lowered: script/check-budget --write');
});

/** Each measurement has its own Redis. */
async function withStage<T>(work: (stage: BenchEnvironment) => Promise<T>): Promise<T> {
  const stage = await startBenchEnvironment();
  try {
    return await work(stage);
  } finally {
    await stage.close();
  }
}

function print(text: string): void {
  process.stdout.write(`${text.trimEnd()}\n`);
}
