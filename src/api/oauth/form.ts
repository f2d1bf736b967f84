// Forms of the sign-in and consent pages. A form is accepted only with the token that its page contains and from our own
// origin (protection against CSRF).

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import getRawBody from 'raw-body';

/** Largest form, bytes, and longest time for it to arrive, ms. */
const MAX_BYTES = 8 * 1024;
const TIME_LIMIT_MS = 10_000;

/** The token that proves that a form came from our page. @param secret signs it. @param about what the form answers */
export function formToken(secret: string, about: string): string {
  return createHmac('sha256', secret).update(`form ${about}`).digest('base64url');
}

/** Whether a form came from our page: the token is right and the browser sends no other origin. */
export function isOwnForm(ctx: Context, given: URLSearchParams, token: string, issuer: string): boolean {
  const origin = ctx.get('Origin');
  return isSame(given.get('token') ?? '', token) && (origin === '' || origin === issuer);
}

/** The fields of a form; none when it is too large, too slow or of another type. */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded')) return new URLSearchParams();
  const late = AbortSignal.timeout(TIME_LIMIT_MS);
  const cut = () => ctx.req.destroy();
  late.addEventListener('abort', cut);
  try {
    const length = ctx.get('Content-Length') || null;
    return new URLSearchParams(await getRawBody(ctx.req, { length, limit: MAX_BYTES, encoding: 'utf8' }));
  } catch {
    return new URLSearchParams();
  } finally {
    late.removeEventListener('abort', cut);
  }
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
