// The authorization server: oidc-provider, configured with the clients and members of our orgs. Access tokens are opaque,
// so that a revoked token is rejected by all processes within a second. Their permissions are determined when they are
// used (`access/authenticate.ts`), not when they are issued.

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
import { isConsoleClient, loadClient } from './console-client.ts';
import { INTERACTION_LIFE_S } from './interactions.ts';
import { errorPage } from './pages.ts';
import { issueRedisTimes } from './redis-time.ts';
import { END_SESSION_PATH, isOwnResource, SESSION_COOKIE, SIGN_IN_SCOPES } from './resource.ts';
import type { SealedCookies } from './sealed-cookies.ts';

const MINUTE_S = 60;
const HOUR = 60 * MINUTE_S;
const DAY = 24 * HOUR;

export interface ProviderOptions {
  issuer: string;
  settings: OAuthSettings;
  db: Db;
  sealer: Sealer;
  cookies: SealedCookies;
  /** Called with the hash of the id of each token and grant that ends. */
  onEnded(hash: string): void;
}

/** Creates the authorization server for these settings. It holds no state and can be replaced at any time. */
export function createProvider(options: ProviderOptions): Provider {
  const { issuer, settings, db, sealer, cookies, onEnded } = options;
  const configuration: Configuration = {
    adapter: adapters(db, issuer, sealer, cookies, onEnded),
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
      AuthorizationCode: MINUTE_S,
      IdToken: HOUR,
      Interaction: INTERACTION_LIFE_S,
      RefreshToken: 30 * DAY,
      Grant: 365 * DAY,
      Session: 14 * DAY,
    },
    features: {
      claimsParameter: { enabled: false },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      // The API does not check DPoP proofs, so a key-bound token would be accepted without its key.
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
      // For the metadata only; the endpoint is in `logout.ts`, which stores nothing for visitors.
      rpInitiatedLogout: { enabled: true },
      userinfo: { enabled: false },
    },
    interactions: { policy: policy(), url: (_ctx, { uid }) => `/oauth/interaction/${uid}` },
    loadExistingGrant,
    findAccount: (ctx, subject) => findAccount(db, ctx, subject),
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    // Revoking any token revokes its whole grant.
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
  // The library allows one authentication method per client; our clients may send the secret in the header or body.
  Object.defineProperty(provider.Client.prototype, 'clientAuthMethod', {
    get(this: { tokenEndpointAuthMethod?: string }) {
      if (this.tokenEndpointAuthMethod === 'none') return 'none';
      return Provider.ctx?.oidc.params?.client_secret === undefined
        ? 'client_secret_basic'
        : 'client_secret_post';
    },
  });
  useCredentialIds(provider);
  issueRedisTimes(provider, db.clock);
  // Store the version of the member's password at sign-in with each grant.
  const stored: unknown = Reflect.get(provider.Grant, 'IN_PAYLOAD');
  Object.defineProperty(provider.Grant, 'IN_PAYLOAD', {
    value: [...(Array.isArray(stored) ? stored : []), 'password_version'],
  });
  return provider;
}

/** Gives tokens ids in the form of our credentials: they name the org, and a mistyped one needs no lookup. */
function useCredentialIds(provider: Provider): void {
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
        if (orgId === null) throw new Error('a token without a client');
        return newCredential(prefix, orgId).text;
      },
    });
}

/** The API as a resource server, with the scopes that the client may request. */
async function resourceServer(
  db: Db,
  issuer: string,
  ctx: KoaContextWithOIDC,
  resource: string,
  clientId: string,
) {
  if (!isOwnResource(issuer, resource)) throw new errors.InvalidTarget();
  const client = await loadClient(db, issuer, clientId);
  if (client === null) throw new errors.InvalidClient('client not found', clientId);
  const { params } = ctx.oidc;
  const isNew = ctx.oidc.route !== 'token' || params?.grant_type === 'client_credentials';
  if (params !== undefined && isNew) {
    // Without a scope parameter the client gets all its scopes (RFC 6749, section 3.3).
    const asked = typeof params.scope === 'string' ? params.scope.split(' ') : [];
    const unknown = asked.filter((name) => !SIGN_IN_SCOPES.includes(name) && !client.scopes.includes(name));
    if (unknown.length > 0)
      throw new errors.InvalidScope('the client may not request this scope', unknown.join(' '));
    if (asked.every((name) => SIGN_IN_SCOPES.includes(name)))
      params.scope = [...asked, ...client.scopes].join(' ');
  }
  const audience = resource === `${issuer}/` ? issuer : resource;
  return { scope: client.scopes.join(' '), audience, accessTokenFormat: 'opaque' as const };
}

/**
 * The member's grant to the client. The console needs no consent: its grant covers who the member is, and is not stored, so
 * its codes give no tokens.
 */
async function loadExistingGrant({ oidc }: KoaContextWithOIDC) {
  const { client, session, result, account, provider } = oidc;
  if (client !== undefined && account !== undefined && isConsoleClient(client.clientId)) {
    const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
    grant.addOIDCScope('openid');
    return grant;
  }
  const grantId = result?.consent?.grantId ?? session?.grantIdFor(client?.clientId ?? '');
  return grantId === undefined ? undefined : provider.Grant.find(grantId);
}

/** Asks for sign-in again when the signed-in member is not of the client's org. */
function policy(): interactionPolicy.DefaultPolicy {
  const { Check, base } = interactionPolicy;
  const prompts = base();
  prompts
    .get('login')
    ?.checks.add(
      new Check('no_member', 'the signed-in member is not of this org', ({ oidc }) =>
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

/** A confidential client may introspect all tokens of its org; a public client only its own. */
function mayIntrospect(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): boolean {
  if (client.clientAuthMethod === 'none') return token.clientId === client.clientId;
  return orgOfClient(token.clientId ?? '') === orgOfClient(client.clientId);
}

/** A client may revoke its own tokens. @throws InvalidRequest for the token of another client (RFC 7009, section 2.1) */
function mayRevoke(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): boolean {
  if (token.clientId === client.clientId) return true;
  // A public client is not authenticated, so it must not learn whether the token exists.
  if (client.clientAuthMethod === 'none') return false;
  throw new errors.InvalidRequest('the token was not issued to this client');
}

/** Additional claims in the introspection response. */
async function tokenClaims(db: Db, token: object) {
  const { clientId = '', accountId } = token as { clientId?: string; accountId?: string };
  const client = await loadOAuthClient(db, clientId);
  const subject = accountId === undefined ? null : parseSubject(accountId);
  const member = subject === null ? null : await loadMember(db, subject.org_id, subject.member_id);
  const pools = client === null ? [] : inBoth(client.pools, member?.pools ?? ['*']);
  return { org_id: client?.org_id, pools: [...pools] };
}
