// The tests that `npm run test:cluster` and `npm run test:sentinel` repeat on a Redis Cluster and behind sentinels: those
// of the API, the clients and the processors, and the demo. TEST_TOPOLOGY names the topology; see
// `test/support/global-setup.ts`.
import { defineConfig } from 'vitest/config';
import suite from './vitest.config.ts';

export default defineConfig({
  ...suite,
  test: {
    ...suite.test,
    include: ['test/{api,cli,mcp,sdk,processors,e2e,simulation,store/archive}/**/*.test.ts'],
    exclude: [
      // They start their own Redis, or none.
      'test/e2e/{cluster,sentinel,crash,quick-start,portal}.test.ts',
    ],
    // Seven or more Redis processes share the machine with the tests.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
});
