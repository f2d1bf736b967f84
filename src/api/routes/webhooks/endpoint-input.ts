// Turns the body of a request into a new or changed webhook endpoint: checks rules that no schema can express, fills in
// defaults, creates secrets and seals them.

import { generateKeyPairSync } from 'node:crypto';
import { childPointer } from '../../../output-schema/problem.ts';
import { DEFAULT_EVENT_TYPES } from '../../../state/tasks/lifecycle.ts';
import { checkCallbackUrl } from '../../../state/webhooks/callback-url.ts';
import { type Endpoint, type EndpointSecret, headerFault } from '../../../state/webhooks/endpoint.ts';
import { secretFault, withNewSecret } from '../../../state/webhooks/secret.ts';
import { newWebhookSecret } from '../../../store/identity/orgs.ts';
import { newId } from '../../../store/redis/ids.ts';
import { endpointContext } from '../../../store/webhooks/endpoints.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';
import type { EndpointChange, EndpointCreate } from './endpoints.schema.ts';

/** A new endpoint for the pools of the key, and its secret, to be shown once. */
export function newEndpoint(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: EndpointCreate,
): { endpoint: Endpoint; secret: string | null } {
  const now = deps.db.clock.now();
  const ids = { org_id: principal.org_id, endpoint_id: newId(now) };
  const { signature = 'v1', enabled = true } = body;
  const made = newSecret(deps, ids, signature, body.secret);
  const endpoint: Endpoint = {
    ...ids,
    version: 1,
    url: body.url,
    description: body.description ?? '',
    events: body.events ?? [...DEFAULT_EVENT_TYPES],
    pools: principal.pools,
    enabled,
    disabled: enabled ? null : { reason: 'manual', at: now },
    signature,
    secrets: [made.sealed],
    public_key: made.publicKey,
    headers: sealedHeaders(deps, ids, body.headers ?? {}),
    retry_policy: { max_retries: 6, backoff_seconds: 30, ...body.retry_policy },
    ordering: body.ordering ?? 'none',
    created_at: now,
    updated_at: now,
  };
  return { endpoint, secret: made.secret };
}

type Ids = Pick<Endpoint, 'org_id' | 'endpoint_id'>;

function newSecret({ db, sealer }: ApiDeps, ids: Ids, signature: Endpoint['signature'], given?: string) {
  const seal = (text: string): EndpointSecret => ({
    sealed: sealer.seal(text, endpointContext(ids)),
    created_at: db.clock.now(),
    expires_at: null,
  });
  if (signature === 'v1') {
    const secret = given ?? newWebhookSecret();
    return { secret, sealed: seal(secret), publicKey: null };
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const [privateBytes, publicBytes] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  // The form of Standard Webhooks: the private key followed by the public key.
  const whole = `whsk_${Buffer.concat([privateBytes, publicBytes]).toString('base64')}`;
  return { secret: null, sealed: seal(whole), publicKey: `whpk_${publicBytes.toString('base64')}` };
}

function sealedHeaders({ sealer }: ApiDeps, ids: Ids, headers: Record<string, string>): Endpoint['headers'] {
  const names = Object.keys(headers);
  if (names.length === 0) return null;
  return { names, sealed: sealer.seal(JSON.stringify(headers), endpointContext(ids)) };
}

/**
 * The endpoint with the change applied. Headers are secrets of one receiver: when the URL changes to another origin they
 * are removed, unless the same change gives new ones.
 */
export function changed(deps: ApiDeps, before: Endpoint, change: EndpointChange): Endpoint {
  const { headers, retry_policy, ...rest } = change;
  const enabled = change.enabled ?? before.enabled;
  const off = before.enabled ? { reason: 'manual' as const, at: deps.db.clock.now() } : before.disabled;
  const moves = change.url !== undefined && new URL(change.url).origin !== new URL(before.url).origin;
  return {
    ...before,
    ...rest,
    ...(moves && { headers: null }),
    ...(headers !== undefined && { headers: sealedHeaders(deps, before, headers) }),
    retry_policy: { ...before.retry_policy, ...retry_policy },
    disabled: enabled ? null : off,
  };
}

/** The endpoint with a new secret in addition to the old ones, and that secret, to be shown once. */
export function rotated(
  deps: ApiDeps,
  before: Endpoint,
  body: { secret?: string; overlap_seconds?: number },
) {
  const now = deps.db.clock.now();
  const made = newSecret(deps, before, before.signature, body.secret);
  const overlap = body.overlap_seconds === undefined ? undefined : body.overlap_seconds * 1000;
  const after: Endpoint = {
    ...before,
    version: before.version + 1,
    updated_at: now,
    public_key: made.publicKey,
    secrets: withNewSecret(made.sealed, before.secrets, now, overlap),
  };
  return { after, secret: made.secret };
}

/** The rules beyond the schema that the body of a new or changed endpoint breaks. */
export function endpointErrors(deps: ApiDeps, body: unknown): FieldError[] {
  const url = at(body, 'url');
  const fault = typeof url === 'string' ? checkCallbackUrl(url, deps.addressPolicy) : null;
  const headers = at(body, 'headers');
  const pairs = typeof headers === 'object' && headers !== null ? Object.entries(headers) : [];
  const seen = new Set<string>();
  const ofHeaders = pairs.flatMap(([name, value]): FieldError[] => {
    const isTwice = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    const wrong = isTwice ? 'is given twice' : typeof value === 'string' ? headerFault(name, value) : null;
    const pointer = childPointer('/headers', name);
    return wrong === null ? [] : [{ pointer, message: wrong }];
  });
  return [
    ...(fault === null ? [] : [{ pointer: '/url', message: fault }]),
    ...ofHeaders,
    ...secretErrors(body),
    ...(at(body, 'signature') === 'v1a' && at(body, 'secret') !== undefined
      ? [{ pointer: '/secret', message: 'is allowed only with signature v1' }]
      : []),
  ];
}

/** The error of a secret that the caller has chosen. */
export function secretErrors(body: unknown): FieldError[] {
  const secret = at(body, 'secret');
  const fault = typeof secret === 'string' ? secretFault(secret) : null;
  return fault === null ? [] : [{ pointer: '/secret', message: fault }];
}
