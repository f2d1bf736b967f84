// Webhook endpoints: one record each, and the list of an org's endpoints. Secrets and headers are stored sealed.

import type { Shape } from '../../state/text/forms.ts';
import type { Endpoint } from '../../state/webhooks/endpoint.ts';
import { type Change, EMPTY_CHANGE, type Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';
import { nullIfBroken } from '../redis/unreadable.ts';
import { replaysIndex } from './replays.ts';

/** AAD context of an endpoint's sealed secrets and headers. */
export function endpointContext(endpoint: { org_id: string; endpoint_id: string }): string {
  return `${endpoint.org_id} endpoint ${endpoint.endpoint_id}`;
}

const SHAPE: Shape<Endpoint> = {
  endpoint_id: 'string',
  org_id: 'string',
  version: 'number',
  url: 'string',
  events: 'strings',
  pools: 'strings',
  enabled: 'boolean',
  signature: 'string',
  secrets: 'list',
  retry_policy: 'object',
  created_at: 'number',
  updated_at: 'number',
};

/** Loads an endpoint; null when there is none. @throws UnreadableRecord */
export function loadEndpoint(db: Db, orgId: string, id: string): Promise<Endpoint | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).endpoint(id), SHAPE);
}

/** Loads endpoints in one round trip, in the order of `ids`; null for one that does not exist. */
export function loadEndpoints(db: Db, orgId: string, ids: readonly string[]): Promise<(Endpoint | null)[]> {
  return loadRecords(db, ids.map(orgKeysOf(db.prefix, orgId).endpoint), SHAPE);
}

/**
 * All intact endpoints of the org, oldest first.
 * @throws UnreadableRecord when one has a newer format version: its deliveries must not be skipped
 */
export async function allEndpoints(db: Db, orgId: string): Promise<Endpoint[]> {
  const ids = await db.redis.zrange(orgKeysOf(db.prefix, orgId).index('endpoints'), 0, '-1');
  if (ids.length === 0) return [];
  const all = await Promise.all(ids.map((id) => nullIfBroken(db, () => loadEndpoint(db, orgId, id))));
  return all.filter((one) => one !== null);
}

/** Guard that the endpoint has not changed since it was loaded. */
export function endpointAsLoaded(db: Db, { org_id, endpoint_id, version }: Endpoint): Guard {
  return { kind: 'version', key: orgKeysOf(db.prefix, org_id).endpoint(endpoint_id), version };
}

/** Guards and writes that create, change or (with `after` null) remove an endpoint. */
export function endpointWrites(db: Db, before: Endpoint | null, after: Endpoint | null): Change {
  const endpoint = after ?? before;
  if (endpoint === null) return EMPTY_CHANGE;
  const keys = orgKeysOf(db.prefix, endpoint.org_id);
  const key = keys.endpoint(endpoint.endpoint_id);
  if (after === null)
    return {
      guards: [endpointAsLoaded(db, endpoint)],
      writes: [
        ['DEL', key],
        ['ZREM', keys.index('endpoints'), endpoint.endpoint_id],
        ['DEL', keys.endpointHealth(endpoint.endpoint_id)],
        ['DEL', keys.index(replaysIndex(endpoint.endpoint_id))],
      ],
    };
  const record = recordWrites(key, before?.version ?? 0, after);
  const writes = [...record.writes];
  if (before === null) writes.push(['ZADD', keys.index('endpoints'), 0, endpoint.endpoint_id]);
  // The sweeper releases the deliveries that wait for earlier events.
  if (before?.ordering === 'per_task' && after.ordering !== 'per_task')
    writes.push(['ZADD', keys.orderReleased, after.updated_at, `${after.org_id} ${after.endpoint_id}`]);
  // Earlier failures do not count against an endpoint that is enabled again.
  if (before?.enabled === false && after.enabled)
    writes.push(['DEL', keys.endpointHealth(endpoint.endpoint_id)]);
  return { guards: record.guards, writes };
}
