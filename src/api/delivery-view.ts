// How a delivery looks from outside: with all its attempts, and with nothing that is secret in them.

import { poolOf } from '../state/task.ts';
import { timestamp } from '../state/view.ts';
import type { Listed } from '../store/delivery-lists.ts';
import { deliveryId } from '../store/delivery-places.ts';
import { loadEndpoints } from '../store/endpoints.ts';
import type { ApiDeps, KeyPrincipal } from './route.ts';
import { maySeePool } from './route.ts';

const REDACTED = '[redacted]';

/** Whether the key may see the delivery: its task, or for a message its endpoint, which was looked up by it. */
export function maySeeDelivery(principal: KeyPrincipal, { task }: Listed): boolean {
  return task === null || maySeePool(principal, poolOf(task));
}

/** Deliveries as they are shown, with the URLs and headers of their receivers. */
export async function deliveryViews(
  { db }: ApiDeps,
  orgId: string,
  all: readonly Listed[],
): Promise<object[]> {
  const ids = [...new Set(all.flatMap(({ owed }) => owed.endpoint_id ?? []))];
  const endpoints = new Map((await loadEndpoints(db, orgId, ids)).map((one, index) => [ids[index], one]));
  return all.map((listed) => {
    const { endpoint_id } = listed.owed;
    const endpoint = endpoint_id === undefined ? null : (endpoints.get(endpoint_id) ?? null);
    const handoff = endpoint_id === undefined ? listed.task?.input.handoff : undefined;
    const own = endpoint?.headers?.names ?? [];
    const secretHeaders =
      handoff === undefined || handoff.callback_auth.type === 'none' ? own : ['authorization'];
    return view(listed, endpoint?.url ?? handoff?.callback_url ?? null, secretHeaders);
  });
}

function view({ owed, delivery, dueAt, event, task }: Listed, url: string | null, secretHeaders: string[]) {
  return {
    delivery_id: deliveryId(owed),
    endpoint_id: owed.endpoint_id ?? null,
    task_id: task?.task_id ?? null,
    event_id: event.event_id,
    event_type: event.type,
    sequence: owed.sequence === 0 ? null : owed.sequence,
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
