// The console as a client of the authorization server: built in, one for each org, without a consent page. It gets no tokens:
// its codes are used in this process only (`console-sign-in.ts`), and no grant is stored.

import { parse } from 'uuid';
import { loadOAuthClient, type OAuthClient, orgOfClient } from '../../store/identity/oauth-clients.ts';
import { loadOrg } from '../../store/identity/orgs.ts';
import type { Db } from '../../store/redis/connection.ts';

export const CONSOLE_CALLBACK_PATH = '/console/callback';
/** In place of the random part of a client id. */
const NO_RANDOM = Buffer.alloc(16);

/** Client id of an org's console. */
export function consoleClientId(orgId: string): string {
  return `blc_${Buffer.concat([parse(orgId), NO_RANDOM]).toString('base64url')}`;
}

/** Whether this is the client id of a console. */
export function isConsoleClient(clientId: string): boolean {
  const orgId = orgOfClient(clientId);
  return orgId !== null && consoleClientId(orgId) === clientId;
}

/**
 * The client with this id, also a console; null when there is none.
 * @param issuer origin of the server @throws UnreadableRecord
 */
export async function loadClient(db: Db, issuer: string, clientId: string): Promise<OAuthClient | null> {
  if (!isConsoleClient(clientId)) return loadOAuthClient(db, clientId);
  const org = await loadOrg(db, orgOfClient(clientId) ?? '');
  if (org === null) return null;
  return {
    client_id: clientId,
    org_id: org.org_id,
    version: 1,
    name: 'the console',
    grant_types: ['authorization_code'],
    redirect_uris: [issuer + CONSOLE_CALLBACK_PATH],
    scopes: [],
    pools: ['*'],
    secret_hash: null,
    created_at: org.created_at,
    updated_at: org.updated_at,
  };
}
