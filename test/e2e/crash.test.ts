// Nothing lost, nothing doubled: 500 tasks live their lives while every part of the system is killed with
// SIGKILL and comes back. The longer runs are `npm run faults`.

import { expect, test } from 'vitest';
import { runTrial } from '../faults/trial.ts';

test('500 tasks survive the kill of every part', { timeout: 200_000 }, async () => {
  const trial = await runTrial(500, 2, 180_000);
  expect(trial.faults).toEqual([]);
  expect(trial.completed).toBe(500);
  expect(Math.min(...Object.values(trial.kills))).toBeGreaterThan(0);
});
