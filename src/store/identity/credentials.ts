// Credentials: API keys, worker tokens, OAuth access tokens, sessions and sign-in links, each found by the SHA-256 of its text.

import { timingSafeEqual } from 'node:crypto';
import { isObject, type Read, readJson, readShape } from '../../state/text/forms.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys } from '../redis/keys.ts';
import { required } from '../redis/unreadable.ts';
import { API_KEY_SHAPE, type ApiKey } from './api-keys.ts';
import type { MemberSession, SignInLink, WorkerSession } from './session-records.ts';
import type { WorkerToken } from './worker-tokens.ts';

/** An OAuth access token. Its permissions are the intersection of its own, its client's and its member's. */
export interface OAuthToken {
  kind: 'oauth_token';
  org_id: string;
  client_id: string;
  /** The member on whose behalf the client acts; null when it acts for itself. */
  member_id: string | null;
  scopes: string[];
  /** Hash of the id of its grant, without which it is invalid; null when a client acts for itself. */
  grant: string | null;
  /** ms since the epoch */
  expires_at: number;
  /** The authorization server's own record of it, sealed. */
  sealed: string;
}

export type StoredCredential = ApiKey | WorkerToken | OAuthToken | WorkerSession | MemberSession | SignInLink;

/** Reads a stored credential. */
export function readCredential(text: string): Read<StoredCredential> {
  const json = readJson(text);
  if (json.kind !== 'known') return json;
  const isKey = isObject(json.value) && json.value.kind === 'api_key';
  if (isKey) return readShape<ApiKey>(json.value, API_KEY_SHAPE);
  return readShape<Exclude<StoredCredential, ApiKey>>(json.value, { kind: 'string', org_id: 'string' });
}

/**
 * The credential with this hash; null when there is none. The caller checks whether it has expired.
 * @param where from `parseCredential`. @throws UnreadableRecord
 */
export async function findCredential(
  db: Db,
  where: { partition: string; hash: string },
): Promise<StoredCredential | null> {
  const key = partitionKeys(db.prefix, where.partition).credential(where.hash);
  const text = await db.redis.get(key);
  if (text === null) return null;
  const found = required(key, readCredential(text));
  // The key contains the hash already. Compared again, so that a record under a wrong key cannot authenticate anything.
  if (found.kind === 'api_key' && !timingSafeEqual(Buffer.from(found.hash), Buffer.from(where.hash)))
    return null;
  return found;
}
