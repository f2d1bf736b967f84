// The cookies of signed-in browsers, one for the worker's portal and one for the team's console, and the origin of our
// pages. Over https the names have the prefix `__Host-`: no other host can set or see such a cookie. Over plain http there
// are cookies on loopback only. A request with a cookie must come from our own pages, because browsers send cookies with
// the requests of any page (CSRF).

import type { Context } from 'koa';
import { ApiError } from '../http/problem.ts';
import type { SessionCookie, SessionKind } from '../http/response.ts';
import type { ClientAddresses } from './client-address.ts';

const NAMES: Readonly<Record<SessionKind, string>> = {
  worker: 'biolayer-worker',
  console: 'biolayer-console',
};
/** Start of the text of a session, by kind. */
const PREFIXES: Readonly<Record<SessionKind, string>> = { worker: 'blws_', console: 'blms_' };
/** Path of the session of the console. */
export const CONSOLE_SESSION_PATH = '/console/session';
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a credential is the text of a session, which is accepted in its cookie only. */
export function isSessionText(text: string): boolean {
  return Object.values(PREFIXES).some((prefix) => text.startsWith(prefix));
}

export class SessionCookies {
  readonly #publicUrl: string | undefined;
  readonly #addresses: ClientAddresses;

  /** @param publicUrl origin under which clients reach the API; without it that of each request. */
  constructor(publicUrl: string | undefined, addresses: ClientAddresses) {
    this.#publicUrl = publicUrl;
    this.#addresses = addresses;
  }

  /** Origin of our pages in the browser that sent the request, such as `https://api.example.com`. */
  originOf(ctx: Context): string {
    const own = this.#publicUrl;
    const host = hostOf(ctx);
    if (own === undefined)
      return `${this.#addresses.isSecure(ctx.req) ? 'https' : 'http'}://${host?.host ?? ''}`;
    // On loopback the same server has several names.
    const isLocal = LOOPBACK.has(new URL(own).hostname) && host !== null && LOOPBACK.has(host.hostname);
    return isLocal && own.startsWith('http:') ? `http://${host.host}` : own;
  }

  /** The text of the session in the request's cookie; undefined when there is none, or the path takes no cookies. */
  read(ctx: Context, kind: SessionKind): string | undefined {
    if (!ctx.path.startsWith('/v1/') && ctx.path !== CONSOLE_SESSION_PATH) return undefined;
    if (ctx.req.headers.cookie === undefined) return undefined;
    const text = ctx.cookies.get(this.nameOf(ctx, NAMES[kind]), { signed: false });
    return text?.startsWith(PREFIXES[kind]) ? text : undefined;
  }

  /** Sets or removes a session cookie. @throws ApiError 403 over plain http, except on loopback */
  write(ctx: Context, { kind, text, life }: SessionCookie): void {
    const secure = this.isSecure(ctx);
    this.requireConfidential(ctx);
    const attributes = [
      `${this.nameOf(ctx, NAMES[kind])}=${text ?? ''}`,
      'Path=/',
      `Max-Age=${text === null ? 0 : Math.floor(life / 1000)}`,
      'HttpOnly',
      ...(secure ? ['Secure'] : []),
      'SameSite=Strict',
    ];
    ctx.append('Set-Cookie', attributes.join('; '));
  }

  /** The name of a cookie of this server, as the browser of the request has it. */
  nameOf(ctx: Context, name: string): string {
    return this.isSecure(ctx) ? `__Host-${name}` : name;
  }

  /** Whether the browser reaches us over https. */
  isSecure(ctx: Context): boolean {
    return this.originOf(ctx).startsWith('https:');
  }

  /** Requires that nobody on the network can read the cookies. @throws ApiError 403 */
  requireConfidential(ctx: Context): void {
    if (this.isSecure(ctx) || LOOPBACK.has(hostOf(ctx)?.hostname ?? '')) return;
    throw new ApiError(
      'origin_not_allowed',
      'Signing in requires https. Set PUBLIC_URL, or TRUSTED_PROXIES for a proxy that sends X-Forwarded-Proto.',
    );
  }

  /**
   * Requires that a request comes from a page of this server: by Origin and Sec-Fetch-Site, of which one must be there
   * unless the method is safe. Neither can be set by a page. @throws ApiError 403
   */
  requireOwnPage(ctx: Context): void {
    const [origin, site] = [ctx.get('Origin'), ctx.get('Sec-Fetch-Site')];
    const isSafe = SAFE_METHODS.has(ctx.method);
    const isOwnOrigin = origin === this.originOf(ctx);
    const isOwnSite = site === 'same-origin' || (isSafe && site === 'none');
    const isRefused = (origin !== '' && !isOwnOrigin) || (site !== '' && !isOwnSite);
    if (!isRefused && (isSafe || isOwnOrigin || isOwnSite)) return;
    throw new ApiError('origin_not_allowed', 'The request must come from a page of this server.');
  }
}

function hostOf(ctx: Context): URL | null {
  const url = `http://${ctx.get('Host')}`;
  return URL.canParse(url) ? new URL(url) : null;
}
