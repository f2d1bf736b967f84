// Orgs, which the operator creates and changes and whose own keys read and change them, and the webhook secret of an org.

import Type from 'typebox';
import { storageQuotasOf } from '../../../state/access/storage-quotas.ts';
import { orgOf } from '../../../state/access/tenant.ts';
import { type AuditEvent, changesOf, newAuditEvent } from '../../../state/audit/audit.ts';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import { withNewSecret } from '../../../state/webhooks/secret.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { newOrg, newSecret } from '../../../store/identity/new-org.ts';
import {
  loadOrg,
  type Org,
  orgWrites,
  signingSecrets,
  webhookSecretContext,
  withSigningSecrets,
} from '../../../store/identity/orgs.ts';
import { type Change, commit, EMPTY_CHANGE, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { requireWholeOrg } from '../../access/grants.ts';
import { quotasOf } from '../../access/org-rules.ts';
import type { ApiDeps } from '../../deps.ts';
import type { Answer } from '../../http/answer.ts';
import { etag, requireVersion } from '../../http/etag.ts';
import { notFound, supersededRequest } from '../../http/problem.ts';
import { closed, idOf, nullable, Timestamp, Uuid } from '../../http/schemas.ts';
import { type Call, liveScope, route, scope } from '../../route.ts';
import {
  allowlistErrors,
  changed,
  IpAllowlist,
  Name,
  OperatorChange,
  OrgChange,
  quotaErrors,
  RateLimits,
  RateLimitsView,
  requireAllowed,
  UsageView,
} from './org-change.ts';

/** How long deliveries are signed with a replaced secret as well, ms. */
const OVERLAP = 24 * 3600 * 1000;

const OrgView = Type.Object(
  {
    org_id: Uuid,
    name: Name,
    ip_allowlist: IpAllowlist,
    rate_limits: RateLimitsView,
    usage: UsageView,
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'Org' },
);
const OrgParams = Type.Object({ org_id: idOf('org') });
const SecretView = Type.Object(
  {
    secret: Type.String({ description: '`whsec_…`, Standard Webhooks' }),
    created_at: Timestamp,
    previous_expires_at: nullable(Timestamp),
  },
  { $id: 'WebhookSecret' },
);

export const orgRoutes = [
  route({
    method: 'POST',
    path: '/admin/orgs',
    access: { kind: 'operator' },
    tag: 'Operators',
    operationId: 'createOrg',
    summary: 'Create an org',
    description: 'The first API key of the org, with all scopes, is shown once, in this answer.',
    body: closed({ name: Name, rate_limits: Type.Optional(RateLimits) }),
    rules: async (body) => quotaErrors(body),
    answers: {
      201: {
        description: 'The org and an API key with all scopes',
        schema: closed({ org_id: Uuid, name: Name, api_key: Type.String() }),
      },
    },
    async handler({ deps, actor, body, recordAnswer, plan }) {
      // The answer is stored with the operator's answers, in another hash slot than the org, so this takes two commits.
      // A repeat after a crash between them finds the plan of the first request and creates no second org.
      const { change, auditEvent, org, apiKey } = await plan(() =>
        newOrg(deps.db, deps.sealer, body.name, actor, body.rate_limits),
      );
      const answer = { status: 201, body: { org_id: org.org_id, name: org.name, api_key: apiKey } };
      const isMade = await commitAudited(deps.db, org.org_id, auditEvent, change);
      if (!isMade && (await loadOrg(deps.db, org.org_id)) === null) throw supersededRequest();
      const kept = recordAnswer(answer);
      await commit(deps.db.redis, kept);
      return answer;
    },
  }),
  route({
    method: 'GET',
    path: '/admin/orgs/{org_id}',
    access: { kind: 'operator' },
    tag: 'Operators',
    operationId: 'getOrg',
    summary: 'Retrieve an org',
    description: 'Shows any org with its limits and present usage.',
    params: OrgParams,
    answers: { 200: { description: 'The org', schema: OrgView } },
    async handler({ deps, params }) {
      return orgAnswer(deps, await ownOrg(deps, params.org_id), params.org_id);
    },
  }),
  route({
    method: 'PATCH',
    path: '/admin/orgs/{org_id}',
    access: { kind: 'operator' },
    versioned: true,
    tag: 'Operators',
    operationId: 'updateOrg',
    summary: 'Update an org',
    description: 'Changes the name, IP allowlist, rate limits and quotas of any org.',
    params: OrgParams,
    body: OperatorChange,
    rules: async (body) => [...allowlistErrors(body), ...quotaErrors(body)],
    answers: { 200: { description: 'The org', schema: OrgView } },
    async handler(call) {
      const { org_id } = call.params;
      return orgAnswer(call.deps, await updateOrg(call, org_id, call.body), org_id);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/org',
    access: scope('org:read'),
    tag: 'Org',
    operationId: 'getOwnOrg',
    summary: 'Retrieve the org of the credential',
    description: 'Shows its settings, limits and present usage.',
    answers: { 200: { description: 'The org', schema: OrgView } },
    async handler({ deps, principal }) {
      return orgAnswer(deps, await ownOrg(deps, principal.org_id), principal.org_id);
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/org',
    access: liveScope('org:write'),
    versioned: true,
    tag: 'Org',
    operationId: 'updateOwnOrg',
    summary: 'Update the org of the credential',
    description:
      'Changes the given fields. An allowlist that would lock the caller out is refused unless `force` is given.',
    query: closed({
      force: Type.Optional(
        Type.Boolean({
          description: 'Set the ip_allowlist even if it does not contain the address of this request',
        }),
      ),
    }),
    body: OrgChange,
    admit: (_body, principal) => requireWholeOrg(principal),
    rules: async (body) => allowlistErrors(body),
    answers: { 200: { description: 'The org', schema: OrgView } },
    async handler(call) {
      const { deps, principal, query, body, address } = call;
      if (body.ip_allowlist !== undefined && query.force !== true)
        requireAllowed(body.ip_allowlist, address());
      return orgAnswer(deps, await updateOrg(call, principal.org_id, body), principal.org_id);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-secret',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    operationId: 'getWebhookSecret',
    summary: 'Retrieve the callback signing secret',
    description:
      'It signs the deliveries to the callback URLs of tasks. Endpoints have secrets of their own.',
    admit: (_body, principal) => requireWholeOrg(principal),
    answers: { 200: { description: 'The secret', schema: SecretView } },
    async handler({ deps, principal }) {
      return { status: 200, body: secretView(deps, await ownOrg(deps, principal.org_id), principal.org_id) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/webhook-secret/rotate',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    operationId: 'rotateWebhookSecret',
    summary: 'Replace the callback signing secret',
    description: 'Deliveries to callback URLs are signed with both secrets for a day.',
    body: closed({}),
    bodyOptional: true,
    admit: (_body, principal) => requireWholeOrg(principal),
    answers: { 200: { description: 'The new secret', schema: SecretView } },
    async handler(call) {
      const { deps, principal, actor, recordAnswer } = call;
      const { org_id } = principal;
      const secret = newSecret(deps.db, deps.sealer, org_id);
      const org = await changeOrg(
        call,
        org_id,
        (before) =>
          withSigningSecrets(
            before,
            org_id,
            withNewSecret(
              secret,
              signingSecrets(before, org_id),
              secret.created_at,
              secret.created_at + OVERLAP,
            ),
          ),
        () => newAuditEvent(actor, 'webhook_secret.rotated', 'org', orgOf(org_id)),
        (after) => recordAnswer({ status: 200, body: secretView(deps, after, org_id) }),
      );
      return { status: 200, body: secretView(deps, org, org_id) };
    },
  }),
];

async function ownOrg(deps: ApiDeps, orgId: string): Promise<Org> {
  const org = await loadOrg(deps.db, orgId);
  if (org === null) throw notFound();
  return org;
}

function updateOrg(
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

async function changeOrg(
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

/** @param tenantId the org or its sandbox; its usage is shown. */
async function orgAnswer(deps: ApiDeps, org: Org, tenantId: string): Promise<Answer> {
  const { quotas, storageQuotas, usage } = deps;
  const { org_id, name, ip_allowlist = [], created_at, updated_at } = org;
  return {
    status: 200,
    body: {
      org_id,
      name,
      ip_allowlist,
      rate_limits: quotasOf(org, quotas),
      usage: await usage.of(tenantId, storageQuotasOf(org.quotas, storageQuotas)),
      created_at: timestamp(created_at),
      updated_at: timestamp(updated_at),
    },
    headers: { ETag: etag(org) },
  };
}

function secretView(deps: ApiDeps, org: Org, tenantId: string): object {
  const [current, previous] = signingSecrets(org, tenantId);
  if (current === undefined) throw new Error(`${tenantId} has no webhook secret`);
  return {
    secret: deps.sealer.open(current.sealed, webhookSecretContext(tenantId)),
    created_at: timestamp(current.created_at),
    previous_expires_at: previous?.expires_at == null ? null : timestamp(previous.expires_at),
  };
}
