// Failovers behind sentinels, in the long form; the short one is test/e2e/sentinel.test.ts.

import { expect, test } from 'vitest';
import { runSentinelTrial } from './sentinel-trial.ts';

test('no acknowledged create is lost when another node becomes the primary', async () => {
  const trial = await runSentinelTrial({
    tasks: 600,
    failovers: ['killed', 'by hand', 'killed with a frozen replica'],
    replicas: 2,
    limit: 280_000,
  });
  console.log(JSON.stringify(trial));
  expect(trial).toMatchObject({ faults: [], acknowledged: 600, steps: 3 });
});
