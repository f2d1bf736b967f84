// The long form of test/e2e/crash.test.ts: more tasks and more kills.

import { expect, test } from 'vitest';
import { runTrial } from './trial.ts';

test('completes and delivers 2000 tasks while every part is killed fifteen times', {
  timeout: 600_000,
}, async () => {
  const trial = await runTrial(2000, 15, 540_000);
  console.log(JSON.stringify(trial));
  expect(trial.faults).toEqual([]);
  expect(trial.completed).toBe(2000);
});
