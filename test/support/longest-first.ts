// The order of test files: those that take longest begin first, so that the two workers end at about the same time.
// Vitest does this itself where it remembers earlier runs; a fresh clone has none.
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files of more than about ten seconds, longest first; any other file comes after them. */
const LONGEST = [
  'test/e2e/crash.test.ts',
  'test/processors/webhooks/deliver.test.ts',
  'test/e2e/demo.test.ts',
  'test/api/http/outage.test.ts',
  'test/api/routes/audit/export.test.ts',
  'test/processors/webhooks/order.test.ts',
  'test/api/routes/tasks/task-body.test.ts',
  'test/runtime/startup.test.ts',
  'test/cli/process.test.ts',
  'test/processors/isolation.test.ts',
  'test/api/oauth/sign-in.test.ts',
  'test/e2e/quick-start.test.ts',
  'test/api/access/scope-matrix.test.ts',
  'test/api/http/bodies.test.ts',
  'test/processors/timers.test.ts',
  'test/api/routes/workers/offers.test.ts',
  'test/api/streams/event-streams.test.ts',
  'test/processors/shifted-machine.test.ts',
  'test/api/http/size-limits.test.ts',
  'test/api/oauth/oauth.test.ts',
  'test/api/access/reauthorize.test.ts',
  'test/api/ops/secrets-rotation.test.ts',
  'test/output-schema/pool.test.ts',
  'test/runtime/embedded-redis.test.ts',
  'test/api/access/rate-limits.test.ts',
];

/** Sorts files as Vitest does, but for the longest, which come first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
