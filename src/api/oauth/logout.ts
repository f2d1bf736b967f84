// Signing out (OpenID Connect RP-Initiated Logout 1.0): a page that asks, and the end of the browser's session when
// the person says yes. The library has such an endpoint too, which keeps a session for each visitor who has none.

import { decodeJwt } from 'jose';
import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import { shortened } from '../../state/text/text.ts';
import { formToken, isOwnForm, readForm } from './form.ts';
import { errorPage, signedOutPage, signOutPage } from './pages.ts';
import { END_SESSION_PATH, SESSION_COOKIE } from './resource.ts';

/** What a client may send along. */
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
  const back = await returnOf(provider, fields);
  if (back === null) {
    ctx.status = 400;
    return errorPage(ctx, 'The application asks to be returned to where it is not registered.');
  }
  const session = await provider.Session.get(ctx);
  if (session.accountId !== undefined) {
    const token = formToken(secret, `end session ${session.uid}`);
    // A client sends people here by GET or POST; only our own form ends anything.
    if (given.get('action') !== 'sign_out')
      return signOutPage(ctx, { action: END_SESSION_PATH, token, fields, redirectUri: back?.href });
    if (!isOwnForm(ctx, given, token, issuer)) {
      ctx.status = 403;
      return errorPage(ctx, 'This form did not come from this page.');
    }
    await session.destroy();
  }
  ctx.cookies.set(SESSION_COOKIE, null, { path: '/oauth', httpOnly: true, sameSite: 'lax', signed: true });
  if (back === undefined) return signedOutPage(ctx);
  ctx.redirect(back.href);
  ctx.status = 303;
}

/** Where the browser goes afterwards; undefined: it stays here; null: the client may not ask for that. */
async function returnOf(
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

/** The client that an ID token says it is for; null when it says none. */
function clientOf(idToken: string): string | null {
  try {
    const { aud } = decodeJwt(idToken);
    return typeof aud === 'string' ? aud : null;
  } catch {
    return null;
  }
}
