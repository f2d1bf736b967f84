// OAuth clients: programs that may request access tokens of an org. The id of a client contains the id of its org, so
// no index is needed to find it. Its secret is stored as a hash, like every credential.

import { randomBytes } from 'node:crypto';
import { parse, stringify } from 'uuid';
import type { Shape } from '../../state/text/forms.ts';
import { type Change, EMPTY_CHANGE } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { loadRecord, recordWrites } from '../redis/records.ts';

/** Form of a client's id. */
export const CLIENT_ID = '^blc_[A-Za-z0-9_-]{43}$';

export const GRANT_TYPES = ['client_credentials', 'authorization_code'] as const;
type GrantType = (typeof GRANT_TYPES)[number];

export interface OAuthClient {
  client_id: string;
  org_id: string;
  version: number;
  name: string;
  grant_types: GrantType[];
  redirect_uris: string[];
  /** Where a browser may be redirected after signing out; absent: nowhere. */
  post_logout_redirect_uris?: string[];
  scopes: string[];
  /** `["*"]`, or the pools that its tokens are restricted to. */
  pools: string[];
  /** SHA-256 of the secret; null for a public client, which cannot keep one (RFC 6749, section 2.1). */
  secret_hash: string | null;
  created_at: number;
  updated_at: number;
}

export const CLIENT_SHAPE: Shape<OAuthClient> = {
  client_id: 'string',
  org_id: 'string',
  version: 'number',
  grant_types: 'strings',
  redirect_uris: 'strings',
  scopes: 'strings',
  pools: 'strings',
  created_at: 'number',
  updated_at: 'number',
};

/** A new client id of the org. */
export function newClientId(orgId: string): string {
  return `blc_${Buffer.concat([parse(orgId), randomBytes(16)]).toString('base64url')}`;
}

/** The org of a client id; null when the id is malformed. */
export function orgOfClient(clientId: string): string | null {
  if (!new RegExp(CLIENT_ID).test(clientId)) return null;
  try {
    return stringify(Buffer.from(clientId.slice(4), 'base64url').subarray(0, 16));
  } catch {
    return null;
  }
}

/** The client with this id; null when there is none. @throws UnreadableRecord */
export async function loadOAuthClient(db: Db, clientId: string): Promise<OAuthClient | null> {
  const orgId = orgOfClient(clientId);
  return orgId === null
    ? null
    : loadRecord(db, orgKeysOf(db.prefix, orgId).oauthClient(clientId), CLIENT_SHAPE);
}

/** Guards and writes that create (`before` null), change or remove (`after` null) a client. Its tokens end with it. */
export function oauthClientWrites(db: Db, before: OAuthClient | null, after: OAuthClient | null): Change {
  const client = after ?? before;
  if (client === null) return EMPTY_CHANGE;
  const keys = orgKeysOf(db.prefix, client.org_id);
  const key = keys.oauthClient(client.client_id);
  const member = listMember(client.created_at, client.client_id);
  if (after === null)
    return {
      guards: [{ kind: 'version', key, version: client.version }],
      writes: [
        ['DEL', key],
        ['ZREM', keys.index('oauth_clients'), member],
      ],
    };
  const { guards, writes } = recordWrites(key, before?.version ?? 0, after);
  return {
    guards,
    writes: before === null ? [...writes, ['ZADD', keys.index('oauth_clients'), 0, member]] : writes,
  };
}
