// The long form of test/e2e/crash.test.ts: more tasks and more kills.

import { expect, test } from 'vitest';
import { runTrial } from './trial.ts';

test('completes and delivers 800 tasks while every part is killed eight times', {
  timeout: 300_000,
}, async () => {
  const trial = await runTrial(800, 8, 280_000);
  console.log(JSON.stringify(trial));
  expect(trial.faults).toEqual([]);
  expect(Math.min(...Object.values(trial.done))).toBeGreaterThan(0);
  expect(trial.completed).toBe(800);
});
