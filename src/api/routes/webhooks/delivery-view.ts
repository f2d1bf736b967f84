// The public JSON of a delivery with its attempts; secrets are redacted.

import { poolOf } from '../../../state/tasks/task.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import type { Db } from '../../../store/redis/connection.ts';
import type { Listed } from '../../../store/webhooks/delivery-lists.ts';
import { deliveryId } from '../../../store/webhooks/delivery-target.ts';
import { loadEndpoints } from '../../../store/webhooks/endpoints.ts';
import { maySee } from '../../access/grants.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';

const REDACTED = '[redacted]';

/**
 * The deliveries that the key may see; null in place of the others. The key must be for the pool of the task and for all
 * pools of the endpoint, because a delivery shows the endpoint's URL and responses.
 */
export async function visibleDeliveries<L extends Listed | null>(
  { db }: Pick<ApiDeps, 'db'>,
  principal: KeyPrincipal,
  all: readonly L[],
): Promise<(L | null)[]> {
  if (principal.pools.includes('*')) return [...all];
  const endpoints = await endpointsOf(db, principal.org_id, all);
  return all.map((one) => {
    if (one === null || (one.task !== null && !maySeePool(principal, poolOf(one.task)))) return null;
    const { endpoint_id } = one.target;
    if (endpoint_id === undefined) return one;
    const endpoint = endpoints.get(endpoint_id) ?? null;
    return endpoint !== null && maySee(principal, endpoint) ? one : null;
  });
}

async function endpointsOf(
  db: Db,
  orgId: string,
  all: readonly (Listed | null)[],
): Promise<Map<string, Endpoint | null>> {
  const ids = [...new Set(all.flatMap((one) => one?.target.endpoint_id ?? []))];
  const found = await loadEndpoints(db, orgId, ids);
  return new Map(ids.map((id, index) => [id, found[index] ?? null]));
}

/** The public JSON of deliveries, with the URLs and header names of their receivers. */
export async function deliveryViews(
  { db }: ApiDeps,
  orgId: string,
  all: readonly Listed[],
): Promise<object[]> {
  const endpoints = await endpointsOf(db, orgId, all);
  return all.map((listed) => {
    const { endpoint_id } = listed.target;
    const endpoint = endpoint_id === undefined ? null : (endpoints.get(endpoint_id) ?? null);
    const handoff = endpoint_id === undefined ? listed.task?.input.handoff : undefined;
    const own = endpoint?.headers?.names ?? [];
    const secretHeaders =
      handoff === undefined || handoff.callback_auth.type === 'none' ? own : ['authorization'];
    return view(listed, endpoint?.url ?? handoff?.callback_url ?? null, secretHeaders);
  });
}

function view({ target, delivery, dueAt, event, task }: Listed, url: string | null, secretHeaders: string[]) {
  return {
    delivery_id: deliveryId(target),
    endpoint_id: target.endpoint_id ?? null,
    task_id: task?.task_id ?? null,
    event_id: event.event_id,
    event_type: event.type,
    sequence: target.sequence === 0 ? null : target.sequence,
    url,
    status: delivery.status,
    attempts: delivery.attempts.map((one, index) => ({
      attempt: index + 1,
      at: timestamp(one.at),
      status: one.status,
      ms: one.ms,
      error: one.error,
      error_class: one.error_class,
      address: one.address,
      timings: one.timings,
      request_headers: {
        'content-type': 'application/json',
        'webhook-id': event.event_id,
        'webhook-timestamp': String(Math.floor(one.at / 1000)),
        'webhook-signature': REDACTED,
        ...Object.fromEntries(secretHeaders.map((name) => [name.toLowerCase(), REDACTED])),
      },
      response_headers: one.headers,
      response_body: one.body,
      next_attempt_at: one.next_attempt_at === null ? null : timestamp(one.next_attempt_at),
    })),
    next_attempt_at: dueAt === null ? null : timestamp(dueAt),
    created_at: timestamp(event.at),
  };
}
