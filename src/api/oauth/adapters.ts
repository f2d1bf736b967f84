// Storage adapters of oidc-provider: they keep its records in our store and give it the OAuth clients of the orgs.

import { type Adapter, type AdapterPayload, errors, Provider } from 'oidc-provider';
import type { OAuthClient } from '../../store/identity/oauth-clients.ts';
import { OAuthRecords } from '../../store/identity/oauth-records.ts';
import { isSuspended } from '../../store/identity/suspension.ts';
import { type Db, isUnavailable } from '../../store/redis/connection.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import { orgSuspended } from '../http/problem.ts';
import { isConsoleClient, loadClient } from './console-client.ts';
import { interactionAdapter } from './interactions.ts';
import { storeRedisTimes } from './redis-time.ts';
import type { SealedCookies } from './sealed-cookies.ts';

const DAY_S = 24 * 60 * 60;

/**
 * The adapter factory for the library, which asks for one adapter per kind of record.
 * @param issuer origin of the server @param onEnded called with the hash of the id of each token and grant that ends.
 */
export function adapters(
  db: Db,
  issuer: string,
  sealer: Sealer,
  cookies: SealedCookies,
  onEnded: (hash: string) => void,
): (kind: string) => Adapter {
  const records = new OAuthRecords(db, sealer, onEnded);
  const adapterOf = (kind: string) => {
    if (kind === 'Client') return clientAdapter(db, issuer);
    const kept = kind === 'Interaction' ? interactionAdapter(cookies, records) : adapter(records, kind);
    return storeRedisTimes(kept, db.clock);
  };
  return (kind) => failFast(adapterOf(kind));
}

/** Requests that have met an unavailable Redis, with the error. */
const outages = new WeakMap<object, unknown>();

/**
 * An adapter that fails at once when an earlier call of the same request found Redis unavailable. The library goes on
 * reading after an error, for its cookies and its error page, and each call would wait for its own timeout.
 */
function failFast(given: Adapter): Adapter {
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

/** Adapter for tokens, grants and sessions. Using a code or refresh token a second time revokes its whole grant. */
function adapter(records: OAuthRecords, kind: string): Adapter {
  return {
    async upsert(id, payload, seconds) {
      // A session without a signed-in member holds nothing.
      if (kind === 'Session' && payload.accountId === undefined) return;
      await records.save(kind, id, payload, seconds ?? 365 * DAY_S);
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
      throw new errors.InvalidGrant('it has already been used');
    },
  };
}

function clientAdapter(db: Db, issuer: string): Adapter {
  const never = () => Promise.reject(new Error('the authorization server must not change clients'));
  return {
    async find(id) {
      const client = await loadClient(db, issuer, id);
      if (client === null) return undefined;
      if (await isSuspended(db, client.org_id)) throw orgSuspended();
      return clientMetadata(client);
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
  // Redirects to loopback or a private-use scheme make a native app (RFC 8252): any port, and consent each time.
  const isNative =
    secret_hash === null &&
    !isConsoleClient(client_id) &&
    redirect_uris.every((uri) => !uri.startsWith('https:'));
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
