// Members: people of an org who can sign in and allow OAuth clients to act for them. A member can get only permissions
// that the caller has. The only password ever shown is one that was generated for a new member.

import { randomBytes } from 'node:crypto';
import Type from 'typebox';
import { changesOf, newAuditEvent } from '../../../state/audit/audit.ts';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import {
  findMember,
  loadMember,
  MEMBER_SHAPE,
  type Member,
  memberWrites,
  normalEmail,
} from '../../../store/identity/members.ts';
import { hashPassword, TooManyPasswords } from '../../../store/identity/passwords.ts';
import { endSessions } from '../../../store/identity/sessions.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { checkPools, maySee, requireNonExpiring, requirePermissionsOf } from '../../access/grants.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import { scopesWith } from '../../access/roles.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion, versionedResponse } from '../../http/etag.ts';
import { ApiError, notFound, throwIfAny } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, idOf, PageQuery, PoolList, pageOf } from '../../http/schemas.ts';
import { liveScope, route, scope } from '../../route.ts';
import {
  DISABLED,
  Email,
  MemberCreated,
  MemberView,
  Name,
  Password,
  RoleName,
  Scopes,
} from './members.schema.ts';
import { listRecords } from './record-list.ts';

export const MemberParams = Type.Object({ member_id: idOf('member') });

export const memberRoutes = [
  route({
    method: 'POST',
    path: '/v1/members',
    access: liveScope('members:write'),
    tag: 'Members',
    adds: true,
    operationId: 'createMember',
    summary: 'Create a member',
    description:
      'A member of the org can sign in to the console and authorize OAuth clients. `role`, `scopes` or both say what the member may do.',
    body: closed({
      email: Email,
      name: Name,
      role: Type.Optional(RoleName),
      scopes: Type.Optional(Scopes),
      pools: Type.Optional(PoolList),
      password: Type.Optional(Password),
    }),
    rules: async (body) => {
      const { role, scopes } = body as { role?: unknown; scopes?: unknown };
      return role === undefined && scopes === undefined
        ? [{ pointer: '/scopes', message: 'is required without role' }]
        : [];
    },
    admit: (body, principal) =>
      requireNonExpiring(principal, { ...body, scopes: scopesWith(body.role, body.scopes) }),
    responses: { 201: { description: 'The member', schema: MemberCreated, headers: ['ETag', 'Location'] } },
    errors: ['already_exists'],
    async handler({ deps, principal, body, recordResponse, actor, credentialGuards }) {
      throwIfAny((await checkPools(deps.db, principal.org_id, body.pools)).errors);
      const password = body.password ?? randomBytes(15).toString('base64url');
      const now = deps.db.clock.now();
      const member: Member = {
        member_id: newId(now),
        org_id: principal.org_id,
        version: 1,
        email: normalEmail(body.email),
        name: body.name,
        password_hash: await hashed(deps, password),
        ...(body.role !== undefined && { role: body.role }),
        scopes: scopesWith(body.role, body.scopes),
        pools: body.pools ?? [...principal.pools],
        disabled: false,
        created_at: now,
        updated_at: now,
      };
      const shown = memberResponse(member, 201);
      const made = body.password === undefined ? { password } : {};
      const response = { ...shown, body: { ...memberView(member), ...made } };
      const { member_id, email, name, role = null, scopes, pools } = member;
      const auditEvent = {
        ...newAuditEvent(actor, 'member.created', 'member', member_id),
        data: { email, name, role, scopes, pools },
      };
      return updateWithRetry('member', async () => {
        const callerGuards = await credentialGuards();
        await requireFree(deps, member);
        const poolGuards = await checkPools(deps.db, member.org_id, body.pools);
        throwIfAny(poolGuards.errors);
        const room = await deps.usage.quotaGuards(member.org_id, 'members');
        const change = merge(
          callerGuards,
          poolGuards,
          room,
          memberWrites(deps.db, null, member),
          recordResponse(response),
        );
        if (await commitAudited(deps.db, member.org_id, auditEvent, change)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/members',
    access: scope('members:read'),
    tag: 'Members',
    operationId: 'listMembers',
    summary: 'List members',
    description: 'Lists the people of the org who can sign in.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of members', schema: pageOf(MemberView) } },
    handler: ({ deps, principal, query }) =>
      listRecords<Member>(deps, principal, query, {
        index: 'members',
        keyOf: (keys, id) => keys.member(id),
        shape: MEMBER_SHAPE,
        view: memberView,
      }),
  }),
  route({
    method: 'GET',
    path: '/v1/members/{member_id}',
    access: scope('members:read'),
    tag: 'Members',
    operationId: 'getMember',
    summary: 'Retrieve a member',
    description: 'Shows the permissions of the member.',
    params: MemberParams,
    responses: { 200: { description: 'The member', schema: MemberView, headers: ['ETag'] } },
    handler: async ({ deps, principal, params }) =>
      memberResponse(await visibleMember(deps, principal, params.member_id)),
  }),
  route({
    method: 'PATCH',
    path: '/v1/members/{member_id}',
    access: liveScope('members:write'),
    versioned: true,
    tag: 'Members',
    operationId: 'updateMember',
    summary: 'Update a member',
    description:
      'Sessions and access tokens follow within a second. A new password ends all sessions, grants and tokens of the member.',
    params: MemberParams,
    body: closed({
      email: Type.Optional(Email),
      name: Type.Optional(Name),
      role: Type.Optional(RoleName),
      scopes: Type.Optional(Scopes),
      pools: Type.Optional(PoolList),
      password: Type.Optional(Password),
      disabled: Type.Optional(Type.Boolean({ description: DISABLED })),
    }),
    admit: (body, principal) =>
      requireNonExpiring(principal, { ...body, scopes: scopesWith(body.role, body.scopes) }),
    responses: { 200: { description: 'The member', schema: MemberView, headers: ['ETag'] } },
    errors: ['already_exists'],
    async handler({ deps, principal, params, body, ifMatch, actor, credentialGuards }) {
      const { password, role, scopes, ...fields } = body;
      requirePermissionsOf(principal, await visibleMember(deps, principal, params.member_id));
      throwIfAny((await checkPools(deps.db, principal.org_id, body.pools)).errors);
      const change = {
        ...fields,
        // The two belong together: scopes without a role are the member's own.
        ...((role ?? scopes) !== undefined && { role, scopes: scopesWith(role, scopes) }),
        ...(body.email !== undefined && { email: normalEmail(body.email) }),
        ...(password !== undefined && { password_hash: await hashed(deps, password) }),
      };
      return updateWithRetry('member', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleMember(deps, principal, params.member_id);
        requireVersion(before.version, ifMatch);
        requirePermissionsOf(principal, before);
        const poolGuards = await checkPools(deps.db, principal.org_id, body.pools);
        throwIfAny(poolGuards.errors);
        if (isSame({ ...before, ...change }, before)) return memberResponse(before);
        const after: Member = {
          ...before,
          ...change,
          ...(password !== undefined && { password_version: (before.password_version ?? 1) + 1 }),
          version: before.version + 1,
          updated_at: deps.db.clock.now(),
        };
        const data = {
          ...changesOf(before, after, ['email', 'name', 'role', 'scopes', 'pools', 'disabled']),
          ...(password !== undefined && { password: 'changed' }),
        };
        const auditEvent = { ...newAuditEvent(actor, 'member.updated', 'member', after.member_id), data };
        await requireFree(deps, after);
        const whole = merge(callerGuards, poolGuards, memberWrites(deps.db, before, after));
        if (!(await commitAudited(deps.db, after.org_id, auditEvent, whole))) return CONFLICT;
        deps.forgetCredential(after.member_id);
        return memberResponse(after);
      });
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/members/{member_id}',
    access: liveScope('members:write'),
    versioned: true,
    tag: 'Members',
    operationId: 'deleteMember',
    summary: 'Remove a member',
    description: 'All sessions and access tokens of the member end.',
    params: MemberParams,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, params, ifMatch, actor, credentialGuards }) {
      return updateWithRetry('member', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleMember(deps, principal, params.member_id);
        requireVersion(before.version, ifMatch);
        requirePermissionsOf(principal, before);
        const { email, name } = before;
        const auditEvent = {
          ...newAuditEvent(actor, 'member.removed', 'member', before.member_id),
          data: { email, name },
        };
        const owner = { kind: 'member', org_id: before.org_id, member_id: before.member_id } as const;
        const ended = await endSessions(deps.db, owner);
        const gone = merge(callerGuards, memberWrites(deps.db, before, null), ended);
        if (!(await commitAudited(deps.db, before.org_id, auditEvent, gone))) return CONFLICT;
        deps.forgetCredential(before.member_id);
        return { status: 204 };
      });
    },
  }),
];

/** Requires that no other member of the org has the email address. @throws ApiError 409 */
async function requireFree(deps: ApiDeps, { org_id, member_id, email }: Member): Promise<void> {
  const holder = await findMember(deps.db, org_id, email);
  if (holder !== null && holder.member_id !== member_id)
    throw new ApiError('already_exists', 'Another member of the org has this email address.');
}

/** Loads a member that the key may see. @throws ApiError 404 */
export async function visibleMember(deps: ApiDeps, principal: KeyPrincipal, id: string): Promise<Member> {
  const member = await loadMember(deps.db, principal.org_id, id);
  if (member === null || !maySee(principal, member)) throw notFound();
  return member;
}

async function hashed({ passwordCost }: ApiDeps, password: string): Promise<string> {
  try {
    return await hashPassword(password, passwordCost);
  } catch (error) {
    if (!(error instanceof TooManyPasswords)) throw error;
    throw new ApiError('unavailable', 'Too many passwords are being set at the same time. Try again.', {
      headers: { 'Retry-After': '2' },
    });
  }
}

function memberView(member: Member): object {
  const { member_id, email, name, role = null, scopes, pools, disabled, created_at, updated_at } = member;
  const times = { created_at: timestamp(created_at), updated_at: timestamp(updated_at) };
  return { member_id, email, name, role, scopes, pools, disabled, ...times };
}

function memberResponse(member: Member, status = 200): HttpResponse {
  return versionedResponse(member, memberView(member), `/v1/members/${member.member_id}`, status);
}
