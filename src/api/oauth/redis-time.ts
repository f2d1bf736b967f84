// Makes the library use Redis' time. The library reads only the machine's clock: it compares stored times with it and
// writes it into ID tokens. So times are converted: machine time inside the library, Redis' time outside.

import type { Context } from 'koa';
import type { Adapter, AdapterPayload, Provider } from 'oidc-provider';
import type { Clock } from '../../store/redis/connection.ts';

/** Fields of stored records that are times, in seconds. */
const TIMES = ['iat', 'exp', 'iiat', 'loginTs', 'authTime'];

/** How far Redis' clock is ahead of the machine's, s. */
function ahead(clock: Clock): number {
  return Math.round((clock.now() - Date.now()) / 1000);
}

/** The fields with the named times shifted by `seconds`. */
function shifted<T extends object>(fields: T, names: readonly string[], seconds: number): T {
  const times = Object.entries(fields).filter(
    ([name, value]) => names.includes(name) && Number.isFinite(value),
  );
  return { ...fields, ...Object.fromEntries(times.map(([name, value]) => [name, Number(value) + seconds])) };
}

/** Wraps an adapter so that stored times are Redis' times. */
export function storeRedisTimes(adapter: Adapter, clock: Clock): Adapter {
  const inside = (payload: AdapterPayload | undefined) =>
    payload ? shifted(payload, TIMES, -ahead(clock)) : undefined;
  return {
    ...adapter,
    upsert: (id, payload, seconds) => adapter.upsert(id, shifted(payload, TIMES, ahead(clock)), seconds),
    find: async (id) => inside((await adapter.find(id)) ?? undefined),
    findByUid: async (uid) => inside((await adapter.findByUid(uid)) ?? undefined),
  };
}

/** Makes the library write Redis' time into ID tokens and introspection responses. */
export function issueRedisTimes(provider: Provider, clock: Clock): void {
  const { IdToken } = provider;
  const payload = IdToken.prototype.payload;
  IdToken.prototype.payload = async function () {
    const claims = shifted(await payload.call(this), ['auth_time'], ahead(clock));
    return { ...claims, iat: Math.floor(clock.now() / 1000) };
  };
  const expiresIn: unknown = Reflect.get(IdToken, 'expiresIn');
  if (typeof expiresIn !== 'function') throw new Error('oidc-provider has no IdToken.expiresIn');
  // The library adds the lifetime to the machine's time.
  const lifetime = (...args: unknown[]) => Number(Reflect.apply(expiresIn, IdToken, args)) + ahead(clock);
  Object.defineProperty(IdToken, 'expiresIn', { value: lifetime });
  provider.use(async (ctx, next) => {
    await next();
    const { body } = ctx;
    if (ctx.oidc?.route === 'introspection' && typeof body === 'object' && body !== null)
      ctx.body = shifted(body, ['iat', 'exp'], ahead(clock));
  });
}

/** Shifts the expiry of the response's cookies to Redis' time. */
export function shiftCookieExpiry(ctx: Context, clock: Clock): void {
  const by = ahead(clock) * 1000;
  const cookies = ctx.response.headers['set-cookie'];
  if (by === 0 || cookies === undefined) return;
  ctx.set(
    'Set-Cookie',
    [cookies].flat().map((one) =>
      one.replace(/(; *expires=)([^;]+)/i, (all, name: string, text: string) => {
        const at = Date.parse(text);
        // A cookie that is being deleted expires at time 0.
        return at === 0 ? all : `${name}${new Date(at + by).toUTCString()}`;
      }),
    ),
  );
}
