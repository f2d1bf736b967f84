// Webhook endpoints and what is owed to them, put into a store without the API.

import type { Endpoint } from '../../src/state/endpoint.ts';
import { EVENT_TYPES } from '../../src/state/lifecycle.ts';
import { commit } from '../../src/store/commit.ts';
import { endpointPlace, endpointWrites } from '../../src/store/endpoints.ts';
import { messageWrites } from '../../src/store/fan-out.ts';
import { newId } from '../../src/store/ids.ts';
import { newWebhookSecret } from '../../src/store/orgs.ts';
import type { Db } from '../../src/store/redis.ts';
import { sealer } from './processors.ts';

/** Registers an endpoint for all events of the org. */
export async function addEndpoint(
  db: Db,
  org_id: string,
  url: string,
  change: Partial<Endpoint> = {},
): Promise<Endpoint> {
  const now = db.clock.now();
  const ids = { org_id, endpoint_id: newId(now) };
  const sealed = sealer.seal(newWebhookSecret(), endpointPlace(ids));
  const endpoint: Endpoint = {
    ...ids,
    version: 1,
    url,
    description: '',
    events: [...EVENT_TYPES],
    pools: ['*'],
    enabled: true,
    disabled: null,
    signature: 'v1',
    secrets: [{ sealed, created_at: now, expires_at: null }],
    public_key: null,
    headers: null,
    retry_policy: { max_retries: 6, backoff_seconds: 30 },
    created_at: now,
    updated_at: now,
    ...change,
  };
  const { guards, writes } = endpointWrites(db, null, endpoint);
  if (!(await commit(db.redis, guards, writes))) throw new Error('the endpoint is there already');
  return endpoint;
}

/** Changes an endpoint; null removes it. */
export async function changeEndpoint(
  db: Db,
  before: Endpoint,
  change: Partial<Endpoint> | null,
): Promise<void> {
  const after = change === null ? null : { ...before, ...change, version: before.version + 1 };
  const { guards, writes } = endpointWrites(db, before, after);
  if (!(await commit(db.redis, guards, writes))) throw new Error('the endpoint has changed meanwhile');
}

/** Owes an endpoint `count` messages, all at once. @returns their ids. */
export async function oweMessages(db: Db, endpoint: Endpoint, count: number): Promise<string[]> {
  const at = db.clock.now();
  const ids = Array.from({ length: count }, () => newId(at));
  const body = JSON.stringify({ type: 'webhook_endpoint.test', timestamp: '', data: { sequence: 0 } });
  await Promise.all(
    ids.map((id) => {
      const { guards, writes } = messageWrites(db, endpoint.org_id, endpoint.endpoint_id, { id, at, body });
      return commit(db.redis, guards, writes);
    }),
  );
  return ids;
}
