// The long run: more tasks, and every part killed again and again.

import { expect, test } from 'vitest';
import { runTrial } from './trial.ts';

test('2000 tasks survive fifteen kills of every part', { timeout: 600_000 }, async () => {
  const trial = await runTrial(2000, 15, 540_000);
  console.log(JSON.stringify(trial));
  expect(trial.faults).toEqual([]);
  expect(trial.completed).toBe(2000);
});
