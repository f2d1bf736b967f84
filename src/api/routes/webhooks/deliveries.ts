// Deliveries: lists of those of a task, of an endpoint and of those given up, and redelivery.

import Type from 'typebox';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId, page, type Range } from '../../../store/redis/lists.ts';
import {
  deliveriesOfTask,
  findDelivery,
  type Listed,
  loadListed,
} from '../../../store/webhooks/delivery-lists.ts';
import { DELIVERY_STATUSES } from '../../../store/webhooks/delivery-record.ts';
import { deliveriesIndex, fieldOf, readListed } from '../../../store/webhooks/delivery-target.ts';
import { loadEndpoint } from '../../../store/webhooks/endpoints.ts';
import { resend } from '../../../store/webhooks/fan-out.ts';
import { visibleEndpoint, visibleTask } from '../../access/pool-visibility.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion } from '../../http/etag.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { ApiError, notFound } from '../../http/problem.ts';
import { closed, idOf, listOf, PageQuery, pageOf, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { DeliveryView } from './deliveries.schema.ts';
import { deliveryViews, visibleDeliveries } from './delivery-view.ts';
import { EndpointParams } from './endpoints.schema.ts';

const Statuses = listOf(word(DELIVERY_STATUSES), 'Deliveries with one of these statuses');
const Page = pageOf(DeliveryView);

export const deliveryRoutes = [
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/deliveries',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listTaskDeliveries',
    summary: 'List the deliveries of the events of a task',
    description: 'Those to its callback URL and to endpoints, with every attempt.',
    params: Type.Object({ task_id: idOf('task') }),
    query: closed({ status: Statuses, ...PageQuery }),
    responses: { 200: { description: 'A page of deliveries', schema: Page } },
    async handler({ deps, principal, params, query }) {
      const { org_id } = principal;
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc', status } = query;
      await visibleTask(deps.db, principal, params.task_id);
      const bound = listScope('deliveries', org_id, params.task_id, status, order);
      const after = readCursor(bound, cursor);
      const there = (await deliveriesOfTask(deps.db, org_id, params.task_id)) ?? [];
      const all = (await visibleDeliveries(deps, principal, there)).filter((one) => one !== null);
      if (order === 'desc') all.reverse();
      const begin = after === null ? 0 : all.findIndex(({ target }) => fieldOf(target) === after) + 1;
      const rest = all
        .slice(begin)
        .filter(({ delivery }) => status === undefined || status.includes(delivery.status));
      const shown = rest.slice(0, limit);
      const last = shown.at(-1);
      const next = rest.length > limit && last !== undefined ? fieldOf(last.target) : null;
      return listResponse(await deliveryViews(deps, org_id, shown), bound, next);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpoint_id}/deliveries',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listWebhookEndpointDeliveries',
    summary: 'List the deliveries to an endpoint',
    description: 'Shows every attempt with its response.',
    params: EndpointParams,
    query: closed({ status: Statuses, ...PageQuery }),
    responses: { 200: { description: 'A page of deliveries', schema: Page } },
    async handler({ deps, principal, params, query }) {
      const { org_id } = principal;
      const { endpoint_id } = await visibleEndpoint(deps.db, principal, params.endpoint_id);
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc', status = DELIVERY_STATUSES } = query;
      const bound = listScope('deliveries', org_id, endpoint_id, status, order);
      const keys = orgKeysOf(deps.db.prefix, org_id);
      const indexes = status.map((one) => keys.index(deliveriesIndex(endpoint_id, one)));
      const range = { order, after: readCursor(bound, cursor), from: null, to: null };
      return listed(deps, principal, { indexes, range, limit, bound, skip: '' });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/dead-letters',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listDeadLetters',
    summary: 'List the deliveries that were given up',
    description: 'Those to endpoints and to callback URLs of tasks. Send one again with redeliver.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of deliveries', schema: Page } },
    async handler({ deps, principal, query }) {
      const { org_id } = principal;
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const bound = listScope('dead-letters', org_id, principal.pools, order);
      const after = readCursor(bound, cursor);
      const skip = `${org_id} `;
      // One sorted set holds the dead letters of all orgs of a partition; members start with the org.
      const range = { order, after, from: skip, to: `${org_id}!` };
      const indexes = [orgKeysOf(deps.db.prefix, org_id).dead];
      return listed(deps, principal, { indexes, range, limit, bound, skip });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/deliveries/{delivery_id}/redeliver',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'redeliverDelivery',
    summary: 'Send a delivery again',
    description:
      'Sends it now, whatever its status. Its event has the same id, so that a receiver can tell that it is the same.',
    params: Type.Object({ delivery_id: idOf('delivery') }),
    body: closed({}),
    bodyOptional: true,
    responses: { 202: { description: 'The delivery, pending again', schema: DeliveryView } },
    errors: ['delivery_in_progress', 'endpoint_unavailable'],
    async handler({ deps, principal, params, ifMatch, credentialGuards }) {
      return updateWithRetry('delivery', async () => {
        const { guards } = await credentialGuards();
        const found = await visibleDelivery(deps, principal, params.delivery_id);
        requireVersion(null, ifMatch);
        const { target, delivery, event } = found;
        const receiver = await receiverOf(deps, found);
        if (await deps.db.archive?.restore(target.org_id, target.task_id)) return CONFLICT;
        const jobSuffix = `by-hand-${deps.db.clock.now()}`;
        const done = await resend(deps.db, target, delivery, event.at, jobSuffix, receiver, guards);
        if (done === 'busy') throw new ApiError('delivery_in_progress', 'An attempt is running now.');
        if (done === 'ok') {
          const now = await visibleDelivery(deps, principal, params.delivery_id);
          const [view] = await deliveryViews(deps, principal.org_id, [now]);
          return { status: 202, body: view };
        }
        return CONFLICT;
      });
    },
  }),
];

interface Listing {
  indexes: string[];
  range: Range;
  limit: number;
  bound: string;
  /** Prefix of each member, which is not part of its id. */
  skip: string;
}

async function listed(deps: ApiDeps, principal: KeyPrincipal, listing: Listing) {
  const { org_id } = principal;
  const { indexes, range, limit, bound, skip } = listing;
  const { items, next } = await page(deps.db, indexes, range, limit, async (members) => {
    const all = members.map((member) => readListed(org_id, memberId(member.slice(skip.length))));
    return visibleDeliveries(deps, principal, await loadListed(deps.db, org_id, all));
  });
  return listResponse(await deliveryViews(deps, org_id, items), bound, next);
}

/** @throws ApiError 404 */
async function visibleDelivery(deps: ApiDeps, principal: KeyPrincipal, id: string): Promise<Listed> {
  const [found = null] = await visibleDeliveries(deps, principal, [
    await findDelivery(deps.db, principal.org_id, id),
  ]);
  if (found === null) throw notFound();
  if (found.task !== null) return found;
  const { endpoint_id, task_id: messageId } = found.target;
  if (endpoint_id === undefined) throw new Error(`message ${messageId} has a delivery without an endpoint`);
  await visibleEndpoint(deps.db, principal, endpoint_id);
  return found;
}

/** The endpoint of the delivery; null for a callback URL. @throws ApiError 409 when it was removed or is disabled */
async function receiverOf({ db }: ApiDeps, { target }: Listed): Promise<Endpoint | null> {
  if (target.endpoint_id === undefined) return null;
  const endpoint = await loadEndpoint(db, target.org_id, target.endpoint_id);
  if (endpoint === null) throw new ApiError('endpoint_unavailable', 'The endpoint has been removed.');
  if (!endpoint.enabled)
    throw new ApiError('endpoint_unavailable', 'The endpoint is disabled. Enable it first.');
  return endpoint;
}
