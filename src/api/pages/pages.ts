// `/work` and `/console`: the pages for people. They are built by script/build into portal/dist; this serves the files. The
// pages call the API as any client does, so this file does not depend on what they show.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Context, Middleware } from 'koa';
import sirv from 'sirv';
import type { Admission } from '../access/admission.ts';
import { ApiError } from '../http/problem.ts';
import { handleOtherMethod } from '../http/router.ts';
import { Preloads } from './preloads.ts';

const BUILT = fileURLToPath(new URL('portal/dist/', import.meta.resolve('#package')));

/** Files whose names hold a hash of their content, so that a browser never asks for one again. */
const ASSETS = '/assets/';
/** Files beside the assets, which browsers ask for by a fixed name. */
const FIXED_FILES: ReadonlySet<string> = new Set(['/favicon.svg', '/work/service-worker.js']);

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Previews of evidence are blob URLs.
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  // Evidence that a browser could run is shown in a sandbox only.
  'frame-src blob:',
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** The entry of each app, which shows every path below its own. */
const APPS: Readonly<Record<string, string>> = { work: 'work.html', console: 'console.html' };

/**
 * Middleware that serves the pages and, to browsers, leads from `/` to the console. It comes after the routes of the API, so
 * that a route such as `/console/session` takes precedence.
 */
export function pages(admission: Admission): Middleware {
  const entries = new Map<string, string>();
  const files = existsSync(BUILT) ? sirv(BUILT, { etag: true, gzip: true, brotli: true, setHeaders }) : null;
  const preloads = files === null ? null : new Preloads(BUILT);
  return (ctx, next) => {
    const { path } = ctx;
    if (path === '/' && ctx.method === 'GET' && ctx.get('Accept').includes('text/html')) {
      admission.countAnonymous(ctx);
      ctx.redirect('/console');
      return;
    }
    const isFile = path.startsWith(ASSETS) || FIXED_FILES.has(path);
    const entry = isFile ? undefined : APPS[path.split('/')[1] ?? ''];
    // A path below `/console` that is a route's has other methods only, which the router names.
    const isRoute = ((ctx as { matched?: unknown[] }).matched?.length ?? 0) > 0;
    if (isRoute || (!isFile && entry === undefined)) return next();
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      admission.countAnonymous(ctx);
      return handleOtherMethod(ctx, ['GET']);
    }
    if (files === null || preloads === null)
      throw new ApiError('unavailable', 'The pages have not been built. Run script/build, then restart.');
    ctx.set('Content-Security-Policy', CSP);
    if (isFile) return sendFile(ctx, files, next);
    admission.countAnonymous(ctx);
    ctx.set('Link', preloads.linkOf(ctx, entry as string));
    ctx.vary('Accept-Language, Cookie');
    sendEntry(ctx, entries, entry as string);
  };
}

/** The entry changes with every build and names the assets, so browsers ask for it each time. */
function sendEntry(ctx: Context, entries: Map<string, string>, name: string): void {
  const html = entries.get(name) ?? readFileSync(`${BUILT}${name}`, 'utf8');
  entries.set(name, html);
  ctx.set('Cache-Control', 'no-cache');
  ctx.set('Permissions-Policy', 'geolocation=(), microphone=(), payment=(), usb=()');
  ctx.type = 'text/html';
  ctx.body = html;
}

/** Sends a file, found in a table that sirv made at the start. For an unknown file the next middleware answers 404. */
function sendFile(
  ctx: Context,
  files: ReturnType<typeof sirv>,
  next: () => Promise<unknown>,
): Promise<unknown> {
  // Files are sent whole.
  delete ctx.req.headers.range;
  ctx.respond = false;
  return new Promise((resolve, reject) => {
    ctx.res.once('close', resolve);
    files(ctx.req, ctx.res, () => {
      ctx.respond = true;
      next().then(resolve, reject);
    });
  });
}

function setHeaders(res: { setHeader(name: string, value: string): unknown }, path: string): void {
  res.setHeader(
    'Cache-Control',
    path.startsWith(ASSETS) ? 'public, max-age=31536000, immutable' : 'no-cache',
  );
}
