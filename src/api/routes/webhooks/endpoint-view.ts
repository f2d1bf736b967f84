// The public JSON of a webhook endpoint.

import { timestamp } from '../../../state/text/time.ts';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { versionedResponse } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';

/** When deliveries to the endpoint began to fail, ms; null while they succeed. */
export async function failingSince(db: Db, endpoint: Endpoint): Promise<number | null> {
  const { endpointHealth } = orgKeysOf(db.prefix, endpoint.org_id);
  const since = await db.redis.hget(endpointHealth(endpoint.endpoint_id), 'f');
  return since === null ? null : Number(since);
}

/** The public JSON of an endpoint. @param failing from `failingSince` */
export function endpointView(endpoint: Endpoint, failing: number | null): object {
  const { disabled, secrets, headers, created_at, updated_at } = endpoint;
  const [, previous] = secrets;
  return {
    endpoint_id: endpoint.endpoint_id,
    url: endpoint.url,
    description: endpoint.description,
    events: endpoint.events,
    enabled: endpoint.enabled,
    disabled: disabled && { reason: disabled.reason, at: timestamp(disabled.at) },
    failing_since: failing === null ? null : timestamp(failing),
    signature: endpoint.signature,
    public_key: endpoint.public_key,
    previous_secret_expires_at: previous?.expires_at == null ? null : timestamp(previous.expires_at),
    header_names: headers?.names ?? [],
    retry_policy: endpoint.retry_policy,
    ordering: endpoint.ordering ?? 'none',
    created_at: timestamp(created_at),
    updated_at: timestamp(updated_at),
  };
}

/** The response with one endpoint. @param once status and new secret, which are shown only this time */
export function endpointResponse(
  endpoint: Endpoint,
  failing: number | null,
  once: { status: number; secret: string | null } | null = null,
): HttpResponse {
  const body = { ...endpointView(endpoint, failing), ...(once !== null && { secret: once.secret }) };
  return versionedResponse(endpoint, body, `/v1/webhook-endpoints/${endpoint.endpoint_id}`, once?.status);
}
