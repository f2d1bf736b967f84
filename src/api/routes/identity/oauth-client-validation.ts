// Rules of an OAuth client that no schema can express.

import type { OAuthClient } from '../../../store/identity/oauth-clients.ts';
import type { Change } from '../../../store/redis/commit.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { checkPools } from '../../access/grants.ts';
import { type FieldError, throwIfAny } from '../../http/problem.ts';

/**
 * Checks the rules of a client that no schema can express.
 * @returns guards that fail when one of its pools is removed. @throws ApiError 422
 */
export async function requireValidClient(db: Db, client: OAuthClient): Promise<Change> {
  const { errors, ...poolGuards } = await checkPools(db, client.org_id, client.pools);
  const faults: FieldError[] = [...errors];
  const { grant_types, redirect_uris, post_logout_redirect_uris = [], secret_hash } = client;
  if (secret_hash === null && grant_types.includes('client_credentials'))
    faults.push({
      pointer: '/public',
      message: 'must be false for client_credentials, which needs a secret',
    });
  const isInteractive = grant_types.includes('authorization_code');
  if (isInteractive && redirect_uris.length === 0)
    faults.push({ pointer: '/redirect_uris', message: 'must name at least one for authorization_code' });
  if (!isInteractive && redirect_uris.length > 0)
    faults.push({
      pointer: '/redirect_uris',
      message: 'is allowed only with the grant type authorization_code',
    });
  if (!isInteractive && post_logout_redirect_uris.length > 0)
    faults.push({
      pointer: '/post_logout_redirect_uris',
      message: 'is allowed only with the grant type authorization_code',
    });
  for (const [name, uris] of Object.entries({ redirect_uris, post_logout_redirect_uris }))
    for (const [index, uri] of uris.entries()) {
      const fault = redirectFault(uri, secret_hash === null);
      if (fault !== null) faults.push({ pointer: `/${name}/${index}`, message: fault });
    }
  throwIfAny(faults);
  return poolGuards;
}

/** What is wrong with a redirect URI (RFC 6749, section 3.1.2, and RFC 8252, section 7); null when it is valid. */
function redirectFault(uri: string, isPublic: boolean): string | null {
  if (!URL.canParse(uri) || /[\s*\\]/.test(uri)) return 'must be an absolute URL, without wildcards';
  const { protocol, hash, username, password, hostname } = new URL(uri);
  if (hash !== '' || uri.includes('#')) return 'must not have a fragment';
  if (username !== '' || password !== '') return 'must not have a user name or password';
  if (protocol === 'https:') return null;
  if (protocol === 'http:')
    return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)
      ? null
      : 'must be https, except on loopback';
  // A private-use scheme is a reversed domain name (RFC 8252, section 7.1), so it has a dot.
  if (isPublic && /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(protocol)) return null;
  return 'must be https, http on loopback or, for a public client, a scheme such as com.example.app:';
}
