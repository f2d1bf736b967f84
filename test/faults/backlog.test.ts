// The large form of what test/processors/webhooks/backlog-release.test.ts checks with a thousand deliveries.
import { it } from 'vitest';
import { openTestDb } from '../support/db.ts';
import { checkHangingEndpoint } from '../support/hanging-endpoint.ts';
import { runProcessorsOfFile } from '../support/processors.ts';

const db = await openTestDb();
const { queues } = await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

it('an endpoint that hangs, with 10 000 deliveries queued, holds up no healthy one', () =>
  checkHangingEndpoint(db, queues, 10_000, 32));
