// Finds the route of a request. A static route (`/v1/tasks/batch`) takes precedence over a parameter route
// (`/v1/tasks/{task_id}`) for every method. @koa/router tests its routes one after the other, so each static path has a router
// of its own, and parameter routes share one if their first two segments and the number of segments are the same.

import { Router } from '@koa/router';
import type { Context, Middleware } from 'koa';
import { methodNotAllowed } from './problem.ts';

/** A router without alternative spellings of a path, such as another case or a trailing slash. */
export function newRouter(): Router {
  return new Router({ strict: true, sensitive: true });
}

/** Middleware that serves the routes. @param rest router for all other paths. */
export function serveRoutes<Route extends { path: string; method: string }>(
  routes: readonly Route[],
  serve: (route: Route) => Middleware,
  rest: Router,
): Middleware {
  const staticRouters = new Map<string, Router>();
  const parameterRouters = new Map<string, Router>();
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const [routers, key] = path === route.path ? [staticRouters, path] : [parameterRouters, formOf(path)];
    const router = routers.get(key) ?? newRouter();
    routers.set(key, router);
    router.register(path, [route.method], serve(route));
  }
  const byPath = allMiddleware(staticRouters);
  const byForm = allMiddleware(parameterRouters);
  const others = middlewareOf(rest);
  return (ctx, next) => {
    const { path } = ctx;
    return (byPath.get(path) ?? byForm.get(formOf(path)) ?? others)(ctx, next);
  };
}

/** The first two segments of a path, and how many it has. */
function formOf(path: string): string {
  const segments = path.split('/');
  return `${segments[1]}/${segments[2]}/${segments.length}`;
}

function allMiddleware(routers: ReadonlyMap<string, Router>): Map<string, Middleware> {
  return new Map([...routers].map(([key, router]) => [key, middlewareOf(router)]));
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
