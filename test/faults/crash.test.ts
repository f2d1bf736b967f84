// The long form of test/e2e/crash.test.ts: more tasks and more kills.

import { expect, test } from 'vitest';
import { runTrial } from './trial.ts';

test('completes and delivers 1200 tasks while every part is killed ten times', {
  timeout: 400_000,
}, async () => {
  const trial = await runTrial(1200, 10, 360_000);
  console.log(JSON.stringify(trial));
  expect(trial.faults).toEqual([]);
  expect(Math.min(...Object.values(trial.done))).toBeGreaterThan(0);
  expect(trial.completed).toBe(1200);
});
