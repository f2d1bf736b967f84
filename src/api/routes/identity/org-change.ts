// Settings of an org that its own keys or the operator can change: IP allowlist, rate limits and quotas.

import Type from 'typebox';
import { cidrOf, parseNetwork } from '../../../state/access/networks.ts';
import {
  forEachQuota,
  highestQuota,
  type QuotaName,
  quotaLabel,
} from '../../../state/access/storage-quotas.ts';
import { FASTEST } from '../../../state/access/token-bucket.ts';
import type { Org } from '../../../store/identity/orgs.ts';
import { isAllowedFrom, networksOf } from '../../access/org-rules.ts';
import { ApiError, type FieldError } from '../../http/problem.ts';
import { closed, count, nullable } from '../../http/schemas.ts';
import { at } from '../../http/validation.ts';

export const Name = Type.String({ minLength: 1, maxLength: 200, description: 'Name of the org' });
export const IpAllowlist = Type.Array(
  Type.String({ maxLength: 50, description: 'IPv4 or IPv6 network in CIDR notation, or address' }),
  {
    maxItems: 1000,
    description: 'Networks that credentials of the org may be used from; empty: any',
  },
);
const RateLimit = closed(
  {
    requests: Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Size of the token bucket' }),
    seconds: Type.Integer({ minimum: 1, maximum: 86_400, description: 'Time in which it refills' }),
  },
  'RateLimit',
  'A token bucket',
);
const KEY = 'Limit of each credential';
const ORG = 'Limit of all credentials together';
/** Rate limits, as the operator sets them. */
export const RateLimits = Type.Object(
  { key: Type.Optional(nullable(RateLimit, KEY)), org: Type.Optional(nullable(RateLimit, ORG)) },
  {
    $id: 'RateLimitsInput',
    additionalProperties: false,
    description:
      'Token buckets of `requests`, refilled over `seconds`: `key` for each credential, `org` for all together; null: the default',
  },
);
export const RateLimitsView = Type.Object(
  { key: nullable(RateLimit, KEY), org: nullable(RateLimit, ORG) },
  {
    $id: 'RateLimits',
    description:
      'Token buckets of `requests`, refilled over `seconds`: `key` for each credential, `org` for all together; null: no limit',
  },
);
const quota = (name: QuotaName) =>
  Type.Optional(
    nullable(
      Type.Integer({
        minimum: 0,
        maximum: highestQuota(name),
        description: `Most ${quotaLabel(name)}`,
      }),
    ),
  );
/** Quotas, as the operator sets them. */
const StorageQuotas = Type.Object(forEachQuota(quota), {
  $id: 'StorageQuotas',
  additionalProperties: false,
  description: 'Quotas of the org, which apply to its sandbox separately; null: the default',
});
const QuotaUsage = closed(
  { used: count('What is used'), limit: count('The limit') },
  'QuotaUsage',
  'Usage and limit of a quota',
);
export const UsageView = Type.Object(
  forEachQuota(() => QuotaUsage),
  { $id: 'OrgUsage', description: 'Usage and limit of each quota' },
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
      ? [{ pointer: `/ip_allowlist/${index}`, message: 'must be a network such as 192.0.2.0/24' }]
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

/** Requires that the allowlist contains the caller's address. @throws ApiError 409 */
export function requireAllowed(allowlist: readonly string[], address: string | null): void {
  if (isAllowedFrom(networksOf(allowlist), address)) return;
  const from = address ?? 'an unknown address';
  throw new ApiError(
    'would_lock_out',
    `This request comes from ${from}, which is not in the list. Send it with ?force=true to set the list anyway.`,
  );
}

/** The org with the change applied; networks are normalized and without duplicates. */
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
