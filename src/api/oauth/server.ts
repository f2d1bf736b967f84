// The authorization server as Koa middleware: the OAuth paths and the protected resource metadata. The provider is created
// at the first request from the settings in Redis, and again when they have changed. Without Redis a request is answered
// with 503, like any other.

import type { Context, Middleware, Next } from 'koa';
import mount from 'koa-mount';
import type { Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import { loadOAuthSettings, type OAuthSettings, signingOrder } from '../../store/identity/oauth-settings.ts';
import { type Db, isUnavailable } from '../../store/redis/connection.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import type { Admission } from '../access/admission.ts';
import type { ClientAddresses } from '../access/client-address.ts';
import type { SessionCookies } from '../access/session-cookies.ts';
import { ApiError } from '../http/problem.ts';
import { handleOtherMethod } from '../http/router.ts';
import { bodyTimeout } from '../middleware/json-body.ts';
import { handleConsoleSignIn, isConsoleSignIn } from './console-sign-in.ts';
import type { handleInteraction } from './interaction.ts';
import type { endSession } from './logout.ts';
import { shiftCookieExpiry } from './redis-time.ts';
import { describeResource, END_SESSION_PATH, resourceAt } from './resource.ts';
import { currentRequest, SealedCookies } from './sealed-cookies.ts';

/** How long settings are used before they are loaded again, ms. */
const FRESH_MS = 60_000;

/** Paths and their methods; for other methods the library would respond with 404 instead of 405. */
const PATHS: readonly [path: RegExp, methods: readonly string[]][] = [
  [/^\/\.well-known\/(oauth-authorization-server|openid-configuration)$/, ['GET']],
  [/^\/oauth\/jwks$/, ['GET']],
  [/^\/oauth\/authorize(\/[\w-]+)?$/, ['GET']],
  [/^\/oauth\/(token|revoke|introspect)$/, ['POST']],
  [/^\/console\/(sign-in|callback)$/, ['GET']],
  [/^\/oauth\/(interaction\/[\w-]+|end-session)$/, ['GET', 'POST']],
];

export interface OAuthOptions {
  /** Origin under which clients reach the API, such as `https://api.example.com`. */
  issuer: string;
  db: Db;
  sealer: Sealer;
  addresses: ClientAddresses;
  admission: Admission;
  /** Cookies of signed-in browsers. */
  sessionCookies: SessionCookies;
  log: Logger;
  /** Longest time for a body to arrive, ms. */
  bodyTimeoutMs: number;
  /** Called with the hash of the id of each token and grant that ends. */
  onEnded(hash: string): void;
}

interface Current {
  /** When to check the settings again, by `performance.now()`. */
  until: number;
  order: string;
  settings: OAuthSettings;
  provider: Provider;
  cookies: SealedCookies;
  handle: Middleware;
  handleInteraction: typeof handleInteraction;
  endSession: typeof endSession;
}

/** Middleware that serves `/oauth/…` and the metadata (RFC 8414, RFC 9728). */
export function oauthServer(options: OAuthOptions): Middleware {
  const { issuer, db, sealer, addresses, admission, log } = options;
  const url = new URL(issuer);
  let current: Current | null = null;
  /** Errors by request; the library answers them itself, and this middleware replaces its response. */
  const failures = new WeakMap<object, unknown>();

  const fresh = async (): Promise<Current> => {
    const now = db.clock.now();
    if (current !== null && current.until > performance.now()) return current;
    const settings = await loadOAuthSettings(db, sealer);
    const order = signingOrder(settings, now)
      .map((key) => key.created_at)
      .join();
    if (current?.order === order) {
      current.until = performance.now() + FRESH_MS;
      return current;
    }
    // Loaded on first use: it is the largest library, and most processes never need it.
    const [{ createProvider }, { handleInteraction }, { endSession }] = await Promise.all([
      import('./provider.ts'),
      import('./interaction.ts'),
      import('./logout.ts'),
    ]);
    const cookies = new SealedCookies(cookieKey(settings));
    const provider = createProvider({ issuer, settings, db, sealer, cookies, onEnded: options.onEnded });
    provider.on('server_error', (ctx, error) => void failures.set(ctx.req, error));
    const until = performance.now() + FRESH_MS;
    current = {
      until,
      order,
      settings,
      provider,
      cookies,
      handle: mount(provider),
      handleInteraction,
      endSession,
    };
    return current;
  };

  return async (ctx, next) => {
    const resource = resourceAt(issuer, ctx.path);
    if (resource !== null) {
      admission.countAnonymous(ctx);
      return describeResource(ctx, issuer, resource);
    }
    const [, methods] = PATHS.find(([path]) => path.test(ctx.path)) ?? [];
    if (methods === undefined) return next();
    // The page of the console, which starts the sign-in.
    if (ctx.path.startsWith('/console/') && !isConsoleSignIn(ctx)) return next();
    // Whoever asks: a client, too, shows who it is only in the middle of what it asks for.
    admission.countAnonymous(ctx);
    if (!methods.includes(ctx.method === 'HEAD' ? 'GET' : ctx.method)) return handleOtherMethod(ctx, methods);
    const now = await fresh();
    // The library builds URLs and cookies from the request. Host and scheme come from the configuration, because clients
    // and proxies can send any.
    Object.defineProperties(ctx.request, {
      protocol: { value: url.protocol.slice(0, -1) },
      host: { value: url.host },
    });
    ctx.app.keys = now.settings.cookie_keys;
    await currentRequest.run(ctx, () => respond(ctx, next, now));
    shiftCookieExpiry(ctx, db.clock);
    const failure = failures.get(ctx.req);
    if (failure === undefined) return;
    for (const name of ['Location', 'Set-Cookie']) ctx.remove(name);
    if (!isUnavailable(failure) && !(failure instanceof ApiError))
      log.error({ err: failure, path: ctx.path }, 'an OAuth request failed');
    throw failure;
  };

  /** Serves a request by our pages or by the library. */
  async function respond(
    ctx: Context,
    next: Next,
    { provider, cookies, ...current }: Current,
  ): Promise<void> {
    const secret = cookieKey(current.settings);
    if (isConsoleSignIn(ctx)) {
      const { sessionCookies } = options;
      return handleConsoleSignIn(ctx, { db, issuer, provider, cookies, sessionCookies, admission });
    }
    if (ctx.path === END_SESSION_PATH) return current.endSession(ctx, { provider, issuer, secret });
    if (!ctx.path.startsWith('/oauth/interaction/'))
      return inTime(ctx, options.bodyTimeoutMs, () => current.handle(ctx, next));
    const address = addresses.of(ctx.req);
    return current.handleInteraction(ctx, { db, issuer, provider, secret, cookies, address });
  }
}

/** Serves a request whose body the library reads. @throws ApiError 408 when the body does not arrive within `time` */
async function inTime(ctx: Context, time: number, serve: () => Promise<unknown>): Promise<void> {
  if (ctx.method !== 'POST') return void (await serve());
  let timer: NodeJS.Timeout | undefined;
  const isLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      if (!ctx.req.complete) reject(bodyTimeout());
    }, time);
  });
  try {
    await Promise.race([serve(), isLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** The key with which cookies are sealed now. @throws Error when the settings hold none */
function cookieKey({ cookie_keys: [key] }: OAuthSettings): string {
  if (key === undefined) throw new Error('the OAuth settings hold no cookie key');
  return key;
}
