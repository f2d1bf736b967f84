// What a key may give to another: nothing that it lacks itself. Not a scope, not a pool, not a mode, and not
// a day beyond its own end.

import { lacking } from '../../state/access/permission.ts';
import { type Mode, modeOf } from '../../state/access/tenant.ts';
import { timeOf, timestamp } from '../../state/text/time.ts';
import type { Change } from '../../store/redis/commit.ts';
import { loadPools, poolAsLoaded } from '../../store/workers/pools.ts';
import type { ApiDeps } from '../deps.ts';
import { ApiError, type FieldError, invalid } from '../http/problem.ts';
import type { KeyPrincipal } from './principal.ts';

/** @throws ApiError 403 for a scope, a pool or a mode that the granting key lacks. */
export function requireGrantable(
  principal: KeyPrincipal,
  { scopes, pools = [], mode }: { scopes: readonly string[]; pools?: readonly string[]; mode?: Mode },
): void {
  if (mode === 'live' && modeOf(principal.org_id) === 'test')
    throw new ApiError('live_key_required', 'A test key can make only test keys.');
  const missing = scopes.filter((one) => !principal.scopes.includes('*') && !principal.scopes.includes(one));
  if (missing.length > 0)
    throw new ApiError('insufficient_scope', `The key cannot grant what it lacks: ${missing.join(', ')}.`);
  const foreign = pools.filter((one) => !principal.pools.includes('*') && !principal.pools.includes(one));
  if (foreign.length > 0)
    throw new ApiError('pool_forbidden', `The key cannot grant pools it lacks: ${foreign.join(', ')}.`);
}

/**
 * For what does not end by itself: a caller who does cannot make it, nor take it over.
 * @throws ApiError 403 for that too.
 */
export function requireNonExpiring(
  principal: KeyPrincipal,
  { scopes = [], pools = [] }: { scopes?: readonly string[]; pools?: readonly string[] } = {},
): void {
  requireGrantable(principal, { scopes, pools });
  if (principal.expires_at !== null)
    throw new ApiError('insufficient_scope', 'A credential that ends cannot make one that does not.');
}

/** For what is about the org as a whole, with all its pools. @throws ApiError 403 for a caller who is confined to some. */
export function requireWholeOrg(principal: KeyPrincipal): void {
  if (!principal.pools.includes('*'))
    throw new ApiError('pool_forbidden', 'This is for keys that are not confined to pools.');
}

/** Changing somebody who may do more would be a way to become them. @throws ApiError 403 */
export function requirePermissionsOf(principal: KeyPrincipal, other: { scopes: readonly string[] }): void {
  const missing = lacking(principal.scopes, other.scopes);
  if (missing.length > 0)
    throw new ApiError('insufficient_scope', `The key lacks what this one may: ${missing.join(', ')}.`);
}

/** Whether the caller may see somebody of these pools. */
export function maySee(principal: KeyPrincipal, other: { pools: readonly string[] }): boolean {
  return lacking(principal.pools, other.pools).length === 0;
}

/** When what is granted ends, ms: when it is asked to; else when the granting key does; null for never. */
export function expiryOf(principal: KeyPrincipal, asked: string | undefined): number | null {
  return asked === undefined ? principal.expires_at : timeOf(asked);
}

/** What is wrong with that end. */
export function expiryErrors(principal: KeyPrincipal, end: number | null, now: number): FieldError[] {
  const pointer = '/expires_at';
  if (end !== null && !(end > now)) return [{ pointer, message: 'must be in the future' }];
  const own = principal.expires_at;
  if (own === null || (end !== null && end <= own)) return [];
  return [{ pointer, message: `must be no later than ${timestamp(own)}, when your own key ends` }];
}

/**
 * The pools that something is to be for: what is wrong with the list, and guards that hold while they are there.
 * @param pools ids, or `*` @param field of the body, for the errors
 */
export async function checkPools(
  deps: ApiDeps,
  tenantId: string,
  pools: readonly string[] = [],
  field = 'pools',
): Promise<Change & { errors: FieldError[] }> {
  const known = await loadPools(deps.db, tenantId, pools);
  return {
    guards: known.flatMap((pool) => (pool === null ? [] : [poolAsLoaded(deps.db, pool)])),
    writes: [],
    errors: pools.flatMap((id, index) =>
      id !== '*' && known[index] === null
        ? [{ pointer: `/${field}/${index}`, message: 'is not a pool of this org' }]
        : [],
    ),
  };
}

/** @throws ApiError 422 for each of the errors. */
export function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(...errors);
}
