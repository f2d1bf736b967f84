// HTML pages of the authorization server: sign-in, consent, sign-out and errors. The content security policy allows only
// this style sheet (by its hash), and forms only to this server and to the redirect URI of the client.

import { hash } from 'node:crypto';
import type { Context } from 'koa';
import { inWords } from './scope-words.ts';

const STYLE = `
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:flex;justify-content:center;align-items:center;background:#f2f3f5;color:#1a1a1a}
main{background:#fff;border:1px solid #d8dade;border-radius:12px;padding:2rem;width:100%;max-width:26rem;margin:1rem;box-shadow:0 2px 10px #0001}
h1{font-size:1.35rem;margin:0 0 .5rem}p{margin:.4rem 0 1rem}.who{color:#555}.code{font:14px ui-monospace,monospace}
label{display:block;margin:.9rem 0 .25rem;font-weight:600}
input{width:100%;font:inherit;padding:.55rem .7rem;border:1px solid #9aa0a8;border-radius:7px;background:#fff;color:inherit}
input:focus-visible,button:focus-visible{outline:3px solid #1a5fd0;outline-offset:1px}
button{font:inherit;font-weight:600;padding:.6rem 1rem;border-radius:7px;border:1px solid #1a5fd0;background:#1a5fd0;color:#fff;cursor:pointer;width:100%;margin-top:1.1rem}
a{color:#1a5fd0}button.second{background:none;color:#1a5fd0;margin-top:.6rem}
[role=alert]{background:#fdecec;border:1px solid #d33;border-radius:7px;padding:.6rem .8rem;color:#8b1111}
ul{padding-left:1.2rem;margin:.4rem 0 1rem}li{margin:.15rem 0}
@media(prefers-color-scheme:dark){body{background:#111;color:#e8e8e8}main{background:#1c1d20;border-color:#383a3f}.who{color:#aaa}input{background:#141518;border-color:#666}button{border-color:#2f6fe0}a,button.second{color:#8ab4ff}[role=alert]{background:#3a1618;color:#ffc9c9}}
`;
const STYLE_HASH = hash('sha256', STYLE, 'base64');

/** What a page needs for its form. */
export interface Form {
  /** Path that the form is sent to. */
  action: string;
  /** Proves that the form came from this page. */
  token: string;
  clientName: string;
  orgName: string;
  /** Redirect URI of the client; the response to the form may redirect there. */
  redirectUri: string;
  /** Where a member of another org continues; absent where the client decides that. */
  otherOrg?: string;
}

/** Shows the sign-in form. @param error message about the last attempt */
export function signInPage(
  ctx: Context,
  form: Form,
  { email = '', error }: { email?: string; error?: string },
): void {
  const alert = error === undefined ? '' : `<p role="alert">${text(error)}</p>`;
  const focus = (name: 'email' | 'password') => ((email === '') === (name === 'email') ? ' autofocus' : '');
  show(
    ctx,
    'Sign in',
    `<h1>Sign in</h1><p class="who">with your account at <strong>${text(form.orgName)}</strong> to continue to <strong>${text(form.clientName)}</strong></p>${alert}
<form method="post" action="${text(form.action)}">${hidden(form)}
<label for="email">Email address</label>
<input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="${text(email)}"${focus('email')}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200"${focus('password')}>
<button name="action" value="sign_in">Sign in</button>
<button class="second" name="action" value="deny" formnovalidate>Cancel</button></form>${form.otherOrg === undefined ? '' : `<p><a href="${text(form.otherOrg)}">Another organisation</a></p>`}`,
    form.redirectUri,
  );
}

/** Asks which org the member belongs to. @param isWrong whether the one that was given does not exist */
export function orgPage(
  ctx: Context,
  { action, returnTo, isWrong }: { action: string; returnTo: string; isWrong: boolean },
): void {
  const alert = isWrong ? '<p role="alert">There is no organisation with this id.</p>' : '';
  show(
    ctx,
    'Sign in',
    `<h1>Sign in</h1><p class="who">Which organisation do you belong to?</p>${alert}
<form method="get" action="${text(action)}"><input type="hidden" name="return_to" value="${text(returnTo)}">
<label for="org">Organisation id</label>
<input id="org" name="org" required maxlength="36" autocomplete="organization" placeholder="0190163d-8694-739b-aea5-966c26f8ad90" autofocus>
<button>Continue</button></form>`,
  );
}

/** Shows that a sign-in to the console did not work. The caller sets the status. @param again where it starts again */
export function consoleErrorPage(ctx: Context, message: string, again: string): void {
  show(
    ctx,
    'Sign in again',
    `<h1>This did not work</h1><p role="alert">${text(message)}</p><p><a href="${text(again)}">Sign in again</a></p>`,
  );
}

/** The access that a client requests from a member. */
export interface RequestedAccess {
  memberName: string;
  /** Path of the sign-out page. */
  signOut: string;
  /** Requested scopes that the member has. */
  scopes: readonly string[];
  pools: readonly string[];
  /** Whether it requests the member's name and email address. */
  identity: boolean;
}

/** Shows the requested access, to be allowed or denied. */
export function consentPage(ctx: Context, form: Form, access: RequestedAccess): void {
  const asks = access.scopes.map(
    (scope) => `<li>${text(inWords(scope))} <span class="code who">${text(scope)}</span></li>`,
  );
  if (access.identity) asks.unshift('<li>See your name and email address</li>');
  const pools = access.pools.includes('*')
    ? 'all pools'
    : `these pools: ${access.pools.join(', ') || 'none'}`;
  const { host } = new URL(form.redirectUri);
  show(
    ctx,
    'Allow access',
    `<h1>Allow <strong>${text(form.clientName)}</strong> to act for you?</h1>
<p class="who">You are signed in to <strong>${text(form.orgName)}</strong> as ${text(access.memberName)}. <a href="${text(access.signOut)}">Sign out</a></p>
<p>It asks to:</p><ul>${asks.join('')}</ul><p>in ${text(pools)}. You continue to <span class="code">${text(host || form.redirectUri)}</span>.</p>
<form method="post" action="${text(form.action)}">${hidden(form)}
<button name="action" value="allow">Allow</button>
<button class="second" name="action" value="deny">Deny</button></form>`,
    form.redirectUri,
  );
}

/** Asks whether to sign out. @param fields of the request, repeated in the form */
export function signOutPage(
  ctx: Context,
  {
    action,
    token,
    fields,
    redirectUri,
  }: Pick<Form, 'action' | 'token'> & {
    fields: Record<string, string>;
    redirectUri: string | undefined;
  },
): void {
  const inputs = Object.entries({ ...fields, token }).map(
    ([name, value]) => `<input type="hidden" name="${text(name)}" value="${text(value)}">`,
  );
  show(
    ctx,
    'Sign out',
    `<h1>Sign out?</h1><p>You sign out of this browser. Applications that you have allowed keep their access.</p>
<form method="post" action="${text(action)}">${inputs.join('')}
<button name="action" value="sign_out">Sign out</button></form>`,
    redirectUri,
  );
}

/** Confirms the sign-out. */
export function signedOutPage(ctx: Context): void {
  show(ctx, 'Signed out', '<h1>You are signed out</h1><p>You can close this page.</p>');
}

/** Shows an error when the browser cannot be redirected to the client. The caller sets the status. */
export function errorPage(ctx: Context, message: string): void {
  show(
    ctx,
    'Something went wrong',
    `<h1>This did not work</h1><p role="alert">${text(message)}</p>
<p>Go back to the application you came from and try again.</p>`,
  );
}

function hidden({ token }: Form): string {
  return `<input type="hidden" name="token" value="${text(token)}">`;
}

function show(ctx: Context, title: string, main: string, redirectUri?: string): void {
  ctx.set({
    'Content-Security-Policy': [
      "default-src 'none'",
      `style-src 'sha256-${STYLE_HASH}'`,
      // Browsers apply this to redirects after a form too.
      `form-action 'self'${redirectUri === undefined ? '' : ` ${sourceOf(redirectUri)}`}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    // With the default policy of headers.ts browsers would send "Origin: null" with our own forms.
    'Referrer-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  });
  ctx.type = 'text/html';
  ctx.body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${text(title)} · BioLayer</title><style>${STYLE}</style></head><body><main>${main}</main></body></html>`;
}

/** A redirect URI as a source in a content security policy: its origin, or its scheme if it has no origin. */
function sourceOf(uri: string): string {
  const { origin, protocol } = new URL(uri);
  return origin === 'null' ? protocol : origin;
}

function text(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
