// What the authorization server must remember of somebody who has not signed in lies with them, in sealed cookies,
// and not in Redis: nobody can fill Redis before they have shown who they are. Each cookie is sealed under a key of
// its own, derived from the cookie keys that all processes share, so that the number of cookies does not wear out
// SECRETS_KEY.

import { AsyncLocalStorage } from 'node:async_hooks';
import { hkdfSync } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Context } from 'koa';
import { createSealer } from '../../store/redis/sealing.ts';

/** Browsers keep no longer name and value together (RFC 6265, section 6.1), bytes. */
const LENGTH_LIMIT = 4096;
/** Longest content once it is unpacked, bytes. */
const CONTENT_LIMIT = 32 * 1024;

/** The request that is served: the library asks its adapters without saying for whom. */
export const served = new AsyncLocalStorage<Context>();

export interface CookiePlace {
  name: string;
  path: string;
  /** What the cookie is for: it does not open as another's. */
  purpose: string;
}

export class SealedCookies {
  readonly #key: string;

  /** @param key one of the cookie keys that all processes share. */
  constructor(key: string) {
    this.#key = key;
  }

  /** Sets a cookie for `seconds`. @returns false when the content is too long for one; then none is set. */
  set(ctx: Context, { name, path, purpose }: CookiePlace, content: object, seconds: number): boolean {
    const packed = deflateRawSync(JSON.stringify(content)).toString('base64url');
    const value = this.#sealer(purpose).seal(packed, purpose);
    if (name.length + value.length > LENGTH_LIMIT) return false;
    ctx.cookies.set(name, value, { ...this.#options(path), maxAge: seconds * 1000 });
    return true;
  }

  /** The content of a cookie; null when there is none, or none that was set for this purpose. */
  get(
    ctx: Context,
    { name, purpose }: Pick<CookiePlace, 'name' | 'purpose'>,
  ): Record<string, unknown> | null {
    const value = ctx.cookies.get(name, { signed: false });
    if (value === undefined) return null;
    try {
      const packed = Buffer.from(this.#sealer(purpose).open(value, purpose), 'base64url');
      const text = inflateRawSync(packed, { maxOutputLength: CONTENT_LIMIT }).toString();
      return JSON.parse(text) as Record<string, unknown>;
    } catch {
      return null;
    }
  }

  clear(ctx: Context, { name, path }: Pick<CookiePlace, 'name' | 'path'>): void {
    ctx.cookies.set(name, null, this.#options(path));
  }

  #options(path: string) {
    return { path, httpOnly: true, sameSite: 'lax', signed: false, overwrite: false } as const;
  }

  #sealer(purpose: string) {
    return createSealer([Buffer.from(hkdfSync('sha256', this.#key, '', purpose, 32))]);
  }
}
