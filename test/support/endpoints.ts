// Writes webhook endpoints, pending deliveries and replays to a store without the API.

import { EVENT_TYPES } from '../../src/state/tasks/lifecycle.ts';
import type { Endpoint } from '../../src/state/webhooks/endpoint.ts';
import type { Replay, ReplayChoice } from '../../src/state/webhooks/replay.ts';
import { newWebhookSecret } from '../../src/store/identity/orgs.ts';
import { commit } from '../../src/store/redis/commit.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { newId } from '../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { memberId } from '../../src/store/redis/lists.ts';
import { recordDelivery } from '../../src/store/webhooks/deliveries.ts';
import { leaseDelivery } from '../../src/store/webhooks/delivery-lease.ts';
import {
  type DeliveryTarget,
  deliveriesIndex,
  readListed,
} from '../../src/store/webhooks/delivery-target.ts';
import { endpointContext, endpointWrites } from '../../src/store/webhooks/endpoints.ts';
import { messageWrites } from '../../src/store/webhooks/fan-out.ts';
import { startWrites } from '../../src/store/webhooks/replays.ts';
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
  const sealed = sealer.seal(newWebhookSecret(), endpointContext(ids));
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
  if (!(await commit(db.redis, endpointWrites(db, null, endpoint))))
    throw new Error('the endpoint is there already');
  return endpoint;
}

/** Changes an endpoint; null removes it. */
export async function changeEndpoint(
  db: Db,
  before: Endpoint,
  change: Partial<Endpoint> | null,
): Promise<void> {
  const stamps = { version: before.version + 1, updated_at: db.clock.now() };
  const after = change === null ? null : { ...before, ...change, ...stamps };
  if (!(await commit(db.redis, endpointWrites(db, before, after))))
    throw new Error('the endpoint has changed meanwhile');
}

/** Enqueues `count` messages to an endpoint at the same time. @returns their ids. */
export async function enqueueMessages(db: Db, endpoint: Endpoint, count: number): Promise<string[]> {
  const at = db.clock.now();
  const ids = Array.from({ length: count }, () => newId(at));
  const body = JSON.stringify({ type: 'webhook_endpoint.test', timestamp: '', data: { sequence: 0 } });
  await Promise.all(
    ids.map((id) => {
      return commit(db.redis, messageWrites(db, endpoint.org_id, endpoint.endpoint_id, { id, at, body }));
    }),
  );
  return ids;
}

/** Gives up all pending deliveries to an endpoint, without an attempt. @returns their number. */
export async function giveUpAll(db: Db, { org_id, endpoint_id }: Endpoint): Promise<number> {
  const pending = orgKeysOf(db.prefix, org_id).index(deliveriesIndex(endpoint_id, 'pending'));
  const members = await db.redis.zrange(pending, 0, '-1');
  const giveUp = async (target: DeliveryTarget) => {
    const leased = await leaseDelivery(db, target, 60_000);
    if (leased === null || 'dueAt' in leased) throw new Error('not due');
    await recordDelivery(db, target, {
      score: leased.score,
      delivery: { status: 'exhausted', attempts: [] },
      ...{
        nextAt: null,
        stopsCallback: false,
        eventAt: Date.parse(leased.subject?.event.at ?? ''),
        failingLimit: 1000,
      },
    });
  };
  await Promise.all(members.map((member) => giveUp(readListed(org_id, memberId(member)))));
  return members.length;
}

/** Starts a replay of all events so far. */
export async function beginReplay(
  db: Db,
  { org_id, endpoint_id }: Endpoint,
  deliveries: ReplayChoice = 'all',
): Promise<Replay> {
  const now = db.clock.now();
  const times = { since: 0, until: now + 1, reached: 0, created_at: now, updated_at: now, finished_at: null };
  const counts = { examined: 0, sent: 0, succeeded: 0, failed: 0 };
  const replay: Replay = {
    ...{ replay_id: newId(now), org_id, endpoint_id, version: 1, deliveries, status: 'running' },
    ...{ reason: null, cursor: null, walked: false, created_by: 'system', ...times, ...counts },
  };
  if (!(await commit(db.redis, startWrites(db, replay, [])))) throw new Error('another replay is under way');
  return replay;
}
