// The long runs of `npm run faults`: processes killed, Redis taken away and brought back, minutes of load.
// One file at a time, since each of them wants the machine to itself.
import { defineConfig } from 'vitest/config';

const MINUTE = 60_000;

export default defineConfig({
  ssr: { resolve: { conditions: ['biolayer-source'] } },
  test: {
    include: ['test/faults/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 5 * MINUTE,
    hookTimeout: 5 * MINUTE,
    retry: 0,
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
