// What may be changed of an org, by itself and by the operator: where it may be called for from, and how often.

import Type from 'typebox';
import { cidrOf, parseNetwork } from '../../../state/access/networks.ts';
import { forEachQuota, highestQuota, type QuotaName } from '../../../state/access/storage-quotas.ts';
import { FASTEST } from '../../../state/access/token-bucket.ts';
import type { Org } from '../../../store/identity/orgs.ts';
import { isAllowedFrom, networksOf } from '../../access/org-rules.ts';
import { ApiError, type FieldError } from '../../http/problem.ts';
import { closed, nullable } from '../../http/schemas.ts';
import { at } from '../../http/validation.ts';

export const Name = Type.String({ minLength: 1, maxLength: 200 });
export const IpAllowlist = Type.Array(
  Type.String({ maxLength: 50, description: 'CIDR or address, v4 or v6' }),
  {
    maxItems: 1000,
    description: 'Networks that its credentials may be used from; empty for anywhere',
  },
);
const Quota = closed({
  requests: Type.Integer({ minimum: 1, maximum: 999_999_999 }),
  seconds: Type.Integer({ minimum: 1, maximum: 86_400 }),
});
/** What the operator sets. */
export const RateLimits = Type.Object(
  { key: Type.Optional(nullable(Quota)), org: Type.Optional(nullable(Quota)) },
  {
    additionalProperties: false,
    description:
      'Requests at once, refilled over seconds, of each credential and of all; null for the default',
  },
);
export const RateLimitsView = Type.Object(
  { key: nullable(Quota), org: nullable(Quota) },
  {
    description: 'Requests at once, refilled over seconds, of each credential and of all; null for no limit',
  },
);
const quota = (name: QuotaName) =>
  Type.Optional(nullable(Type.Integer({ minimum: 0, maximum: highestQuota(name) })));
/** What the operator sets. */
const StorageQuotas = Type.Object(forEachQuota(quota), {
  additionalProperties: false,
  description: 'How much of each kind the org may keep, and its sandbox beside it; null for the default',
});
export const UsageView = Type.Object(
  forEachQuota(() => closed({ used: Type.Integer(), limit: Type.Integer() })),
  { description: 'How much of each kind is kept, and may be' },
);
export const OrgChange = closed({ name: Type.Optional(Name), ip_allowlist: Type.Optional(IpAllowlist) });
export const OperatorChange = closed({
  ...OrgChange.properties,
  rate_limits: Type.Optional(RateLimits),
  quotas: Type.Optional(StorageQuotas),
});
export type OperatorChange = Type.Static<typeof OperatorChange>;
export function allowlistErrors(body: unknown): FieldError[] {
  const given = at(body, 'ip_allowlist');
  if (!Array.isArray(given)) return [];
  return given.flatMap((cidr, index) =>
    typeof cidr === 'string' && parseNetwork(cidr) === null
      ? [{ pointer: `/ip_allowlist/${index}`, message: 'is not a network, such as 192.0.2.0/24' }]
      : [],
  );
}

export function quotaErrors(body: unknown): FieldError[] {
  return ['key', 'org'].flatMap((name) => {
    const quota = at(body, 'rate_limits', name);
    const [requests, seconds] = [at(quota, 'requests'), at(quota, 'seconds')];
    if (typeof requests !== 'number' || typeof seconds !== 'number' || requests <= FASTEST * seconds)
      return [];
    return [{ pointer: `/rate_limits/${name}/requests`, message: `must be at most ${FASTEST} a second` }];
  });
}

/** @throws ApiError 409 when the list would shut out who sends it. */
export function requireAllowed(allowlist: readonly string[], address: string | null): void {
  if (isAllowedFrom(networksOf(allowlist), address)) return;
  const from = address ?? 'an address that cannot be told';
  throw new ApiError(
    'would_lock_out',
    `This request comes from ${from}, which the list leaves out. Send it with ?force=true to have it so.`,
  );
}

/** The org with the change made to it, its networks in their one spelling. */
export function changed(before: Org, change: OperatorChange): Org {
  const { ip_allowlist, rate_limits, quotas, ...rest } = change;
  const networks = ip_allowlist === undefined ? undefined : (networksOf(ip_allowlist) ?? []).map(cidrOf);
  return {
    ...before,
    ...rest,
    ...(networks !== undefined && { ip_allowlist: [...new Set(networks)] }),
    ...(rate_limits !== undefined && { rate_limits: { ...before.rate_limits, ...rate_limits } }),
    ...(quotas !== undefined && { quotas: { ...before.quotas, ...quotas } }),
  };
}
