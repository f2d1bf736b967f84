// Signing a browser in: with a one-time link, a worker token, or the password that the authorization server has checked; and out.
// The session, its audit entry and the use of the link are one commit, so a link signs in once however many press it.

import { lacking } from '../../state/access/permission.ts';
import { newAuditEvent } from '../../state/audit/audit.ts';
import type { Worker } from '../../state/workers/worker.ts';
import { commitAudited } from '../../store/audit/audit-log.ts';
import { permittedBy } from '../../store/identity/authority.ts';
import { newCredential, parseCredential } from '../../store/identity/credential-text.ts';
import { findCredential } from '../../store/identity/credentials.ts';
import { loadMember, type Member, passwordVersion } from '../../store/identity/members.ts';
import {
  type MemberSession,
  ownerOf,
  type SignInLink,
  type WorkerSession,
} from '../../store/identity/session-records.ts';
import {
  endSession,
  isListed,
  SESSION_LIFE_MS,
  sessionsKey,
  sessionWrites,
  useLink,
} from '../../store/identity/sessions.ts';
import { countSignIn } from '../../store/identity/sign-in-attempts.ts';
import { hasItsWorker } from '../../store/identity/worker-tokens.ts';
import { type Change, commit, EMPTY_CHANGE, type Guard, merge } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../../store/redis/contention.ts';
import { newId } from '../../store/redis/ids.ts';
import { orgKeysOf, partitionKeys } from '../../store/redis/keys.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { ApiError } from '../http/problem.ts';
import type { HttpResponse, SessionKind } from '../http/response.ts';
import type { SessionRef } from './principal.ts';

/** Most sign-ins of one worker or member within fifteen minutes. */
export const MAX_SIGN_INS = 30;

/** The browser that signs in. */
export interface Browser {
  userAgent: string | null;
  /** Loads the rules of the org; see `Call.orgGuard`. */
  orgGuard(orgId: string): Promise<Guard>;
}

/** A new session. */
export interface SignedIn<S> {
  /** The value of the cookie. */
  text: string;
  session: S;
}

/**
 * Signs a worker in with a one-time link or a worker token.
 * @throws ApiError 401 when it is invalid or has ended, 403 by the org's rules, 429 after too many sign-ins
 */
export function signInWorker(
  db: Db,
  given: { link: string } | { token: string },
  browser: Browser,
): Promise<SignedIn<WorkerSession> & { worker: Worker }> {
  return updateWithRetry('session', async () => {
    const found = 'link' in given ? await readLink(db, given.link) : await readToken(db, given.token);
    if (found === null || !('worker_id' in found.subject)) throw notValid(given);
    const { org_id, subject, used } = found;
    const { worker_id, incarnation, pools } = subject;
    const orgGuard = await browser.orgGuard(org_id);
    const worker = await loadWorker(db, org_id, worker_id);
    if (
      worker === null ||
      !(await hasItsWorker(db, { org_id, worker_id, ...(incarnation !== undefined && { incarnation }) }))
    )
      throw notValid(given);
    const session: WorkerSession = {
      kind: 'worker_session',
      org_id,
      worker_id,
      ...(incarnation !== undefined && { incarnation }),
      ...(pools !== undefined && { pools }),
      signed_in_with: 'link' in given ? 'link' : 'token',
      ...newSession(db, 'worker', browser),
    };
    const text = await commitSession(db, session, merge(used, { guards: [orgGuard], writes: [] }));
    return text === null ? CONFLICT : { text, session, worker };
  });
}

/** Ends the session of a browser. @returns the response, which removes the cookie */
export async function signOut(
  { db, forgetCredential }: { db: Db; forgetCredential(hash: string): void },
  kind: SessionKind,
  { owner, hash }: SessionRef,
): Promise<HttpResponse> {
  await commit(db.redis, endSession(db, owner, hash));
  forgetCredential(hash);
  return { status: 204, cookie: { kind, text: null, life: 0 } };
}

/** Signs a member in with a one-time link. @throws ApiError as `signInWorker` */
export function signInMemberByLink(
  db: Db,
  link: string,
  browser: Browser,
): Promise<SignedIn<MemberSession> & { member: Member }> {
  return updateWithRetry('session', async () => {
    const found = await readLink(db, link);
    if (found === null || !('member_id' in found.subject)) throw notValid({ link });
    const { org_id, subject, used } = found;
    const made = await memberSession(db, { org_id, ...subject, signed_in_with: 'link' }, browser, used);
    if (made === null) throw notValid({ link });
    return made;
  });
}

/**
 * Signs a member in whose password the authorization server has checked.
 * @param signIn the member, the version of that password, and the `uid` of the session at the authorization server
 * @returns null when the member was removed or disabled, or has another password, since. @throws ApiError 403, 429
 */
export function signInMember(
  db: Db,
  signIn: Pick<MemberSession, 'org_id' | 'member_id' | 'password_version' | 'authorization_session'>,
  browser: Browser,
): Promise<(SignedIn<MemberSession> & { member: Member }) | null> {
  return updateWithRetry('session', () =>
    memberSession(db, { ...signIn, signed_in_with: 'password' }, browser, EMPTY_CHANGE),
  );
}

async function memberSession(
  db: Db,
  signIn: Pick<
    MemberSession,
    'org_id' | 'member_id' | 'password_version' | 'authorization_session' | 'signed_in_with'
  >,
  browser: Browser,
  used: Change,
): Promise<(SignedIn<MemberSession> & { member: Member }) | null | typeof CONFLICT> {
  const { org_id, member_id, password_version, authorization_session, signed_in_with } = signIn;
  const orgGuard = await browser.orgGuard(org_id);
  const member = await loadMember(db, org_id, member_id);
  if (member === null || member.disabled || passwordVersion(member) !== password_version) return null;
  const session: MemberSession = {
    kind: 'member_session',
    ...{ org_id, member_id, password_version, signed_in_with },
    ...(authorization_session !== undefined && { authorization_session }),
    ...newSession(db, 'member', browser),
  };
  const asLoaded: Guard = {
    kind: 'version',
    key: orgKeysOf(db.prefix, org_id).member(member_id),
    version: member.version,
  };
  const text = await commitSession(db, session, merge(used, { guards: [asLoaded, orgGuard], writes: [] }));
  return text === null ? CONFLICT : { text, session, member };
}

function newSession(db: Db, owner: 'worker' | 'member', { userAgent }: Browser) {
  const now = db.clock.now();
  return {
    session_id: newId(now),
    user_agent: userAgent,
    created_at: now,
    expires_at: now + SESSION_LIFE_MS[owner],
  };
}

/** Stores a session. @returns its text; null when a guard of the change failed. @throws ApiError 429 */
async function commitSession(
  db: Db,
  session: WorkerSession | MemberSession,
  change: Change,
): Promise<string | null> {
  const owner = ownerOf(session);
  const wait = await countSignIn(db, sessionsKey(db, owner), MAX_SIGN_INS);
  if (wait > 0)
    throw new ApiError('rate_limited', 'Too many sign-ins. Try again later.', {
      headers: { 'Retry-After': String(Math.ceil(wait / 1000)) },
    });
  const isWorker = session.kind === 'worker_session';
  const { text, hash } = newCredential(isWorker ? 'blws_' : 'blms_', session.org_id);
  const [type, id] = isWorker
    ? (['worker', session.worker_id] as const)
    : (['member', session.member_id] as const);
  const auditEvent = {
    ...newAuditEvent(`${type}:${id}`, `${type}.signed_in`, type, id),
    data: { session_id: session.session_id, with: session.signed_in_with },
  };
  const whole = merge(change, await sessionWrites(db, session, hash));
  return (await commitAudited(db, session.org_id, auditEvent, whole)) ? text : null;
}

interface Found<Subject> {
  org_id: string;
  subject: Subject;
  /** Guards that hold while it is valid, and writes that use it up. */
  used: Change;
}

/**
 * The link with this text; null when there is none, it was used, has expired, or the caller who created it has lost the
 * permission to.
 */
async function readLink(db: Db, text: string): Promise<Found<SignInLink['subject']> | null> {
  const where = parseCredential(text);
  const link = where === null ? null : await findCredential(db, where);
  if (where === null || link?.kind !== 'sign_in_link' || link.expires_at <= db.clock.now()) return null;
  if (!(await isListed(db, link, where.hash))) return null;
  const { org_id, subject, authority } = link;
  const used = useLink(db, link, where.hash);
  if (authority === null) return { org_id, subject, used };
  const permitted = await permittedBy(db, org_id, authority);
  if ('lost' in permitted) return null;
  const { scopes, pools } = permitted.permission;
  const pool = 'pools' in subject ? (subject.pools ?? ['*']) : ['*'];
  const scope = subject.kind === 'worker' ? 'workers:write' : 'members:write';
  if (lacking(scopes, [scope]).length > 0 || lacking(pools, pool).length > 0) return null;
  return { org_id, subject, used: merge(used, { guards: permitted.guards, writes: [] }) };
}

/** The worker token with this text; null when there is none. */
async function readToken(
  db: Db,
  text: string,
): Promise<Found<Extract<SignInLink['subject'], { kind: 'worker' }>> | null> {
  const where = parseCredential(text);
  const token = where === null ? null : await findCredential(db, where);
  if (where === null || token?.kind !== 'worker_token') return null;
  const { org_id, worker_id, incarnation, pools } = token;
  const key = partitionKeys(db.prefix, where.partition).credential(where.hash);
  return {
    org_id,
    subject: {
      kind: 'worker',
      worker_id,
      ...(incarnation !== undefined && { incarnation }),
      ...(pools !== undefined && { pools }),
    },
    used: { guards: [{ kind: 'present', key }], writes: [] },
  };
}

function notValid(given: object): ApiError {
  const detail =
    'link' in given
      ? 'This link has been used, has expired or has been revoked. Ask for a new one.'
      : 'The worker token is not valid.';
  return new ApiError('invalid_credential', detail, { headers: { 'WWW-Authenticate': 'Bearer' } });
}
