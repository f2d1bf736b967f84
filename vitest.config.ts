// The suite of `npm test`: everything that is over within seconds, on one Redis of its own that starts
// before the first file and is gone after the last. The long runs are in vitest.faults.config.ts.
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  // Packages of this repository are loaded from their sources. Others have sources, too, under the usual name.
  ssr: { resolve: { conditions: ['biolayer-source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/faults/**'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Tests wait about as long as they compute: three workers leave an eighth of two cores idle.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // The files of a worker share loaded modules: loading the app anew for each was a third of the suite's time.
    isolate: false,
    // Later runs read the JavaScript of unchanged files from node_modules.
    experimental: { fsModuleCache: true },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // CI runs on shared machines, which pause for longer than some tests allow. A test that fails twice is a fault.
    retry: process.env.CI === 'true' ? 1 : 0,
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
