// How a team sees in which browsers a member is signed in to the console, and signs them out everywhere.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import type { Member } from '../../../store/identity/members.ts';
import type { SessionOwner } from '../../../store/identity/session-records.ts';
import { endSessions, listSessions, sessionsKey } from '../../../store/identity/sessions.ts';
import { type Change, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { requirePermissionsOf } from '../../access/grants.ts';
import { requireVersion } from '../../http/etag.ts';
import { liveScope, route, scope } from '../../route.ts';
import { MemberParams, visibleMember } from './members.ts';
import { SessionPage, sessionList } from './sessions.schema.ts';

const tag = 'Sign-in';

export const memberSessionRoutes = [
  route({
    method: 'GET',
    path: '/v1/members/{member_id}/sessions',
    access: scope('members:read'),
    tag,
    operationId: 'listMemberSessions',
    summary: 'List the sessions of a member',
    description: 'The browsers in which the member is signed in to the console, the newest first.',
    params: MemberParams,
    responses: { 200: { description: 'All sessions', schema: SessionPage } },
    handler: async ({ deps, principal, params }) =>
      sessionList(
        await listSessions(deps.db, ownerOf(await visibleMember(deps, principal, params.member_id))),
      ),
  }),
  route({
    method: 'DELETE',
    path: '/v1/members/{member_id}/sessions',
    access: liveScope('members:write'),
    versioned: true,
    tag,
    operationId: 'endMemberSessions',
    summary: 'Sign a member out everywhere',
    description:
      'Ends all sessions and unused sign-in links, at once, with open streams. Access tokens of clients that act for the member stay.',
    params: MemberParams,
    responses: { 204: { description: 'Signed out' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      return updateWithRetry('member', async () => {
        const callerGuards = await credentialGuards();
        const member = await visibleMember(deps, principal, params.member_id);
        requirePermissionsOf(principal, member);
        requireVersion(member.version, ifMatch);
        const owner = ownerOf(member);
        const { sessions, links, ...ended } = await endSessions(deps.db, owner);
        if (sessions + links === 0) return { status: 204 };
        const auditEvent = {
          ...newAuditEvent(actor, 'member.signed_out', 'member', member.member_id),
          data: { sessions_ended: sessions, links_ended: links },
        };
        const key = orgKeysOf(deps.db.prefix, member.org_id).member(member.member_id);
        const asFound: Change = { guards: [{ kind: 'version', key, version: member.version }], writes: [] };
        const change = merge(callerGuards, asFound, ended);
        if (!(await commitAudited(deps.db, member.org_id, auditEvent, change))) return CONFLICT;
        deps.forgetCredential(sessionsKey(deps.db, owner));
        return { status: 204 };
      });
    },
  }),
];

function ownerOf({ org_id, member_id }: Member): SessionOwner {
  return { kind: 'member', org_id, member_id };
}
