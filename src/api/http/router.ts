// Finds the route of a request. A static route (`/v1/tasks/batch`) takes precedence over a parameter route
// (`/v1/tasks/{task_id}`) for every method. The API's own routes are looked up here, because @koa/router tests its routes
// one after the other and composes middleware for each request.

import { Router } from '@koa/router';
import type { Context, Middleware } from 'koa';
import { methodNotAllowed } from './problem.ts';

/** A router without alternative spellings of a path, such as another case or a trailing slash. */
export function newRouter(): Router {
  return new Router({ strict: true, sensitive: true });
}

/** The routes of one path. */
interface PathRoutes {
  /** Their path as metrics and traces show it: `/v1/tasks/:task_id`. */
  label: string;
  /** Its parts between slashes; a parameter begins with a colon. */
  parts: string[];
  byMethod: Map<string, Middleware>;
}

/**
 * Middleware that serves the routes.
 * @param rest router for all other paths. @param onOtherMethod called before a method that a path does not have is answered.
 */
export function serveRoutes<Route extends { path: string; method: string }>(
  routes: readonly Route[],
  serve: (route: Route) => Middleware,
  rest: Router,
  onOtherMethod: (ctx: Context) => void,
): Middleware {
  const known = new Map<string, PathRoutes>();
  for (const route of routes) {
    const label = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const own = known.get(label) ?? { label, parts: label.split('/'), byMethod: new Map() };
    known.set(label, own);
    own.byMethod.set(route.method, serve(route));
  }
  const byPath = new Map<string, PathRoutes>();
  // No path fits two of those of a form, so their order does not matter.
  const byForm = new Map<string, PathRoutes[]>();
  for (const one of known.values()) {
    const form = formOf(one.parts);
    if (one.label.includes(':')) byForm.set(form, [...(byForm.get(form) ?? []), one]);
    else byPath.set(one.label, one);
  }
  const others = middlewareOf(rest);
  return (ctx, next) => {
    const { path } = ctx;
    let found = byPath.get(path);
    ctx.params = {};
    if (found === undefined) {
      const parts = path.split('/');
      found = byForm.get(formOf(parts))?.find((one) => isOf(one, parts));
      if (found === undefined) return others(ctx, next);
      ctx.params = parametersOf(found, parts);
    }
    const serveMethod = found.byMethod.get(ctx.method === 'HEAD' ? 'GET' : ctx.method);
    if (serveMethod === undefined) {
      onOtherMethod(ctx);
      return handleOtherMethod(ctx, [...found.byMethod.keys()]);
    }
    ctx._matchedRoute = found.label;
    return serveMethod(ctx, next);
  };
}

/** The first two parts of a path, and how many it has. */
function formOf(parts: readonly string[]): string {
  return `${parts[1]}/${parts[2]}/${parts.length}`;
}

/** Whether a path of the same form is that of these routes. */
function isOf(routes: PathRoutes, parts: readonly string[]): boolean {
  return routes.parts.every((part, index) =>
    part.startsWith(':') ? parts[index] !== '' : part === parts[index],
  );
}

function parametersOf(routes: PathRoutes, parts: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [index, part] of routes.parts.entries())
    if (part.startsWith(':')) parameters[part.slice(1)] = decoded(parts[index] ?? '');
  return parameters;
}

/** A part of a path without percent-encoding; as it is when that is malformed. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Middleware of a router, with its responses to OPTIONS and to unsupported methods. */
function middlewareOf(router: Router): Middleware {
  const routes = router.routes() as Middleware;
  const allowedMethods = router.allowedMethods() as Middleware;
  return (ctx, next) => routes(ctx, () => allowedMethods(ctx, next));
}

/** Answers OPTIONS with the methods of a path (RFC 9110, section 9.3.7). @throws ApiError 405 for other requests */
export function handleOtherMethod(ctx: Context, methods: readonly string[]): void {
  const allowed = methods.flatMap((one) => (one === 'GET' ? ['HEAD', 'GET'] : [one]));
  const Allow = [...allowed, 'OPTIONS'].join(', ');
  if (ctx.method !== 'OPTIONS') throw methodNotAllowed(ctx.method, Allow);
  ctx.status = 200;
  ctx.body = '';
  ctx.set('Allow', Allow);
}
