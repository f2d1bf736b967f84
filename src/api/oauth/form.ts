// The forms of the pages: each is tied to what it answers by a token that only our page holds, and counts only from
// our own origin.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import getRawBody from 'raw-body';

/** Largest form, bytes, and how long it may take to arrive, ms. */
const LIMIT = 8 * 1024;
const TIME = 10_000;

/** Proof that a form came from our page. @param secret signs it. @param about what the form answers. */
export function formToken(secret: string, about: string): string {
  return createHmac('sha256', secret).update(`form ${about}`).digest('base64url');
}

/** Whether a form came from our page: its token is the one put into it, and the browser names no other origin. */
export function isOwnForm(ctx: Context, given: URLSearchParams, token: string, issuer: string): boolean {
  const origin = ctx.get('Origin');
  return isSame(given.get('token') ?? '', token) && (origin === '' || origin === issuer);
}

/** The fields of a form; none when it is too large, too slow or no form. */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded')) return new URLSearchParams();
  const late = AbortSignal.timeout(TIME);
  const cut = () => ctx.req.destroy();
  late.addEventListener('abort', cut);
  try {
    const length = ctx.get('Content-Length') || null;
    return new URLSearchParams(await getRawBody(ctx.req, { length, limit: LIMIT, encoding: 'utf8' }));
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
