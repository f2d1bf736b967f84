// Sorts test files so that the longest start first and the workers end at about the same time. Vitest does this
// itself when it has results of earlier runs, which a fresh clone does not have.
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take more than about ten seconds, longest first. */
const LONGEST = [
  'test/api/access/scope-matrix.test.ts',
  'test/api/http/outage.test.ts',
  'test/mcp/stdio.test.ts',
  'test/pages/console-webhooks.test.ts',
  'test/e2e/crash.test.ts',
  'test/pages/work-proofs.test.ts',
  'test/pages/console-workers.test.ts',
  'test/pages/console-tasks.test.ts',
  'test/e2e/demo.test.ts',
  'test/e2e/sentinel.test.ts',
  'test/api/ops/readiness.test.ts',
  'test/processors/webhooks/order.test.ts',
  'test/pages/console-access.test.ts',
  'test/cli/process.test.ts',
  'test/e2e/cluster.test.ts',
  'test/e2e/quick-start.test.ts',
  'test/processors/shifted-machine.test.ts',
  'test/api/docs/page.test.ts',
  'test/processors/webhooks/deliver.test.ts',
  'test/pages/work-faults.test.ts',
  'test/api/http/size-limits.test.ts',
  'test/pages/console-task.test.ts',
  'test/runtime/startup.test.ts',
  'test/cli/simulate.test.ts',
  'test/api/routes/tasks/copies.test.ts',
  'test/pages/console-overview.test.ts',
  'test/api/routes/workers/offers.test.ts',
  'test/api/ops/secrets-rotation.test.ts',
  'test/api/access/reauthorize.test.ts',
  'test/backup.test.ts',
  'test/pages/work.test.ts',
  'test/mcp/tools.test.ts',
  'test/runtime/worker-status.test.ts',
  'test/api/streams/event-streams.test.ts',
  'test/api/access/rate-limits.test.ts',
  'test/output-schema/thread-pool.test.ts',
  'test/store/commands/escalate-task.test.ts',
  'test/pages/console-review.test.ts',
  'test/e2e/portal.test.ts',
  'test/api/access/credential-guards.test.ts',
  'test/store/redis/durability.test.ts',
  'test/processors/lifecycle.test.ts',
  'test/output-schema/fairness.test.ts',
  'test/api/routes/tasks/task-batch.test.ts',
  'test/runtime/embedded-redis.test.ts',
  'test/api/middleware/cross-origin.test.ts',
  'test/store/redis/sentinels.test.ts',
  'test/api/routes/tasks/task-types.test.ts',
  'test/api/routes/tasks/requeue.test.ts',
  'test/pages/work-settings.test.ts',
  'test/runtime/rolling-restart.test.ts',
  'test/processors/notifications/notify.test.ts',
];

/** Sorts files as Vitest does, with the longest first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return index < 0 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
