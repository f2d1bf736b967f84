// Sign-out (OpenID Connect RP-Initiated Logout 1.0): a page asks for confirmation, then the session of the browser ends.
// The endpoint of the library is not used, because it stores a session for every visitor.

import { decodeJwt } from 'jose';
import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import { shortened } from '../../state/text/text.ts';
import { formToken, isOwnForm, readForm } from './form.ts';
import { errorPage, signedOutPage, signOutPage } from './pages.ts';
import { END_SESSION_PATH, SESSION_COOKIE } from './resource.ts';

/** Parameters of the request. */
const FIELDS = ['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state'];
const FIELD_LENGTH = 4000;

interface LogoutDeps {
  provider: Provider;
  issuer: string;
  /** Signs the tokens of forms. */
  secret: string;
}

/** Answers a request to the end-session endpoint. */
export async function endSession(ctx: Context, { provider, issuer, secret }: LogoutDeps): Promise<void> {
  const given = ctx.method === 'POST' ? await readForm(ctx) : new URLSearchParams(ctx.querystring);
  const fields = Object.fromEntries(
    FIELDS.flatMap((name) => {
      const value = given.get(name);
      return value === null ? [] : [[name, shortened(value, FIELD_LENGTH)]];
    }),
  );
  const returnTo = await returnUrl(provider, fields);
  if (returnTo === null) {
    ctx.status = 400;
    return errorPage(ctx, 'The application has not registered the address it wants you to return to.');
  }
  const session = await provider.Session.get(ctx);
  if (session.accountId !== undefined) {
    const token = formToken(secret, `end session ${session.uid}`);
    // Clients redirect here by GET or POST; only the form of our page ends the session.
    if (given.get('action') !== 'sign_out')
      return signOutPage(ctx, { action: END_SESSION_PATH, token, fields, redirectUri: returnTo?.href });
    if (!isOwnForm(ctx, given, token, issuer)) {
      ctx.status = 403;
      return errorPage(ctx, 'This form was not sent from this page.');
    }
    await session.destroy();
  }
  ctx.cookies.set(SESSION_COOKIE, null, { path: '/oauth', httpOnly: true, sameSite: 'lax', signed: true });
  if (returnTo === undefined) return signedOutPage(ctx);
  ctx.redirect(returnTo.href);
  ctx.status = 303;
}

/** The URL to redirect to; undefined for none; null when the client may not use the one it asks for. */
async function returnUrl(
  provider: Provider,
  { client_id, id_token_hint, post_logout_redirect_uri, state }: Record<string, string>,
): Promise<URL | undefined | null> {
  const hinted = id_token_hint === undefined ? undefined : clientOf(id_token_hint);
  if (hinted === null || (hinted !== undefined && client_id !== undefined && hinted !== client_id))
    return null;
  if (post_logout_redirect_uri === undefined) return undefined;
  const clientId = client_id ?? hinted;
  const client = clientId === undefined ? undefined : await provider.Client.find(clientId);
  if (client === undefined || !client.postLogoutRedirectUris?.includes(post_logout_redirect_uri)) return null;
  if (id_token_hint !== undefined) {
    const isOurs = await provider.IdToken.validate(id_token_hint, client).then(
      () => true,
      () => false,
    );
    if (!isOurs) return null;
  }
  const url = new URL(post_logout_redirect_uri);
  if (state !== undefined) url.searchParams.set('state', state);
  return url;
}

/** The client in the audience of an unverified ID token; null when there is none. */
function clientOf(idToken: string): string | null {
  try {
    const { aud } = decodeJwt(idToken);
    return typeof aud === 'string' ? aud : null;
  } catch {
    return null;
  }
}
