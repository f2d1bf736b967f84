// An org as its own keys see and change it, and its webhook secret.

import Type from 'typebox';
import { orgOf } from '../../../state/access/tenant.ts';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timestamp } from '../../../state/text/time.ts';
import { withNewSecret } from '../../../state/webhooks/secret.ts';
import { newSecret } from '../../../store/identity/new-org.ts';
import {
  type Org,
  signingSecrets,
  webhookSecretContext,
  withSigningSecrets,
} from '../../../store/identity/orgs.ts';
import { requireWholeOrg } from '../../access/grants.ts';
import type { ApiDeps } from '../../deps.ts';
import { CreatedAt, closed, nullable, text, time } from '../../http/schemas.ts';
import { liveScope, route, scope } from '../../route.ts';
import { allowlistErrors, OrgChange, requireAllowed } from './org-change.ts';
import { changeOrg, OrgView, orgResponse, ownOrg, updateOrg } from './org-view.ts';

const SecretView = Type.Object(
  {
    secret: text('`whsec_…`, Standard Webhooks', { pattern: '^whsec_' }),
    created_at: CreatedAt,
    previous_expires_at: nullable(time('Until when the previous secret signs as well; null for none')),
  },
  { $id: 'WebhookSecret', description: 'The secret that signs deliveries to callback URLs' },
);

export const orgRoutes = [
  route({
    method: 'GET',
    path: '/v1/org',
    access: scope('org:read'),
    tag: 'Org',
    operationId: 'getOwnOrg',
    summary: 'Retrieve the org of the credential',
    description: 'Shows its settings, limits and present usage.',
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    async handler({ deps, principal }) {
      return orgResponse(deps, await ownOrg(deps, principal.org_id), principal.org_id);
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
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    errors: ['would_lock_out'],
    async handler(call) {
      const { deps, principal, query, body, address } = call;
      if (body.ip_allowlist !== undefined && query.force !== true)
        requireAllowed(body.ip_allowlist, address());
      return orgResponse(deps, await updateOrg(call, principal.org_id, body), principal.org_id);
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
    responses: { 200: { description: 'The secret', schema: SecretView } },
    errors: ['pool_forbidden'],
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
    responses: { 200: { description: 'The new secret', schema: SecretView } },
    async handler(call) {
      const { deps, principal, actor, recordResponse } = call;
      const { org_id } = principal;
      const secret = newSecret(deps.db, deps.sealer, org_id);
      const org = await changeOrg(
        call,
        org_id,
        (before) =>
          withSigningSecrets(
            before,
            org_id,
            withNewSecret(secret, signingSecrets(before, org_id), secret.created_at),
          ),
        () => newAuditEvent(actor, 'webhook_secret.rotated', 'org', orgOf(org_id)),
        (after) => recordResponse({ status: 200, body: secretView(deps, after, org_id) }),
      );
      return { status: 200, body: secretView(deps, org, org_id) };
    },
  }),
];

function secretView(deps: ApiDeps, org: Org, tenantId: string): object {
  const [current, previous] = signingSecrets(org, tenantId);
  if (current === undefined) throw new Error(`${tenantId} has no webhook secret`);
  return {
    secret: deps.sealer.open(current.sealed, webhookSecretContext(tenantId)),
    created_at: timestamp(current.created_at),
    previous_expires_at: previous?.expires_at == null ? null : timestamp(previous.expires_at),
  };
}
