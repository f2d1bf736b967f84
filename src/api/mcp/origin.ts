// Which web pages may call the MCP endpoint. A browser names the page's origin; other clients send none. A page that had its
// own name resolved to the address of this server (DNS rebinding) would appear as the same host, so a name counts only if
// the operator has configured it.

import type { Context } from 'koa';
import { parseAddress } from '../../state/access/networks.ts';
import { ApiError } from '../http/problem.ts';

/** @param origins those that the operator lists, and that of the API itself @throws ApiError 403 `origin_not_allowed` */
export function requireAllowedOrigin(ctx: Context, origins: ReadonlySet<string>): void {
  const origin = ctx.get('Origin');
  if (origin === '' || origins.has(origin) || isSameAddress(origin, ctx.get('Host'))) return;
  throw new ApiError('origin_not_allowed', 'Pages of this origin may not call this server.');
}

/** Whether the origin is the host that was called, by address or as localhost: names that nobody else can resolve. */
function isSameAddress(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { host: from, hostname } = new URL(origin);
  const isFixed = hostname === 'localhost' || parseAddress(hostname.replace(/^\[|\]$/g, '')) !== null;
  return isFixed && from === host.toLowerCase();
}
