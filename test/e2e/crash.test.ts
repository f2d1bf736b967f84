// Nothing lost, nothing doubled: tasks live their lives while every part of the system is killed with SIGKILL
// and comes back. The long run, with 2000 tasks and more kills, is in test/faults/crash.test.ts.

import { expect, test } from 'vitest';
import { runTrial } from '../faults/trial.ts';

test('150 tasks survive the kill of every part', { timeout: 200_000 }, async () => {
  const trial = await runTrial(150, 1, 180_000);
  expect(trial.faults).toEqual([]);
  expect(trial.completed).toBe(150);
  expect(Math.min(...Object.values(trial.kills))).toBeGreaterThan(0);
});
