// Disables an endpoint that is gone or keeps failing: its record, the audit log entry and the event in the org's feed
// are written in one commit. Whether it has failed for too long is `hasFailedTooLong` in state/webhooks/endpoint.ts, which
// processors/webhooks/deliver.ts asks after each failed attempt.

import { newAuditEvent } from '../../state/audit/audit.ts';
import { timestamp } from '../../state/text/time.ts';
import type { DisabledReason } from '../../state/webhooks/endpoint.ts';
import { commitAudited } from '../audit/audit-log.ts';
import { type Guard, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { newId } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { feedNote } from '../tasks/feed.ts';
import { endpointWrites, loadEndpoint } from './endpoints.ts';

/**
 * Disables an endpoint.
 * @param due the time from which it may be disabled, ms; null when the reason is not a time limit.
 * @returns false when there is no such endpoint, or it is disabled already.
 * @throws NotDueError when `due` has not come by Redis' clock
 */
export async function disableEndpoint(
  db: Db,
  orgId: string,
  endpointId: string,
  reason: DisabledReason,
  due: number | null = null,
): Promise<boolean> {
  return updateWithRetry('webhook endpoint', async () => {
    const before = await loadEndpoint(db, orgId, endpointId);
    if (before === null || !before.enabled) return false;
    const now = db.clock.now();
    const disabled = { reason, at: now };
    const after = { ...before, enabled: false, disabled, version: before.version + 1, updated_at: now };
    const { feed, changes } = orgKeysOf(db.prefix, orgId);
    const isDue: Guard[] = due === null ? [] : [{ kind: 'due', key: feed, at: due, clock: db.clock }];
    const note = feedNote(feed, {
      event_id: newId(now),
      type: 'webhook_endpoint.disabled',
      at: timestamp(now),
      actor: 'system',
      data: { endpoint_id: endpointId, url: before.url, reason },
    });
    const auditEvent = {
      ...newAuditEvent('system', 'webhook_endpoint.disabled', 'webhook_endpoint', endpointId),
      data: { reason },
    };
    const change = merge(endpointWrites(db, before, after), {
      guards: isDue,
      writes: [note, ['SPUBLISH', changes, 'feed']],
    });
    return (await commitAudited(db, orgId, auditEvent, change)) ? true : CONFLICT;
  });
}
