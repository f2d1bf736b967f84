// The tests that `npm run test:cluster` and `npm run test:sentinel` repeat on a Redis Cluster and behind sentinels: those
// of the API, the clients and the processors, and the demo. TEST_TOPOLOGY names the topology; see
// `test/support/global-setup.ts`.
import { defineConfig } from 'vitest/config';
import suite from './vitest.config.ts';

/** On a cluster alone. */
const OF_ONE_SERVER = [
  // They look at the keys of all servers, which other files change: a cluster has no second database.
  'test/api/http/bodies.test.ts',
  'test/api/routes/tasks/task-body.test.ts',
  'test/api/routes/workers/match.test.ts',
  // They watch or hold the commands of one connection.
  'test/api/routes/workers/{submit-race,drafts}.test.ts',
  // It expects what `doctor` says of one server.
  'test/cli/doctor.test.ts',
  // They run a relay alone, on a connection to one server.
  'test/processors/{relay,isolation,matching}.test.ts',
];

export default defineConfig({
  ...suite,
  test: {
    ...suite.test,
    include: ['test/{api,cli,mcp,sdk,processors,e2e,simulation,store/archive}/**/*.test.ts'],
    exclude: [
      // They start their own Redis, or none.
      'test/e2e/{cluster,sentinel,crash,quick-start,portal}.test.ts',
      // It counts the commands of a connection to one server.
      'test/api/access/fairness.test.ts',
      // They put a proxy between the API and one server.
      'test/api/access/{credential-guards,removed-ids}.test.ts',
      'test/api/middleware/lost-answers.test.ts',
      'test/api/routes/tasks/task-batch.test.ts',
      ...(process.env.TEST_TOPOLOGY === 'cluster' ? OF_ONE_SERVER : []),
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
