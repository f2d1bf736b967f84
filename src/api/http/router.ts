// Where a request goes. A place that is named outright (`/v1/tasks/batch`) has a router of its own, so it is found at
// once and is meant whatever the method, also where its name would fit one with parameters (`/v1/tasks/{task_id}`);
// those with parameters share one by the first two parts of their path.

import { Router } from '@koa/router';
import type { Context, Middleware } from 'koa';
import { methodNotAllowed } from './problem.ts';

/** A router that knows one spelling of a place: another would be another route to the idempotency keys. */
export function newRouter(): Router {
  return new Router({ strict: true, sensitive: true });
}

/** Middleware that has each of the routes served in its place. @param rest takes what is none of them. */
export function placing<Route extends { path: string; method: string }>(
  routes: readonly Route[],
  serve: (route: Route) => Middleware,
  rest: Router,
): Middleware {
  const outright = new Map<string, Router>();
  const regions = new Map<string, Router>();
  for (const route of routes) {
    const form = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const [among, name] = form === route.path ? [outright, form] : [regions, regionOf(form)];
    const router = among.get(name) ?? newRouter();
    among.set(name, router);
    router.register(form, [route.method], serve(route));
  }
  const [toOutright, toRegion, other] = [chains(outright), chains(regions), chain(rest)];
  return (ctx, next) => {
    const { path } = ctx;
    return (toOutright.get(path) ?? toRegion.get(regionOf(path)) ?? other)(ctx, next);
  };
}

function regionOf(path: string): string {
  return path.split('/', 3).join('/');
}

function chains(routers: ReadonlyMap<string, Router>): Map<string, Middleware> {
  return new Map([...routers].map(([name, router]) => [name, chain(router)]));
}

/** A router, and what it says of methods that it does not have. */
function chain(router: Router): Middleware {
  const routes = router.routes() as Middleware;
  const others = router.allowedMethods() as Middleware;
  return (ctx, next) => routes(ctx, () => others(ctx, next));
}

/** Says which methods a place has (RFC 9110, section 9.3.7). @throws ApiError 405 when it was not asked for them */
export function answerOtherMethod(ctx: Context, methods: readonly string[]): void {
  const known = methods.flatMap((one) => (one === 'GET' ? ['HEAD', 'GET'] : [one]));
  const Allow = [...known, 'OPTIONS'].join(', ');
  if (ctx.method !== 'OPTIONS') throw methodNotAllowed(ctx.method, Allow);
  ctx.status = 200;
  ctx.body = '';
  ctx.set('Allow', Allow);
}
