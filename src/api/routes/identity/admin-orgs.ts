// Orgs, for the operator: creates, lists, shows, changes, suspends and resumes them, and makes API keys for them.

import Type from 'typebox';
import { tenantOf } from '../../../state/access/tenant.ts';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timeOf, timestamp } from '../../../state/text/time.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { apiKeyWrites, loadApiKeys, newApiKey } from '../../../store/identity/api-keys.ts';
import { newOrg, openSandbox } from '../../../store/identity/new-org.ts';
import { loadOrg, loadOrgs, type Org, orgLists } from '../../../store/identity/orgs.ts';
import { suspensionWrite } from '../../../store/identity/suspension.ts';
import { countUsage } from '../../../store/identity/usage.ts';
import { partitionsKnown } from '../../../store/metrics/heartbeat.ts';
import { commit, merge } from '../../../store/redis/commit.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { checkPools, expiryErrors } from '../../access/grants.ts';
import { listPage } from '../../http/list.ts';
import { supersededRequest, throwIfAny } from '../../http/problem.ts';
import { CreatedAt, closed, count, idOf, label, PageQuery, pageOf } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { KeyCreate, KeyCreated, keyCreated, timeOrNull } from './api-key-view.ts';
import { allowlistErrors, Name, OperatorChange, quotaErrors, RateLimits } from './org-change.ts';
import {
  changeOrg,
  OrgStatus,
  OrgView,
  orgResponse,
  ownOrg,
  Suspension,
  statusView,
  updateOrg,
} from './org-view.ts';

const operator = { access: { kind: 'operator' }, tag: 'Operators' } as const;
const OrgParams = Type.Object({ org_id: idOf('org') });

/** The usage that a list shows; all of it is in `GET /admin/orgs/{org_id}`. */
const SUMMARY = ['open_tasks', 'workers', 'keys', 'evidence_bytes'] as const;
const OrgSummary = Type.Object(
  {
    org_id: idOf('org'),
    name: Name,
    status: OrgStatus,
    suspension: Suspension,
    usage: closed(
      {
        open_tasks: count('Open tasks'),
        workers: count('Workers'),
        keys: count('API keys'),
        evidence_bytes: count('Bytes of evidence'),
      },
      'OrgUsageSummary',
      'What the org uses',
    ),
    created_at: CreatedAt,
  },
  { $id: 'OrgSummary', description: 'An org in a list' },
);

export const adminOrgRoutes = [
  route({
    ...operator,
    method: 'POST',
    path: '/admin/orgs',
    adds: true,
    operationId: 'createOrg',
    summary: 'Create an org',
    description: 'The first API key of the org, with all scopes, is shown once, in this answer.',
    body: closed({ name: Name, rate_limits: Type.Optional(RateLimits) }),
    rules: async (body) => quotaErrors(body),
    responses: {
      201: {
        description: 'The org and an API key with all scopes',
        schema: closed({
          org_id: idOf('org'),
          name: Name,
          api_key: label('An API key with all scopes; shown only in this response'),
        }),
      },
    },
    async handler({ deps, actor, body, recordResponse, onceForKey }) {
      // The response is stored with the operator's responses, in another hash slot than the org, so this takes two commits.
      // A repeat after a crash between them finds the plan of the first request and creates no second org.
      const partitions = await partitionsKnown(deps.db);
      const { change, auditEvent, org, apiKey } = await onceForKey(() =>
        newOrg(deps.db, deps.sealer, { name: body.name, actor, rateLimits: body.rate_limits, partitions }),
      );
      const response = { status: 201, body: { org_id: org.org_id, name: org.name, api_key: apiKey } };
      const isMade = await commitAudited(deps.db, org.org_id, auditEvent, change);
      if (!isMade && (await loadOrg(deps.db, org.org_id)) === null) throw supersededRequest();
      const kept = recordResponse(response);
      await commit(deps.db.redis, kept);
      return response;
    },
  }),
  route({
    ...operator,
    method: 'GET',
    path: '/admin/orgs/{org_id}',
    operationId: 'getOrg',
    summary: 'Retrieve an org',
    description: 'Shows any org with its limits and present usage.',
    params: OrgParams,
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    async handler({ deps, params }) {
      return orgResponse(deps, await ownOrg(deps, params.org_id), params.org_id);
    },
  }),
  route({
    ...operator,
    method: 'PATCH',
    path: '/admin/orgs/{org_id}',
    versioned: true,
    operationId: 'updateOrg',
    summary: 'Update an org',
    description: 'Changes the name, IP allowlist, rate limits and quotas of any org.',
    params: OrgParams,
    body: OperatorChange,
    rules: async (body) => [...allowlistErrors(body), ...quotaErrors(body)],
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    async handler(call) {
      const { org_id } = call.params;
      return orgResponse(call.deps, await updateOrg(call, org_id, call.body), org_id);
    },
  }),
  route({
    ...operator,
    method: 'GET',
    path: '/admin/orgs',
    operationId: 'listOrgs',
    summary: 'List orgs',
    description: 'Shows the status and a summary of the usage of each org.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of orgs', schema: pageOf(OrgSummary) } },
    handler: ({ deps: { db }, query }) =>
      listPage(db, query, {
        indexes: orgLists(db),
        boundTo: ['orgs'],
        load: async (ids) => Promise.all((await loadOrgs(db, ids)).map((org) => org && summaryOf(db, org))),
        show: (summaries) => summaries,
      }),
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/orgs/{org_id}/api-keys',
    adds: true,
    operationId: 'createOrgApiKey',
    summary: 'Create an API key for an org',
    description: 'For an org that has lost its own keys. The key is shown once, in this answer.',
    params: OrgParams,
    body: KeyCreate,
    responses: { 201: { description: 'The key', schema: KeyCreated, headers: ['Location'] } },
    async handler({ deps, actor, params, body, recordResponse, onceForKey }) {
      const { name, scopes, pools = ['*'], mode = 'live' } = body;
      const org_id = tenantOf(params.org_id, mode);
      await ownOrg(deps, org_id);
      const expires_at = body.expires_at === undefined ? null : timeOf(body.expires_at);
      // Two commits, as for a new org: a repeat after a crash between them finds the key of the first request.
      const made = await onceForKey(() =>
        newApiKey(org_id, { name, scopes, pools, expires_at }, deps.db.clock.now()),
      );
      const { key_id } = made.key;
      const auditEvent = {
        ...newAuditEvent(actor, 'api_key.created', 'api_key', key_id),
        data: { mode, name, scopes, pools, expires_at: timeOrNull(expires_at) },
      };
      const response = keyCreated(made);
      await updateWithRetry('API key', async () => {
        const [existing = null] = await loadApiKeys(deps.db, org_id, [key_id]);
        if (existing !== null) return response;
        const poolGuards = await checkPools(deps.db, org_id, body.pools);
        const expiry = expiryErrors({ expires_at: null }, expires_at, deps.db.clock.now());
        throwIfAny([...poolGuards.errors, ...expiry]);
        const change = merge(
          poolGuards,
          await deps.usage.quotaGuards(org_id, 'keys'),
          apiKeyWrites(deps.db, made.key),
          await openSandbox(deps.db, deps.sealer, org_id),
        );
        return (await commitAudited(deps.db, params.org_id, auditEvent, change)) ? response : CONFLICT;
      });
      await commit(deps.db.redis, recordResponse(response));
      return response;
    },
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/orgs/{org_id}/suspend',
    operationId: 'suspendOrg',
    summary: 'Suspend an org',
    description:
      'All credentials of the org are refused and its tasks are not matched. Clocks and deliveries go on.',
    params: OrgParams,
    body: closed({
      reason: Type.Optional(
        Type.String({ minLength: 1, maxLength: 2000, description: 'Why; the org sees it' }),
      ),
    }),
    bodyOptional: true,
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    async handler(call) {
      const { deps, actor, params, body } = call;
      const reason = body.reason ?? null;
      const org = await changeOrg(
        call,
        params.org_id,
        (before) => ({ ...before, suspension: { at: before.suspension?.at ?? deps.db.clock.now(), reason } }),
        () => ({ ...newAuditEvent(actor, 'org.suspended', 'org', params.org_id), data: { reason } }),
        (after) => ({ guards: [], writes: [suspensionWrite(deps.db, after)] }),
      );
      return orgResponse(deps, org, params.org_id);
    },
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/orgs/{org_id}/resume',
    operationId: 'resumeOrg',
    summary: 'Resume an org',
    description: 'Ends the suspension of the org.',
    params: OrgParams,
    body: closed({}),
    bodyOptional: true,
    responses: { 200: { description: 'The org', schema: OrgView, headers: ['ETag'] } },
    async handler(call) {
      const { deps, actor, params } = call;
      const org = await changeOrg(
        call,
        params.org_id,
        ({ suspension: _ended, ...rest }) => rest,
        () => newAuditEvent(actor, 'org.resumed', 'org', params.org_id),
        (after) => ({ guards: [], writes: [suspensionWrite(deps.db, after)] }),
      );
      return orgResponse(deps, org, params.org_id);
    },
  }),
];

async function summaryOf(db: Db, org: Org): Promise<object> {
  const { org_id, name, created_at } = org;
  const counts = await Promise.all(SUMMARY.map(async (kind) => [kind, await countUsage(db, org_id, kind)]));
  return {
    org_id,
    name,
    ...statusView(org),
    usage: Object.fromEntries(counts),
    created_at: timestamp(created_at),
  };
}
