// The walk-through of docs/supervision.md on deadlines and escalations.
import { test } from 'vitest';
import { createPool, freshName, startApiOfFile } from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';

const { org } = await startApiOfFile({ processors: true });

test('runs the walk-through of the document', async () => {
  const names = {
    request: freshName('request'),
    deadline: new Date(Date.now() + 4000).toISOString(),
    day_shift: await createPool(org.client),
    night_shift: await createPool(org.client),
  };
  await walk(walkThrough('supervision.md', 'When time runs out'), { requester: org.client }, names);
});
