// The session of the team's console: a browser in which a member is signed in. Members sign in with their password at the
// authorization server (`oauth/console-sign-in.ts`) or with a one-time link.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import { loadMember, type Member } from '../../../store/identity/members.ts';
import { OAuthRecords } from '../../../store/identity/oauth-records.ts';
import { loadOrg } from '../../../store/identity/orgs.ts';
import { listSessions, SESSION_LIFE_MS } from '../../../store/identity/sessions.ts';
import type { Db } from '../../../store/redis/connection.ts';
import type { SessionRef } from '../../access/principal.ts';
import { CONSOLE_SESSION_PATH } from '../../access/session-cookies.ts';
import { signInMemberByLink, signOut } from '../../access/sign-in.ts';
import type { ApiDeps } from '../../deps.ts';
import { notFound } from '../../http/problem.ts';
import { closed, idOf, nullable, Pools, text } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { RoleName, SCOPES_TEXT } from './members.schema.ts';
import { ExpiresAt } from './sessions.schema.ts';

const tag = 'Sign-in';
const path = CONSOLE_SESSION_PATH;
const SessionView = Type.Object(
  {
    member_id: idOf('member'),
    email: text('E-mail address of the member'),
    name: text('Name of the person'),
    org_id: idOf('org'),
    org_name: text('Name of the org'),
    role: nullable(RoleName, 'The role of the member; null for scopes of their own'),
    scopes: Type.Array(Type.String(), { description: SCOPES_TEXT }),
    pools: Pools,
    session_id: idOf('session'),
    expires_at: ExpiresAt,
  },
  { $id: 'ConsoleSession', description: 'The session of a browser in which a member is signed in' },
);

export const consoleSessionRoutes = [
  route({
    method: 'POST',
    path,
    access: { kind: 'sign_in', of: 'console' },
    tag,
    operationId: 'signInMember',
    summary: 'Sign a member in with a link',
    description:
      'For the pages of this server: sets a cookie with which the browser may call the API as the member. A link works once. With a password, members sign in at `/console/sign-in`.',
    body: closed({
      link: Type.String({ maxLength: 100, description: 'The part of a sign-in link after `#`' }),
    }),
    responses: { 201: { description: 'The session; the cookie is set', schema: SessionView } },
    errors: ['invalid_credential', 'origin_not_allowed', 'ip_not_allowed', 'org_suspended'],
    async handler({ deps: { db }, body, ...browser }) {
      const { text, session, member } = await signInMemberByLink(db, body.link, browser);
      return {
        status: 201,
        body: await sessionView(db, session, member),
        cookie: { kind: 'console', text, life: SESSION_LIFE_MS.member },
      };
    },
  }),
  route({
    method: 'GET',
    path,
    access: { kind: 'session', of: 'console' },
    tag,
    operationId: 'getConsoleSession',
    summary: 'Retrieve the session of a member',
    description: 'Shows who is signed in and what they may do, by the cookie; 401 when nobody is.',
    responses: { 200: { description: 'The session', schema: SessionView } },
    async handler({ deps: { db }, principal }) {
      const member = await loadMember(db, principal.org_id, principal.key_id);
      if (member === null) throw notFound();
      return { status: 200, body: await sessionView(db, principal.session, member) };
    },
  }),
  route({
    method: 'DELETE',
    path,
    access: { kind: 'session', of: 'console' },
    tag,
    operationId: 'signOutMember',
    summary: 'Sign the member out of this browser',
    description:
      'Ends the session and removes the cookie; the browser is also signed out of the authorization server. Other sessions stay.',
    responses: { 204: { description: 'Signed out' } },
    async handler({ deps, principal: { session } }) {
      await endAuthorizationSession(deps, session);
      return signOut(deps, 'console', session);
    },
  }),
];

/** Ends the session at the authorization server with which the member signed in, so that nobody else goes on with it. */
async function endAuthorizationSession(
  { db, sealer, forgetCredential }: ApiDeps,
  { owner, session_id }: SessionRef,
): Promise<void> {
  const own = (await listSessions(db, owner)).find((one) => one.session_id === session_id);
  if (own?.kind !== 'member_session' || own.authorization_session === undefined) return;
  await new OAuthRecords(db, sealer, forgetCredential).removeByUid('Session', own.authorization_session);
}

async function sessionView(
  db: Db,
  { session_id, expires_at }: { session_id: string; expires_at: number },
  { member_id, email, name, org_id, role, scopes, pools }: Member,
): Promise<object> {
  const org = await loadOrg(db, org_id);
  return {
    ...{ member_id, email, name, org_id },
    org_name: org?.name ?? '',
    ...{ role: role ?? null, scopes, pools, session_id },
    expires_at: timestamp(expires_at),
  };
}
