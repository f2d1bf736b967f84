// Sealed cookies hold the authorization server's state of visitors who have not signed in. It is not stored in Redis, so
// that unauthenticated requests cannot fill it. Each purpose has its own key, derived from the cookie keys that all
// processes share, so that the number of cookies does not exhaust SECRETS_KEY.

import { AsyncLocalStorage } from 'node:async_hooks';
import { hkdfSync } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Context } from 'koa';
import { createSealer } from '../../store/redis/sealing.ts';

/** Most bytes of name and value together that every browser stores (RFC 6265, section 6.1). */
const LENGTH_LIMIT = 4096;
/** Longest decompressed content, bytes. */
const CONTENT_LIMIT = 32 * 1024;

/** The current request: the library calls its adapters without passing it. */
export const currentRequest = new AsyncLocalStorage<Context>();

export interface CookieSpec {
  name: string;
  path: string;
  /** Purpose of the cookie; a cookie opens only for the purpose it was sealed for. */
  purpose: string;
}

export class SealedCookies {
  readonly #key: string;

  /** @param key one of the cookie keys that all processes share. */
  constructor(key: string) {
    this.#key = key;
  }

  /** Sets a cookie for `seconds`. @returns false, without setting it, when the content is too long */
  set(ctx: Context, { name, path, purpose }: CookieSpec, content: object, seconds: number): boolean {
    const packed = deflateRawSync(JSON.stringify(content)).toString('base64url');
    const value = this.#sealer(purpose).seal(packed, purpose);
    if (name.length + value.length > LENGTH_LIMIT) return false;
    ctx.cookies.set(name, value, { ...this.#options(path), maxAge: seconds * 1000 });
    return true;
  }

  /** The content of a cookie; null when it is missing or was not sealed for this purpose. */
  get(ctx: Context, { name, purpose }: Pick<CookieSpec, 'name' | 'purpose'>): Record<string, unknown> | null {
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

  clear(ctx: Context, { name, path }: Pick<CookieSpec, 'name' | 'path'>): void {
    ctx.cookies.set(name, null, this.#options(path));
  }

  #options(path: string) {
    return { path, httpOnly: true, sameSite: 'lax', signed: false, overwrite: false } as const;
  }

  #sealer(purpose: string) {
    return createSealer([Buffer.from(hkdfSync('sha256', this.#key, '', purpose, 32))]);
  }
}
