// The primary is killed while tasks are created, done and delivered behind sentinels. The long form, with a frozen
// replica, is test/faults/sentinel.test.ts.

import { expect, test } from 'vitest';
import { runSentinelTrial } from '../faults/sentinel-trial.ts';

test('no acknowledged create is lost in a failover, and all tasks end without a restart', {
  timeout: 60_000,
}, async () => {
  const trial = await runSentinelTrial({ tasks: 100, failovers: ['killed'], replicas: 1, limit: 55_000 });
  expect(trial).toMatchObject({ faults: [], acknowledged: 100, steps: 1 });
});
