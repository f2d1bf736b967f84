// How members sign in to the console: an authorization-code flow with PKCE at our own authorization server. The flow is
// bound to the browser by a sealed cookie, and its code is used here, so no token leaves the process.

import { createHash, randomBytes } from 'node:crypto';
import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import { shortened } from '../../state/text/text.ts';
import { parseSubject } from '../../store/identity/oauth-records.ts';
import { loadOrg, loadOrgs, orgLists } from '../../store/identity/orgs.ts';
import { SESSION_LIFE_MS } from '../../store/identity/sessions.ts';
import type { Db } from '../../store/redis/connection.ts';
import { page } from '../../store/redis/lists.ts';
import type { Admission } from '../access/admission.ts';
import type { SessionCookies } from '../access/session-cookies.ts';
import { signInMember } from '../access/sign-in.ts';
import { CONSOLE_CALLBACK_PATH, consoleClientId } from './console-client.ts';
import { consoleErrorPage, orgPage } from './pages.ts';
import type { SealedCookies } from './sealed-cookies.ts';

const CONSOLE_SIGN_IN_PATH = '/console/sign-in';
const HOME = '/console';
const FLOW = 'biolayer-sign-in';
/** How long a member may take to sign in, s. */
const FLOW_SECONDS = 30 * 60;
/** The org that signed in last in this browser. */
const ORG = 'biolayer-org';
const ORG_SECONDS = 365 * 24 * 3600;
const MAX_RETURN_TO = 1000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Most of a `User-Agent` that is kept, in UTF-16 units. */
const USER_AGENT_LENGTH = 200;

export interface ConsoleSignInDeps {
  db: Db;
  issuer: string;
  provider: Provider;
  cookies: SealedCookies;
  sessionCookies: SessionCookies;
  admission: Admission;
}

/** Whether a request belongs to this file: a sign-in starts with `return_to`; without it the page of the console is shown. */
export function isConsoleSignIn(ctx: Context): boolean {
  if (ctx.path === CONSOLE_CALLBACK_PATH) return true;
  return ctx.path === CONSOLE_SIGN_IN_PATH && new URLSearchParams(ctx.querystring).has('return_to');
}

/** Answers `GET /console/sign-in?return_to=…` and `GET /console/callback`. */
export function handleConsoleSignIn(ctx: Context, deps: ConsoleSignInDeps): Promise<void> {
  return ctx.path === CONSOLE_CALLBACK_PATH ? finish(ctx, deps) : start(ctx, deps);
}

/** Sends the browser to the sign-in page of the member's org. */
async function start(ctx: Context, deps: ConsoleSignInDeps): Promise<void> {
  const { db, issuer, cookies, sessionCookies } = deps;
  // On loopback the server has several names, and cookies of one are not sent to another.
  if (sessionCookies.originOf(ctx) !== issuer) return redirect(ctx, `${issuer}${ctx.url}`);
  const query = new URLSearchParams(ctx.querystring);
  const returnTo = ownPath(query.get('return_to') ?? '', issuer);
  const given = query.get('org')?.trim().toLowerCase();
  const remembered = cookies.get(ctx, rememberedOrg(ctx, deps))?.org_id;
  const orgId = given ?? (typeof remembered === 'string' ? remembered : await onlyOrg(db));
  const org = orgId !== null && UUID.test(orgId) ? await loadOrg(db, orgId) : null;
  if (org === null) {
    const isWrong = orgId !== null && orgId !== '';
    if (isWrong) ctx.status = 404;
    return orgPage(ctx, { action: CONSOLE_SIGN_IN_PATH, returnTo, isWrong });
  }
  const [state, verifier] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
  const flow = { state, verifier, return_to: returnTo };
  cookies.set(ctx, flowCookie(ctx, deps), flow, FLOW_SECONDS);
  const url = new URL(`${issuer}/oauth/authorize`);
  url.search = new URLSearchParams({
    client_id: consoleClientId(org.org_id),
    response_type: 'code',
    redirect_uri: issuer + CONSOLE_CALLBACK_PATH,
    scope: 'openid',
    // A member who has signed out of the console must enter the password again.
    prompt: 'login',
    state,
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
  }).toString();
  redirect(ctx, url.href);
}

/** Uses the code of a finished sign-in: sets the cookie of the session and returns to where the sign-in was started. */
async function finish(ctx: Context, deps: ConsoleSignInDeps): Promise<void> {
  const { db, issuer, provider, cookies, sessionCookies, admission } = deps;
  const query = new URLSearchParams(ctx.querystring);
  const flow = cookies.get(ctx, flowCookie(ctx, deps));
  cookies.clear(ctx, flowCookie(ctx, deps));
  if (flow === null || flow.state !== query.get('state')) return failed(ctx, 400, EXPIRED);
  // The member has cancelled.
  if (query.has('error')) return redirect(ctx, CONSOLE_SIGN_IN_PATH);
  const code = await provider.AuthorizationCode.find(query.get('code') ?? '');
  const isOurs =
    code?.isValid === true &&
    code.redirectUri === issuer + CONSOLE_CALLBACK_PATH &&
    code.codeChallenge === challengeOf(String(flow.verifier));
  const subject = isOurs ? parseSubject(code.accountId ?? '') : null;
  if (code === undefined || subject === null || code.clientId !== consoleClientId(subject.org_id))
    return failed(ctx, 400, EXPIRED);
  await code.consume();
  const { sessionUid } = code;
  const signedIn = await signInMember(
    db,
    {
      ...subject,
      password_version: code.acr ?? '',
      ...(sessionUid !== undefined && { authorization_session: sessionUid }),
    },
    {
      userAgent: shortened(ctx.get('User-Agent'), USER_AGENT_LENGTH) || null,
      orgGuard: (org_id) => admission.orgGuard(ctx, { org_id }),
    },
  );
  if (signedIn === null)
    return failed(ctx, 401, 'Your password or your membership has changed. Sign in again.');
  cookies.set(ctx, rememberedOrg(ctx, deps), { org_id: subject.org_id }, ORG_SECONDS);
  sessionCookies.write(ctx, { kind: 'console', text: signedIn.text, life: SESSION_LIFE_MS.member });
  redirect(ctx, ownPath(String(flow.return_to), issuer));
}

const EXPIRED = 'This sign-in has expired, or was started in another browser.';

function failed(ctx: Context, status: number, message: string): void {
  ctx.status = status;
  consoleErrorPage(ctx, message, `${CONSOLE_SIGN_IN_PATH}?return_to=${HOME}`);
}

function redirect(ctx: Context, url: string): void {
  ctx.redirect(url);
  ctx.status = 303;
}

/** A path of the console, with query and fragment; its first page in place of anything else, such as another site. */
function ownPath(text: string, issuer: string): string {
  if (text.length > MAX_RETURN_TO || !URL.canParse(text, issuer)) return HOME;
  const { origin, pathname, search, hash } = new URL(text, issuer);
  const isOwn = origin === issuer && (pathname === HOME || pathname.startsWith(`${HOME}/`));
  return isOwn && ![CONSOLE_SIGN_IN_PATH, CONSOLE_CALLBACK_PATH].includes(pathname)
    ? pathname + search + hash
    : HOME;
}

/** The id of the only org of this installation; null when there are more. */
async function onlyOrg(db: Db): Promise<string | null> {
  const range = { order: 'asc', after: null, from: null, to: null } as const;
  const { items, next } = await page(db, orgLists(db), range, 2, (ids) => loadOrgs(db, ids));
  const [first] = items;
  return first !== undefined && items.length === 1 && next === null ? first.org_id : null;
}

function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

function flowCookie(ctx: Context, { sessionCookies }: ConsoleSignInDeps) {
  return { name: sessionCookies.nameOf(ctx, FLOW), path: '/', purpose: 'console sign-in' };
}

function rememberedOrg(ctx: Context, { sessionCookies }: ConsoleSignInDeps) {
  return { name: sessionCookies.nameOf(ctx, ORG), path: '/', purpose: 'console org' };
}
