// A delivery that cannot be signed releases its slot, so that later deliveries are sent.
import { expect, test } from 'vitest';
import { startProcessors } from '../../../src/processors/processors.ts';
import { endpointContext } from '../../../src/store/webhooks/endpoints.ts';
import { startCallbackReceiver } from '../../support/callback-receiver.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { addEndpoint, changeEndpoint, enqueueMessages } from '../../support/endpoints.ts';
import { ERRORS_ONLY, sealer } from '../../support/processors.ts';
import { testTopology } from '../../support/redis.ts';

const db = await openTestDb();

test('a slot of the receiver is released when signing throws', async () => {
  const failed: string[] = [];
  const processors = await startProcessors({
    redis: testTopology(),
    prefix: db.prefix,
    sealer,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    // One slot for a receiver.
    concurrency: 1,
    log: { ...ERRORS_ONLY, warn: (_fields, message) => void failed.push(message) },
  });
  try {
    const receiver = await startCallbackReceiver();
    const right = await addEndpoint(db, freshOrg(db), receiver.url);
    const sealed = sealer.seal('whsk_AAAA', endpointContext(right));
    const secrets = [{ sealed, created_at: db.clock.now(), expires_at: null }];
    await changeEndpoint(db, right, { secrets });
    await enqueueMessages(db, right, 1);
    await expect.poll(() => failed, { timeout: 10_000 }).toContain('job failed and is queued');
    await changeEndpoint(db, { ...right, version: 2, secrets }, { secrets: right.secrets });
    // The endpoint is cached for a second: deliveries within it fail too.
    const isSent = async () => {
      await enqueueMessages(db, right, 1);
      return receiver.received.length > 0;
    };
    await expect.poll(isSent, { timeout: 10_000, interval: 300 }).toBe(true);
  } finally {
    await processors.close();
  }
});
