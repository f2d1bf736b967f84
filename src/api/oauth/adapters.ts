// Between the library and our store: what it wants kept and what it wants to know of clients.

import { type Adapter, type AdapterPayload, errors, Provider } from 'oidc-provider';
import { loadOAuthClient, type OAuthClient } from '../../store/identity/oauth-clients.ts';
import { OAuthRecords } from '../../store/identity/oauth-records.ts';
import { type Db, isUnavailable } from '../../store/redis/connection.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import { interactionAdapter } from './interactions.ts';
import { keepRedisTimes } from './redis-time.ts';
import type { SealedCookies } from './sealed-cookies.ts';

const DAY = 24 * 60 * 60;

/**
 * The library's way to each kind of what is kept.
 * @param onEnded told the hash of the id of each token and grant that ends.
 */
export function adapters(
  db: Db,
  sealer: Sealer,
  cookies: SealedCookies,
  onEnded: (hash: string) => void,
): (kind: string) => Adapter {
  const records = new OAuthRecords(db, sealer, onEnded);
  const adapterOf = (kind: string) => {
    if (kind === 'Client') return clientAdapter(db);
    const kept = kind === 'Interaction' ? interactionAdapter(cookies, records) : adapter(records, kind);
    return keepRedisTimes(kept, db.clock);
  };
  return (kind) => oneOutage(adapterOf(kind));
}

/** Requests that have found Redis away. */
const outages = new WeakMap<object, unknown>();

/** The library asks on after a failure, for its cookies and its error page; each would wait anew for a silent Redis. */
function oneOutage(given: Adapter): Adapter {
  const ask = async <T>(check: () => Promise<T>): Promise<T> => {
    const request = Provider.ctx?.req;
    if (request !== undefined && outages.has(request)) throw outages.get(request);
    try {
      return await check();
    } catch (error) {
      if (request !== undefined && isUnavailable(error)) outages.set(request, error);
      throw error;
    }
  };
  return {
    upsert: (...args) => ask(async () => given.upsert(...args)),
    find: (...args) => ask(async () => given.find(...args)),
    findByUid: (...args) => ask(async () => given.findByUid(...args)),
    findByUserCode: (...args) => ask(async () => given.findByUserCode(...args)),
    destroy: (...args) => ask(async () => given.destroy(...args)),
    revokeByGrantId: (...args) => ask(async () => given.revokeByGrantId(...args)),
    consume: (...args) => ask(async () => given.consume(...args)),
  };
}

/** What the library keeps, kept by us. A second use of a code or refresh token ends all that came of the first. */
function adapter(records: OAuthRecords, kind: string): Adapter {
  return {
    async upsert(id, payload, seconds) {
      // A session that nobody has signed in to holds nothing.
      if (kind === 'Session' && payload.accountId === undefined) return;
      await records.save(kind, id, payload, seconds ?? 365 * DAY);
    },
    find: (id) => records.find(kind, id) as Promise<AdapterPayload | undefined>,
    findByUid: (uid) => records.findByUid(kind, uid) as Promise<AdapterPayload | undefined>,
    findByUserCode: async () => undefined,
    destroy: (id) => records.remove(kind, id),
    revokeByGrantId: (grantId) => records.remove('Grant', grantId),
    async consume(id) {
      if (await records.consume(kind, id)) return;
      const record = await records.find(kind, id);
      if (record?.grantId !== undefined) await records.remove('Grant', record.grantId);
      throw new errors.InvalidGrant('it was used before');
    },
  };
}

function clientAdapter(db: Db): Adapter {
  const never = () => Promise.reject(new Error('clients are not for the authorization server to change'));
  return {
    async find(id) {
      const client = await loadOAuthClient(db, id);
      return client === null ? undefined : clientMetadata(client);
    },
    upsert: never,
    destroy: never,
    consume: never,
    revokeByGrantId: never,
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}

function clientMetadata(client: OAuthClient): AdapterPayload {
  const { client_id, secret_hash, redirect_uris, post_logout_redirect_uris = [], grant_types } = client;
  const isInteractive = grant_types.includes('authorization_code');
  // Loopback and private-use redirects are those of native apps (RFC 8252): any port, and consent each time.
  const isNative = secret_hash === null && redirect_uris.every((uri) => !uri.startsWith('https:'));
  return {
    client_id,
    client_name: client.name,
    redirect_uris,
    post_logout_redirect_uris,
    grant_types: [...grant_types, ...(isInteractive ? ['refresh_token'] : [])],
    response_types: isInteractive ? ['code'] : [],
    application_type: isInteractive && isNative ? 'native' : 'web',
    ...(secret_hash === null
      ? { token_endpoint_auth_method: 'none' }
      : { client_secret: secret_hash, token_endpoint_auth_method: 'client_secret_basic' }),
  } as AdapterPayload;
}
