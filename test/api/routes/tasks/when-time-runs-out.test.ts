// The walk-through of docs/supervision.md on deadlines and escalations.
import { afterAll, beforeAll, test } from 'vitest';
import { createOrg, createPool, freshName, type Org, startApi, type TestApi } from '../../../support/api.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';

let api: TestApi;
let org: Org;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
});
afterAll(() => api?.close());

test('runs the walk-through of the document', async () => {
  const names = {
    request: freshName('request'),
    deadline: new Date(Date.now() + 4000).toISOString(),
    day_shift: await createPool(org.client),
    night_shift: await createPool(org.client),
  };
  await walk(walkThrough('supervision.md', 'When time runs out'), { requester: org.client }, names);
});
