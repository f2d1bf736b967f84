// A master is killed while tasks are created, done and delivered on a Redis Cluster. The long form, which also moves slots and
// adds a node, is test/faults/cluster.test.ts.

import { expect, test } from 'vitest';
import { runClusterTrial } from '../faults/cluster-trial.ts';

test('no acknowledged create is lost or doubled when the master with the queues is killed', {
  timeout: 60_000,
}, async () => {
  const trial = await runClusterTrial({
    tasks: 100,
    orgs: 6,
    events: ['queues killed'],
    durability: 'replicated',
    limit: 55_000,
  });
  expect(trial).toMatchObject({ faults: [], acknowledged: 100, steps: 1 });
});
