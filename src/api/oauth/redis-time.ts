// The library by Redis' time. It knows only the machine's clock: it judges what it has kept by that, and writes it
// into ID tokens. Here every time is the machine's inside the library, and Redis' outside of it.

import type { Context } from 'koa';
import type { Adapter, AdapterPayload, Provider } from 'oidc-provider';
import type { Clock } from '../../store/redis/connection.ts';

/** Fields of what the library keeps that are times, in seconds. */
const TIMES = ['iat', 'exp', 'iiat', 'loginTs', 'authTime'];

/** How far Redis' time is ahead of the machine's, s. */
function ahead(clock: Clock): number {
  return Math.round((clock.now() - Date.now()) / 1000);
}

/** The fields with their times moved by so many seconds. */
function moved<T extends object>(fields: T, names: readonly string[], seconds: number): T {
  const times = Object.entries(fields).filter(
    ([name, value]) => names.includes(name) && Number.isFinite(value),
  );
  return { ...fields, ...Object.fromEntries(times.map(([name, value]) => [name, Number(value) + seconds])) };
}

/** An adapter that keeps Redis' times, whatever the machine's clock says when something is kept or found. */
export function keepRedisTimes(adapter: Adapter, clock: Clock): Adapter {
  const inside = (payload: AdapterPayload | undefined) =>
    payload ? moved(payload, TIMES, -ahead(clock)) : undefined;
  return {
    ...adapter,
    upsert: (id, payload, seconds) => adapter.upsert(id, moved(payload, TIMES, ahead(clock)), seconds),
    find: async (id) => inside((await adapter.find(id)) ?? undefined),
    findByUid: async (uid) => inside((await adapter.findByUid(uid)) ?? undefined),
  };
}

/** Makes the library tell Redis' time: in ID tokens and when it is asked about a token. */
export function tellRedisTimes(provider: Provider, clock: Clock): void {
  const { IdToken } = provider;
  const payload = IdToken.prototype.payload;
  IdToken.prototype.payload = async function () {
    const told = moved(await payload.call(this), ['auth_time'], ahead(clock));
    return { ...told, iat: Math.floor(clock.now() / 1000) };
  };
  const expiresIn: unknown = Reflect.get(IdToken, 'expiresIn');
  if (typeof expiresIn !== 'function')
    throw new Error('the library counts the life of ID tokens in another way');
  // The library adds it to the machine's time.
  const life = (...args: unknown[]) => Number(Reflect.apply(expiresIn, IdToken, args)) + ahead(clock);
  Object.defineProperty(IdToken, 'expiresIn', { value: life });
  provider.use(async (ctx, next) => {
    await next();
    const { body } = ctx;
    if (ctx.oidc?.route === 'introspection' && typeof body === 'object' && body !== null)
      ctx.body = moved(body, ['iat', 'exp'], ahead(clock));
  });
}

/** Makes the cookies of an answer end when they would by Redis' time. */
export function endCookiesByRedisTime(ctx: Context, clock: Clock): void {
  const by = ahead(clock) * 1000;
  const cookies = ctx.response.headers['set-cookie'];
  if (by === 0 || cookies === undefined) return;
  ctx.set(
    'Set-Cookie',
    [cookies].flat().map((one) =>
      one.replace(/(; *expires=)([^;]+)/i, (all, name: string, text: string) => {
        const at = Date.parse(text);
        // One that is to be removed ends at the beginning of time.
        return at === 0 ? all : `${name}${new Date(at + by).toUTCString()}`;
      }),
    ),
  );
}
