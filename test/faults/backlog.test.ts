// The large form of a check of test/processors/webhooks/backlog-release.test.ts, which uses a thousand deliveries.
import { it } from 'vitest';
import { openTestDb } from '../support/db.ts';
import { runProcessorsOfFile } from '../support/processors.ts';
import { checkUnresponsiveEndpoint } from '../support/unresponsive-endpoint.ts';

const db = await openTestDb();
const { queues } = await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

it('delivers to a healthy endpoint at once while 10 000 deliveries wait for one that hangs', () =>
  checkUnresponsiveEndpoint(db, queues, 10_000, 32));
