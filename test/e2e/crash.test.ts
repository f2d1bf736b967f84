// Every part of the system is killed with SIGKILL while tasks are created, done and delivered; no effect is lost or
// doubled. The long form, with 800 tasks and more kills, is test/faults/crash.test.ts.

import { expect, test } from 'vitest';
import { runTrial } from '../faults/trial.ts';

test('completes and delivers 70 tasks while every part is killed', { timeout: 200_000 }, async () => {
  const trial = await runTrial(70, 1, 180_000);
  expect(trial.faults).toEqual([]);
  expect(Math.min(...Object.values(trial.done))).toBeGreaterThan(0);
  expect(trial.completed).toBe(70);
  expect(Math.min(...Object.values(trial.kills))).toBeGreaterThan(0);
});
