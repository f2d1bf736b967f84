// How an org is shown and changed, by its own keys and by the operator.

import Type from 'typebox';
import { storageQuotasOf } from '../../../state/access/storage-quotas.ts';
import { type AuditEvent, changesOf, newAuditEvent } from '../../../state/audit/audit.ts';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { loadOrg, type Org, orgWrites } from '../../../store/identity/orgs.ts';
import { type Change, EMPTY_CHANGE, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { quotasOf } from '../../access/org-rules.ts';
import type { ApiDeps } from '../../deps.ts';
import { etag, requireVersion } from '../../http/etag.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { CreatedAt, idOf, label, nullable, time, UpdatedAt, word } from '../../http/schemas.ts';
import type { Call } from '../../route.ts';
import { changed, IpAllowlist, Name, type OperatorChange, RateLimitsView, UsageView } from './org-change.ts';

const STATUSES = ['active', 'suspended'] as const;
export const OrgStatus = word(STATUSES, { description: 'Whether credentials of the org are accepted' });
export const Suspension = nullable(
  Type.Object({
    at: time('When the operator suspended it'),
    reason: nullable(label('The reason; null for none')),
  }),
  'Since when and why the operator has suspended the org; null unless suspended',
);
export const OrgView = Type.Object(
  {
    org_id: idOf('org'),
    name: Name,
    ip_allowlist: IpAllowlist,
    status: OrgStatus,
    suspension: Suspension,
    rate_limits: RateLimitsView,
    usage: UsageView,
    created_at: CreatedAt,
    updated_at: UpdatedAt,
  },
  { $id: 'Org', description: 'An org, with its settings and usage' },
);

/** The org of a tenant. @throws ApiError 404 */
export async function ownOrg(deps: ApiDeps, orgId: string): Promise<Org> {
  const org = await loadOrg(deps.db, orgId);
  if (org === null) throw notFound();
  return org;
}

/** Changes the settings of an org; audited. @throws ApiError 404, 412, or those of `credentialGuards` */
export function updateOrg(
  call: Pick<Call, 'deps' | 'actor' | 'ifMatch' | 'credentialGuards'>,
  orgId: string,
  body: OperatorChange,
): Promise<Org> {
  return changeOrg(
    call,
    orgId,
    (before) => {
      requireVersion(before.version, call.ifMatch);
      return changed(before, body);
    },
    (after, before) => ({
      ...newAuditEvent(call.actor, 'org.updated', 'org', after.org_id),
      data: changesOf(before, after, ['name', 'ip_allowlist', 'rate_limits', 'quotas']),
    }),
  );
}

/**
 * Changes an org, with its entry in the audit log; nothing when `change` returns an equal org.
 * @param extraWrites guards and writes of the same commit. @throws ApiError 404, or those of `change` and `credentialGuards`
 */
export async function changeOrg(
  { deps, credentialGuards }: Pick<Call, 'deps' | 'credentialGuards'>,
  orgId: string,
  change: (org: Org) => Org,
  auditEvent: (after: Org, before: Org) => AuditEvent,
  extraWrites: (org: Org) => Change = () => EMPTY_CHANGE,
): Promise<Org> {
  return updateWithRetry('org', async () => {
    const callerGuards = await credentialGuards();
    const before = await ownOrg(deps, orgId);
    const changed = change(before);
    if (isSame(changed, before)) return before;
    const after = { ...changed, version: before.version + 1, updated_at: deps.db.clock.now() };
    const whole = merge(callerGuards, orgWrites(deps.db, before.version, after), extraWrites(after));
    if (await commitAudited(deps.db, orgId, auditEvent(after, before), whole)) {
      deps.forgetOrg(orgId);
      return after;
    }
    return CONFLICT;
  });
}

/** The response that shows an org. @param tenantId the org or its sandbox; its usage is shown. */
export async function orgResponse(deps: ApiDeps, org: Org, tenantId: string): Promise<HttpResponse> {
  const { quotas, storageQuotas, usage } = deps;
  const { org_id, name, ip_allowlist = [], created_at, updated_at } = org;
  return {
    status: 200,
    body: {
      org_id,
      name,
      ip_allowlist,
      ...statusView(org),
      rate_limits: quotasOf(org, quotas),
      usage: await usage.usageOf(tenantId, storageQuotasOf(org.quotas, storageQuotas)),
      created_at: timestamp(created_at),
      updated_at: timestamp(updated_at),
    },
    headers: { ETag: etag(org) },
  };
}

/** The fields `status` and `suspension` of an org. */
export function statusView({ suspension }: Org): object {
  if (suspension === undefined) return { status: STATUSES[0], suspension: null };
  const { at, reason } = suspension;
  return { status: STATUSES[1], suspension: { at: timestamp(at), reason } };
}
