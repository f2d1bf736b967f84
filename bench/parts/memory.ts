// Redis memory of a finished task, in all and by families of keys, and of a pending timer. The baseline is the task and its
// history as the API returns them, as two strings. Bytes are exact, so one round is enough.

import { usedMemory } from '../measures.ts';
import { measureTaskMemory } from '../memory.ts';
import { type Measured, row, type Size } from '../rounds.ts';
import type { BenchEnvironment } from '../stage.ts';

const TASKS = 2048;
const TASKS_OF_QUICK_RUN = 256;

export async function measureMemory(stage: BenchEnvironment, { scale }: Size): Promise<Measured> {
  const tasks = scale < 1 ? TASKS_OF_QUICK_RUN : TASKS;
  const { used, families, timer, task, history } = await measureTaskMemory(stage, tasks);
  const before = await usedMemory(stage.redis);
  for (let index = 0; index < tasks; index += 1) {
    await stage.redis.set(`bare:task:${index}`, JSON.stringify(task));
    await stage.redis.set(`bare:history:${index}`, JSON.stringify(history));
  }
  const bare = ((await usedMemory(stage.redis)) - before) / tasks;
  const base = { what: 'task and history as JSON', values: [bare] };
  return {
    rows: [
      row(['Redis memory of a finished task', 'bytes', 'lower'], [used], base, '≤ 3000'),
      ...[...families].map(([family, bytes]) => row([`of that, ${family}`, 'bytes', 'lower'], [bytes])),
      row(['Redis memory of a pending SLA timer', 'bytes', 'lower'], [timer], null, '≤ 500'),
    ],
  };
}
