// The authorization server: oidc-provider, told what our orgs, clients and members are and what they may do.
// Access tokens are opaque, so that one that is revoked is refused within a second everywhere; what they may do
// is decided when they are used (`middleware/authenticate.ts`), not when they are made.

import { timingSafeEqual } from 'node:crypto';
import type { JWK } from 'jose';
import {
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
  Provider,
} from 'oidc-provider';
import { inBoth } from '../../state/access/permission.ts';
import { type CredentialPrefix, hashOf, newCredential } from '../../store/identity/credential-text.ts';
import { loadMember } from '../../store/identity/members.ts';
import { loadOAuthClient, orgOfClient } from '../../store/identity/oauth-clients.ts';
import { parseSubject } from '../../store/identity/oauth-records.ts';
import { type OAuthSettings, signingOrder } from '../../store/identity/oauth-settings.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import { adapters } from './adapters.ts';
import { INTERACTION_LIFE } from './interactions.ts';
import { errorPage } from './pages.ts';
import { tellRedisTimes } from './redis-time.ts';
import { END_SESSION_PATH, SESSION_COOKIE, SIGN_IN_SCOPES } from './resource.ts';
import type { SealedCookies } from './sealed-cookies.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface ProviderOptions {
  issuer: string;
  settings: OAuthSettings;
  db: Db;
  sealer: Sealer;
  cookies: SealedCookies;
  /** Told the hash of the id of each token and grant that ends. */
  onEnded(hash: string): void;
}

/** The authorization server for these settings. It holds no state; a new one may take its place at any time. */
export function createProvider(options: ProviderOptions): Provider {
  const { issuer, settings, db, sealer, cookies, onEnded } = options;
  const configuration: Configuration = {
    adapter: adapters(db, sealer, cookies, onEnded),
    jwks: { keys: signingOrder(settings, db.clock.now()).map(({ jwk }) => jwk as JWK) },
    cookies: {
      keys: settings.cookie_keys,
      names: { session: SESSION_COOKIE, interaction: 'bl_interaction', resume: 'bl_resume' },
      long: { httpOnly: true, sameSite: 'lax', signed: true, path: '/oauth' },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    routes: {
      authorization: '/oauth/authorize',
      token: '/oauth/token',
      revocation: '/oauth/revoke',
      introspection: '/oauth/introspect',
      jwks: '/oauth/jwks',
      end_session: END_SESSION_PATH,
    },
    scopes: SIGN_IN_SCOPES,
    claims: { openid: ['sub', 'org_id', 'name', 'email'] },
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    clientDefaults: { grant_types: [], response_types: [], id_token_signed_response_alg: 'ES256' },
    pkce: { required: () => true },
    ttl: {
      AccessToken: HOUR,
      ClientCredentials: HOUR,
      AuthorizationCode: MINUTE,
      IdToken: HOUR,
      Interaction: INTERACTION_LIFE,
      RefreshToken: 30 * DAY,
      Grant: 365 * DAY,
      Session: 14 * DAY,
    },
    features: {
      claimsParameter: { enabled: false },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      // A token bound to a key would be taken without it: the API does not ask for a proof.
      dPoP: { enabled: false },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => issuer,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource, client) =>
          resourceServer(db, issuer, ctx, resource, client.clientId),
      },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      // For the metadata; the endpoint is ours (`logout.ts`), which stores nothing for who is not signed in.
      rpInitiatedLogout: { enabled: true },
      userinfo: { enabled: false },
    },
    interactions: { policy: policy(), url: (_ctx, { uid }) => `/oauth/interaction/${uid}` },
    findAccount: (ctx, subject) => findAccount(db, ctx, subject),
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    // Whatever is revoked, and whyever, everything of its grant goes with it.
    revokeGrantPolicy: () => true,
    extraTokenClaims: (_ctx, token) => tokenClaims(db, token),
    clientBasedCORS: () => false,
    renderError: (ctx, out) => errorPage(ctx, out.error_description ?? out.error),
  };
  const provider = new Provider(issuer, configuration);
  provider.Client.prototype.compareClientSecret = function (given: string) {
    const [stored, found] = [Buffer.from(String(this.clientSecret)), Buffer.from(hashOf(given))];
    return stored.length === found.length && timingSafeEqual(stored, found);
  };
  // The library knows one way a client; ours may send their secret either way.
  Object.defineProperty(provider.Client.prototype, 'clientAuthMethod', {
    get(this: { tokenEndpointAuthMethod?: string }) {
      if (this.tokenEndpointAuthMethod === 'none') return 'none';
      return Provider.ctx?.oidc.params?.client_secret === undefined
        ? 'client_secret_basic'
        : 'client_secret_post';
    },
  });
  giveIds(provider);
  tellRedisTimes(provider, db.clock);
  // A grant is kept with the version of the password that the member had signed in with.
  const kept: unknown = Reflect.get(provider.Grant, 'IN_PAYLOAD');
  Object.defineProperty(provider.Grant, 'IN_PAYLOAD', {
    value: [...(Array.isArray(kept) ? kept : []), 'password_version'],
  });
  return provider;
}

/** Ids in the form of our credentials: they say where they lie, and a mistyped one costs no look-up. */
function giveIds(provider: Provider): void {
  const prefixes: [object, CredentialPrefix][] = [
    [provider.AccessToken.prototype, 'blo_'],
    [provider.ClientCredentials.prototype, 'blo_'],
    [provider.RefreshToken.prototype, 'blr_'],
    [provider.AuthorizationCode.prototype, 'bla_'],
    [provider.Grant.prototype, 'blg_'],
  ];
  for (const [prototype, prefix] of prefixes)
    Object.defineProperty(prototype, 'generateTokenId', {
      value(this: { clientId: string; format?: string }) {
        if (prefix === 'blo_') this.format = 'opaque';
        const orgId = orgOfClient(this.clientId);
        if (orgId === null) throw new Error('a token of no client');
        return newCredential(prefix, orgId).text;
      },
    });
}

/** The API as the resource that tokens are for, with the scopes that the client may ask for. */
async function resourceServer(
  db: Db,
  issuer: string,
  ctx: KoaContextWithOIDC,
  resource: string,
  clientId: string,
) {
  if (resource !== issuer && resource !== `${issuer}/`) throw new errors.InvalidTarget();
  const client = await loadOAuthClient(db, clientId);
  if (client === null) throw new errors.InvalidClient('client not found', clientId);
  const { params } = ctx.oidc;
  const isNew = ctx.oidc.route !== 'token' || params?.grant_type === 'client_credentials';
  if (params !== undefined && isNew) {
    // Asking for nothing in particular is asking for all the client may have (RFC 6749, section 3.3).
    const asked = typeof params.scope === 'string' ? params.scope.split(' ') : [];
    const unknown = asked.filter((name) => !SIGN_IN_SCOPES.includes(name) && !client.scopes.includes(name));
    if (unknown.length > 0)
      throw new errors.InvalidScope('the client may not ask for this', unknown.join(' '));
    if (asked.every((name) => SIGN_IN_SCOPES.includes(name)))
      params.scope = [...asked, ...client.scopes].join(' ');
  }
  return { scope: client.scopes.join(' '), audience: issuer, accessTokenFormat: 'opaque' as const };
}

/** The sign-in is asked for again when whoever is signed in is not of the org that the client is of. */
function policy(): interactionPolicy.DefaultPolicy {
  const { Check, base } = interactionPolicy;
  const prompts = base();
  prompts
    .get('login')
    ?.checks.add(
      new Check('no_member', 'whoever is signed in is no member of this org', ({ oidc }) =>
        oidc.session?.accountId !== undefined && oidc.account === undefined
          ? Check.REQUEST_PROMPT
          : Check.NO_NEED_TO_PROMPT,
      ),
    );
  return prompts;
}

async function findAccount(db: Db, ctx: KoaContextWithOIDC | undefined, subject: string) {
  const named = parseSubject(subject);
  if (named === null) return undefined;
  const client = ctx?.oidc.client;
  if (client !== undefined && orgOfClient(client.clientId) !== named.org_id) return undefined;
  const member = await loadMember(db, named.org_id, named.member_id);
  if (member === null || member.disabled) return undefined;
  const { org_id, name, email } = member;
  return { accountId: subject, claims: async () => ({ sub: subject, org_id, name, email }) };
}

/** A client that can keep a secret may look at the tokens of its own org; any other at its own alone. */
function mayIntrospect(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): boolean {
  if (client.clientAuthMethod === 'none') return token.clientId === client.clientId;
  return orgOfClient(token.clientId ?? '') === orgOfClient(client.clientId);
}

/** A client may revoke its own tokens. @throws InvalidRequest for another's, as RFC 7009, section 2.1, asks */
function mayRevoke(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): boolean {
  if (token.clientId === client.clientId) return true;
  // Anybody can claim to be a public client, and is told nothing of whether there is such a token.
  if (client.clientAuthMethod === 'none') return false;
  throw new errors.InvalidRequest('the token is not of this client');
}

/** What introspection tells of a token beside the standard claims. */
async function tokenClaims(db: Db, token: object) {
  const { clientId = '', accountId } = token as { clientId?: string; accountId?: string };
  const client = await loadOAuthClient(db, clientId);
  const subject = accountId === undefined ? null : parseSubject(accountId);
  const member = subject === null ? null : await loadMember(db, subject.org_id, subject.member_id);
  const pools = client === null ? [] : inBoth(client.pools, member?.pools ?? ['*']);
  return { org_id: client?.org_id, pools: [...pools] };
}
