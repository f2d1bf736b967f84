// The read side of a redelivery of dead letters. It walks the org's part of the list of exhausted deliveries.

import { maySeePool } from '../../state/access/permission.ts';
import { poolOf } from '../../state/tasks/task.ts';
import { type Endpoint, wants } from '../../state/webhooks/endpoint.ts';
import type { Redelivery } from '../../state/webhooks/replay.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { nullIfUnreadable } from '../redis/unreadable.ts';
import { type DeliveryTarget, readListed } from './delivery-target.ts';
import { allEndpoints } from './endpoints.ts';
import { loadWithEvent, MAX_EXAMINED, type Seen, taken, type Walk } from './replay-walk.ts';

/** Walks on from the cursor until `most` dead letters are found or the batch is examined. Writes nothing. */
export async function walkDeadLetters(db: Db, redelivery: Redelivery, most: number): Promise<Walk> {
  const { org_id, since, until, cursor } = redelivery;
  const skip = `${org_id} `;
  // Members begin with the org and the time of their event.
  const [from = null, to = null] = [since, until].map((at) => skip + String(at).padStart(14, '0'));
  const range = { order: 'asc', after: cursor, from, to } as const;
  const endpoints = (await allEndpoints(db, org_id)).filter((one) => one.enabled);
  for await (const chunk of scan(db, [orgKeysOf(db.prefix, org_id).dead], range)) {
    const positions = chunk.slice(0, MAX_EXAMINED).map((position) => {
      const target = readListed(org_id, memberId(position.slice(skip.length)));
      // Test messages are not sent again.
      return { position, target: target.sequence === 0 ? null : target };
    });
    const seen = await Promise.all(
      positions.map(({ target }) =>
        target === null ? null : nullIfUnreadable(db, () => examine(db, redelivery, target, endpoints)),
      ),
    );
    const walk = taken(redelivery, positions, seen, most, false);
    const receivers = new Set(walk.found.map(({ target }) => target.endpoint_id));
    return { ...walk, endpoints: endpoints.filter((one) => receivers.has(one.endpoint_id)) };
  }
  return { ...taken(redelivery, [], [], most, true), endpoints: [] };
}

/** Loads a dead letter; null when it is not part of the redelivery or has no receiver now. */
async function examine(
  db: Db,
  { letters }: Redelivery,
  target: DeliveryTarget,
  endpoints: readonly Endpoint[],
): Promise<Seen | null> {
  const { callback_url, endpoint_id, pools } = letters;
  if (endpoint_id !== null && target.endpoint_id !== endpoint_id) return null;
  if (callback_url !== null && target.endpoint_id !== undefined) return null;
  const loaded = await loadWithEvent(db, target);
  if (loaded === null) return null;
  const { task, event, ...found } = loaded;
  if (!maySeePool({ pools }, poolOf(task))) return null;
  if (callback_url !== null && task.input.handoff?.callback_url !== callback_url) return null;
  if (target.endpoint_id !== undefined) {
    const endpoint = endpoints.find((one) => one.endpoint_id === target.endpoint_id);
    if (endpoint === undefined || !wants(endpoint, event.type, poolOf(task))) return null;
  }
  return found.delivery?.status === 'exhausted' ? { ...found, isSent: true } : null;
}
