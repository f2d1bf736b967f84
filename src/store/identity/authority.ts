// What the authority of work in the background permits now.

import type { Authority } from '../../state/access/authority.ts';
import { intersection, type Permission } from '../../state/access/permission.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, sharedKeysOf } from '../redis/keys.ts';
import { loadRecord } from '../redis/records.ts';
import { API_KEY_SHAPE, type ApiKey } from './api-keys.ts';
import { loadIssuer } from './issuers.ts';
import { loadMember, passwordVersion } from './members.ts';
import { loadTokenParties } from './oauth-records.ts';

/** What the credential permits, with guards that hold while that is unchanged; or why it permits nothing. */
export type Permitted =
  | { permission: Permission; guards: readonly Guard[] }
  | { lost: 'credential_revoked' | 'credential_expired' };

const REVOKED = { lost: 'credential_revoked' } as const;
const EXPIRED = { lost: 'credential_expired' } as const;

/** What the credential permits at this moment. @throws UnreadableRecord */
export async function permittedBy(db: Db, orgId: string, authority: Authority): Promise<Permitted> {
  const keys = orgKeysOf(db.prefix, orgId);
  const now = db.clock.now();
  switch (authority.kind) {
    case 'api_key': {
      const name = sharedKeysOf(db.prefix, orgId).apiKey(authority.key_id);
      const key = await loadRecord<ApiKey>(db, name, API_KEY_SHAPE);
      if (key === null) return REVOKED;
      if (key.expires_at !== null && key.expires_at <= now) return EXPIRED;
      return { permission: key, guards: [{ kind: 'version', key: name, version: key.version }] };
    }
    case 'oauth_token': {
      const { hash, expires_at, scopes, client_id, member_id, grant } = authority;
      const token = keys.credential(hash);
      const isLive = expires_at > now;
      if (isLive && (await db.redis.exists(token)) === 0) return REVOKED;
      const parties = await loadTokenParties(db, { org_id: orgId, client_id, member_id, grant });
      if (parties === null) return REVOKED;
      const { client, member } = parties;
      const guards: Guard[] = [
        { kind: 'version', key: keys.oauthClient(client_id), version: client.version },
      ];
      if (isLive) guards.push({ kind: 'present', key: token });
      if (grant !== null) guards.push({ kind: 'present', key: keys.oauth(`Grant:${grant}`) });
      if (member !== null)
        guards.push({ kind: 'version', key: keys.member(member.member_id), version: member.version });
      const own = { scopes, pools: ['*'] };
      return { permission: intersection(own, client, ...(member === null ? [] : [member])), guards };
    }
    case 'member': {
      const { member_id, password_version } = authority;
      const member = await loadMember(db, orgId, member_id);
      if (member === null || member.disabled || passwordVersion(member) !== password_version) return REVOKED;
      return {
        permission: member,
        guards: [{ kind: 'version', key: keys.member(member_id), version: member.version }],
      };
    }
    case 'issuer_token': {
      const { issuer_id, version, expires_at, scopes } = authority;
      const issuer = await loadIssuer(db, orgId, issuer_id);
      if (issuer === null || issuer.version !== version) return REVOKED;
      if (expires_at <= now) return EXPIRED;
      const guards: Guard[] = [{ kind: 'version', key: keys.issuer(issuer_id), version }];
      return { permission: { scopes, pools: issuer.pools }, guards };
    }
  }
}
