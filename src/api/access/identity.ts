// Resolves a credential that BioLayer issued to a principal: an API key, a worker token, the session of a browser, or an
// access token of the authorization server. An access token has the permissions that it, its client and its member currently
// have in common.

import { intersection } from '../../state/access/permission.ts';
import { parseCredential } from '../../store/identity/credential-text.ts';
import { findCredential, type OAuthToken } from '../../store/identity/credentials.ts';
import { loadMember, passwordVersion } from '../../store/identity/members.ts';
import { loadTokenParties } from '../../store/identity/oauth-records.ts';
import { type MemberSession, ownerOf, type WorkerSession } from '../../store/identity/session-records.ts';
import { isListed, listedGuard, sessionsKey } from '../../store/identity/sessions.ts';
import { hasItsWorker } from '../../store/identity/worker-tokens.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgKeysOf, partitionKeys, sharedKeysOf } from '../../store/redis/keys.ts';
import type { Principal, SessionRef } from './principal.ts';

export interface Identity {
  principal: Extract<Principal, { org_id: string }>;
  /** When the credential expires, ms since the epoch; null for never. */
  expires_at: number | null;
  /**
   * Names under which the cached identity can be dropped: hashes of the credential and its grant, ids of client, member or
   * issuer, the key of the owner's sessions.
   */
  tags: readonly string[];
  /** Guards that hold while the credential, and the client and member it acts for, are unchanged. */
  guards: Guard[];
}

/** The identity of a credential; null if it is unknown or revoked. The caller must check the expiry. */
export async function identify(db: Db, text: string): Promise<Identity | null> {
  const where = parseCredential(text);
  if (where === null) return null;
  const stored = await findCredential(db, where);
  switch (stored?.kind) {
    case undefined:
    case 'sign_in_link':
      return null;
    case 'worker_session':
      return identifyWorkerSession(db, stored, where.hash);
    case 'member_session':
      return identifyMemberSession(db, stored, where.hash);
    case 'worker_token': {
      if (!(await hasItsWorker(db, stored))) return null;
      const { org_id, worker_id, incarnation = '', pools = ['*'] } = stored;
      const { credential } = partitionKeys(db.prefix, where.partition);
      return {
        principal: { kind: 'worker', org_id, worker_id, incarnation, pools },
        expires_at: null,
        tags: [where.hash],
        guards: [{ kind: 'present', key: credential(where.hash) }],
      };
    }
    case 'api_key': {
      const { org_id, key_id, scopes, pools, expires_at, version } = stored;
      const { apiKey } = sharedKeysOf(db.prefix, org_id);
      const principal: Identity['principal'] = {
        kind: 'api_key',
        org_id,
        key_id,
        actor: `api_key:${key_id}`,
        scopes,
        pools,
        expires_at,
        authority: { kind: 'api_key', key_id },
      };
      const guards: Guard[] = [{ kind: 'version', key: apiKey(key_id), version }];
      return { principal, expires_at, tags: [where.hash], guards };
    }
    case 'oauth_token':
      return identifyToken(db, stored, where.hash);
  }
}

async function identifyWorkerSession(db: Db, session: WorkerSession, hash: string): Promise<Identity | null> {
  const [listed, hasWorker] = await Promise.all([isListed(db, session, hash), hasItsWorker(db, session)]);
  if (!listed || !hasWorker) return null;
  const { org_id, worker_id, incarnation = '', pools = ['*'], expires_at } = session;
  return {
    principal: { kind: 'worker', org_id, worker_id, incarnation, pools, session: refOf(session, hash) },
    expires_at,
    tags: [hash, sessionsKey(db, ownerOf(session))],
    guards: [listedGuard(db, session, hash)],
  };
}

/** A session does what its member may do; only the session expires, not what the member grants with it. */
async function identifyMemberSession(db: Db, session: MemberSession, hash: string): Promise<Identity | null> {
  const { org_id, member_id, password_version, expires_at } = session;
  const [listed, member] = await Promise.all([
    isListed(db, session, hash),
    loadMember(db, org_id, member_id),
  ]);
  if (!listed || member === null || member.disabled || passwordVersion(member) !== password_version)
    return null;
  return {
    principal: {
      kind: 'api_key',
      org_id,
      key_id: member_id,
      actor: `member:${member_id}`,
      scopes: member.scopes,
      pools: member.pools,
      expires_at: null,
      authority: { kind: 'member', member_id, password_version },
      session: refOf(session, hash),
    },
    expires_at,
    tags: [hash, member_id, sessionsKey(db, ownerOf(session))],
    guards: [
      listedGuard(db, session, hash),
      {
        kind: 'version',
        key: orgKeysOf(db.prefix, org_id).member(member_id),
        version: member.version,
      },
    ],
  };
}

function refOf(session: WorkerSession | MemberSession, hash: string): SessionRef {
  const { session_id, expires_at } = session;
  return { owner: ownerOf(session), session_id, hash, expires_at };
}

async function identifyToken(db: Db, token: OAuthToken, hash: string): Promise<Identity | null> {
  const parties = await loadTokenParties(db, token);
  if (parties === null) return null;
  const { client, member } = parties;
  const permissions = intersection(
    { scopes: token.scopes, pools: ['*'] },
    client,
    ...(member === null ? [] : [member]),
  );
  const actor = member === null ? `oauth_client:${client.client_id}` : `member:${member.member_id}`;
  const { org_id, expires_at, scopes, client_id, member_id, grant } = token;
  const authority = { kind: 'oauth_token', hash, expires_at, scopes, client_id, member_id, grant } as const;
  const keys = orgKeysOf(db.prefix, org_id);
  const guards: Guard[] = [
    { kind: 'present', key: keys.credential(hash) },
    { kind: 'version', key: keys.oauthClient(client.client_id), version: client.version },
  ];
  if (token.grant !== null) guards.push({ kind: 'present', key: keys.oauth(`Grant:${token.grant}`) });
  if (member !== null)
    guards.push({ kind: 'version', key: keys.member(member.member_id), version: member.version });
  return {
    principal: {
      kind: 'api_key',
      org_id,
      key_id: client.client_id,
      actor,
      ...permissions,
      expires_at,
      authority,
    },
    expires_at,
    tags: [hash, client.client_id, ...(member === null ? [] : [member.member_id]), token.grant ?? hash],
    guards,
  };
}
