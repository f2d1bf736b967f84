// What happens to a Redis Cluster under load, in the long form; the short one is test/e2e/cluster.test.ts.

import { expect, test } from 'vitest';
import { runClusterTrial } from './cluster-trial.ts';

test('nothing is lost or doubled when masters are killed or frozen, slots move and a node is added', async () => {
  const trial = await runClusterTrial({
    tasks: 600,
    orgs: 12,
    events: [
      'master killed',
      'slots moved to a new node',
      'master frozen',
      'queues taken over by hand',
      'queues moved',
      'queues killed',
    ],
    durability: 'replicated',
    limit: 280_000,
  });
  console.log(JSON.stringify(trial));
  expect(trial).toMatchObject({ faults: [], acknowledged: 600, steps: 6 });
});
