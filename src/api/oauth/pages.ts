// The pages people see while they let a client act for them: sign-in, consent, and what went wrong. Plain HTML
// under a policy that allows nothing but this style sheet (by its hash) and forms that lead back here or, by way
// of the redirect that ends it all, to the client.

import { hash } from 'node:crypto';
import type { Context } from 'koa';

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

/** What the forms of a page need. */
export interface Form {
  /** Where they lead, within this server. */
  action: string;
  /** Proof that they come from this page. */
  token: string;
  clientName: string;
  /** Where the browser is sent in the end; forms may lead there by redirects. */
  redirectUri: string;
}

/** Shows the sign-in form. @param error what was wrong with the last try. */
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
    `<h1>Sign in</h1><p class="who">to go on to <strong>${text(form.clientName)}</strong></p>${alert}
<form method="post" action="${text(form.action)}">${hidden(form)}
<label for="email">Email address</label>
<input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="${text(email)}"${focus('email')}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200"${focus('password')}>
<button name="action" value="sign_in">Sign in</button>
<button class="second" name="action" value="deny" formnovalidate>Cancel</button></form>`,
    form.redirectUri,
  );
}

/** What a client asks of a member. */
export interface Wish {
  memberName: string;
  /** Where they sign out. */
  signOut: string;
  /** Scopes it asks for and the member has. */
  scopes: readonly string[];
  pools: readonly string[];
  /** Whether it asks to be told who the member is. */
  identity: boolean;
}

/** Shows what the client asks for, to be allowed or not. */
export function consentPage(ctx: Context, form: Form, wish: Wish): void {
  const asks = wish.scopes.map((scope) => `<li><span class="code">${text(scope)}</span></li>`);
  if (wish.identity) asks.unshift('<li>See your name and email address</li>');
  const pools = wish.pools.includes('*')
    ? 'all pools'
    : `these pools alone: ${wish.pools.join(', ') || 'none'}`;
  const { host } = new URL(form.redirectUri);
  show(
    ctx,
    'Allow access',
    `<h1>Allow <strong>${text(form.clientName)}</strong> to act for you?</h1>
<p class="who">You are signed in as ${text(wish.memberName)}. <a href="${text(wish.signOut)}">Sign out</a></p>
<p>It asks to:</p><ul>${asks.join('')}</ul><p>in ${text(pools)}. You go on to <span class="code">${text(host || form.redirectUri)}</span>.</p>
<form method="post" action="${text(form.action)}">${hidden(form)}
<button name="action" value="allow">Allow</button>
<button class="second" name="action" value="deny">Deny</button></form>`,
    form.redirectUri,
  );
}

/** Asks whether to sign out. @param fields of the request, sent along with the answer. */
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

/** Says that nobody is signed in any more. */
export function signedOutPage(ctx: Context): void {
  show(ctx, 'Signed out', '<h1>You are signed out</h1><p>You can close this page.</p>');
}

/** Shows what went wrong where there is no client to go back to. The status is the caller's. */
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
      // Browsers hold redirects after a form to this too.
      `form-action 'self'${redirectUri === undefined ? '' : ` ${sourceOf(redirectUri)}`}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    // Without one a browser says "Origin: null" of our own forms.
    'Referrer-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  });
  ctx.type = 'text/html';
  ctx.body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${text(title)} · BioLayer</title><style>${STYLE}</style></head><body><main>${main}</main></body></html>`;
}

/** A redirect URI as a source of a content security policy: its origin, or its scheme where it has none. */
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
