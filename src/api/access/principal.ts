// The callers that a route can require, and what is known of the caller of a request.

import type { Authority } from '../../state/access/authority.ts';
import { maySeePool } from '../../state/access/permission.ts';
import type { SessionOwner } from '../../store/identity/session-records.ts';
import type { SessionKind } from '../http/response.ts';

export const SCOPES = [
  'tasks:create',
  'tasks:read',
  'tasks:cancel',
  'tasks:review',
  'tasks:update',
  'tasks:assign',
  'messages:read',
  'messages:write',
  'types:read',
  'types:write',
  'stats:read',
  'events:read',
  'webhooks:read',
  'webhooks:write',
  'pools:read',
  'pools:write',
  'workers:read',
  'workers:write',
  'keys:read',
  'keys:write',
  'org:read',
  'org:write',
  'audit:read',
  'members:read',
  'members:write',
  'oauth:read',
  'oauth:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * The caller that a route requires: an API key or access token with a scope, a worker with their token, the operator, or
 * anyone. A `session` route is for a signed-in browser and reads nothing but its cookie; `sign_in` is for one that has not
 * signed in yet, from a page of this server. One of `orScopes` is enough too. `liveOnly` marks routes that change what the
 * org's live data and its sandbox share; they reject test keys.
 */
export type Access =
  | { kind: 'scope'; scope: Scope; orScopes?: readonly Scope[]; liveOnly?: true }
  | { kind: 'worker' }
  | { kind: 'session'; of: SessionKind }
  | { kind: 'sign_in'; of: SessionKind }
  | { kind: 'operator' }
  | { kind: 'open' };

/** The session of a signed-in browser; absent for other credentials. */
export interface SessionRef {
  owner: SessionOwner;
  session_id: string;
  /** SHA-256 of its text, hex. */
  hash: string;
  /** ms */
  expires_at: number;
}

/** The scopes of which a route requires one. */
export function scopesOf({ scope, orScopes = [] }: Extract<Access, { kind: 'scope' }>): readonly Scope[] {
  return [scope, ...orScopes];
}

/** An API key, an access token or the session of a member, to which the same rules apply. */
export interface KeyPrincipal {
  kind: 'api_key';
  /** Tenant: the org's id, or the id of its sandbox for a test key (state/access/tenant.ts). */
  org_id: string;
  /** Id of the API key; for an access token, of its OAuth client or outside issuer; for a session, of the member. */
  key_id: string;
  /** Actor in histories: `api_key:…`, `oauth_client:…`, `member:…` or `issuer:…`. */
  actor: string;
  scopes: readonly string[];
  /** `["*"]`, or the pools that it is confined to. */
  pools: readonly string[];
  /** When it expires, ms; null for never. It cannot grant anything that expires later. */
  expires_at: number | null;
  /** Work that it starts in the background goes on while this permits it. */
  authority: Authority;
  session?: SessionRef;
}

export interface WorkerPrincipal {
  kind: 'worker';
  /** Tenant: the worker's org or sandbox. */
  org_id: string;
  worker_id: string;
  /** Distinguishes workers that had the same id one after the other; see `Worker`. */
  incarnation: string;
  /** `["*"]`, or the pools of the key that created the token. Tasks of other pools are hidden from the token. */
  pools: readonly string[];
  session?: SessionRef;
}

export type Principal = KeyPrincipal | WorkerPrincipal | { kind: 'operator' } | { kind: 'anonymous' };

const permissions = new WeakMap<Principal, string>();

/** The permissions of a caller as text, without the expiry, which the rotation of a key changes. */
export function permissionsOf(principal: Principal): string {
  const known = permissions.get(principal);
  if (known !== undefined) return known;
  const text = JSON.stringify({ ...principal, expires_at: null });
  permissions.set(principal, text);
  return text;
}

export { maySeePool };
