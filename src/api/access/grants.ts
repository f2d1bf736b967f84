// What a key may grant to another credential: no scope, pool or mode that it lacks itself, and no later expiry than its own.

import { lacking } from '../../state/access/permission.ts';
import { type Mode, modeOf } from '../../state/access/tenant.ts';
import { timeOf, timestamp } from '../../state/text/time.ts';
import type { Change } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { loadPools, poolAsLoaded } from '../../store/workers/pools.ts';
import { ApiError, type FieldError } from '../http/problem.ts';
import type { KeyPrincipal } from './principal.ts';

/** Requires that the key may grant these. @throws ApiError 403 for a scope, pool or mode that it lacks */
export function requireGrantable(
  principal: KeyPrincipal,
  { scopes, pools = [], mode }: { scopes: readonly string[]; pools?: readonly string[]; mode?: Mode },
): void {
  if (mode === 'live' && modeOf(principal.org_id) === 'test')
    throw new ApiError('live_key_required', 'A test key can create only test keys.');
  const missing = scopes.filter((one) => !principal.scopes.includes('*') && !principal.scopes.includes(one));
  if (missing.length > 0)
    throw new ApiError('insufficient_scope', `The key cannot grant what it lacks: ${missing.join(', ')}.`);
  const foreign = pools.filter((one) => !principal.pools.includes('*') && !principal.pools.includes(one));
  if (foreign.length > 0)
    throw new ApiError('pool_forbidden', `The key cannot grant pools it lacks: ${foreign.join(', ')}.`);
}

/**
 * Requires that the key may grant these without an expiry, so it must not expire itself.
 * @throws ApiError 403
 */
export function requireNonExpiring(
  principal: KeyPrincipal,
  { scopes = [], pools = [] }: { scopes?: readonly string[]; pools?: readonly string[] } = {},
): void {
  requireGrantable(principal, { scopes, pools });
  if (principal.expires_at !== null)
    throw new ApiError(
      'insufficient_scope',
      'A credential that expires cannot grant access that does not expire.',
    );
}

/** Requires that the key is not confined to pools, for routes about the whole org. @throws ApiError 403 */
export function requireWholeOrg(principal: KeyPrincipal): void {
  if (!principal.pools.includes('*'))
    throw new ApiError('pool_forbidden', 'This requires a key that is not confined to pools.');
}

/**
 * Requires that the key has all scopes of another credential or member that it changes. Otherwise changing it would be
 * a way to gain its permissions.
 * @throws ApiError 403
 */
export function requirePermissionsOf(principal: KeyPrincipal, other: { scopes: readonly string[] }): void {
  const missing = lacking(principal.scopes, other.scopes);
  if (missing.length > 0)
    throw new ApiError('insufficient_scope', `The key lacks permissions of this one: ${missing.join(', ')}.`);
}

/** Whether the key may see something that is confined to these pools. */
export function maySee(principal: KeyPrincipal, other: { pools: readonly string[] }): boolean {
  return lacking(principal.pools, other.pools).length === 0;
}

/** When a granted credential expires, ms: as requested, or with the granting key; null for never. */
export function expiryOf(principal: KeyPrincipal, requested: string | undefined): number | null {
  return requested === undefined ? principal.expires_at : timeOf(requested);
}

/** Errors of that expiry: in the past, or later than the key's own. */
export function expiryErrors(
  principal: Pick<KeyPrincipal, 'expires_at'>,
  expiry: number | null,
  now: number,
): FieldError[] {
  const pointer = '/expires_at';
  if (expiry !== null && !(expiry > now)) return [{ pointer, message: 'must be in the future' }];
  const own = principal.expires_at;
  if (own === null || (expiry !== null && expiry <= own)) return [];
  return [{ pointer, message: `must be no later than ${timestamp(own)}, when your own key expires` }];
}

/**
 * Checks that pools exist. Returns the errors, and guards that hold while the pools exist.
 * @param pools ids, or `*`. @param field field of the body that the errors name.
 */
export async function checkPools(
  db: Db,
  tenantId: string,
  pools: readonly string[] = [],
  field = 'pools',
): Promise<Change & { errors: FieldError[] }> {
  const known = await loadPools(db, tenantId, pools);
  return {
    guards: known.flatMap((pool) => (pool === null ? [] : [poolAsLoaded(db, pool)])),
    writes: [],
    errors: pools.flatMap((id, index) =>
      id !== '*' && known[index] === null
        ? [{ pointer: `/${field}/${index}`, message: 'is not a pool of this org' }]
        : [],
    ),
  };
}
