// The order of places: one that is named outright (`/v1/tasks/batch`) comes before one with parameters
// (`/v1/tasks/{task_id}`) that its name would fit too, and is meant whatever the method.

import type { Router } from '@koa/router';
import type { Context, Middleware } from 'koa';
import { methodNotAllowed } from './problem.ts';
import type { Route } from './route.ts';

export interface Place {
  path: string;
  routes: Route[];
  /** Whether its name fits a place with parameters. */
  isShadowed: boolean;
}

/** The routes by their place, those named outright first. */
export function places(routes: readonly Route[]): Place[] {
  const paths = [...new Set(routes.map((route) => route.path))];
  const isOutright = (path: string) => !path.includes('{');
  const forms = paths
    .filter((path) => !isOutright(path))
    .map((path) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`));
  return [...paths.filter(isOutright), ...paths.filter((path) => !isOutright(path))].map((path) => ({
    path,
    routes: routes.filter((route) => route.path === path),
    isShadowed: isOutright(path) && forms.some((form) => form.test(path)),
  }));
}

/** The first two parts of a path: places with the same are looked for together. */
export function regionOf(path: string): string {
  return path.split('/', 3).join('/');
}

/** Routes to the region's own router, so that a request is not compared with every place there is, or to `rest`. */
export function routing(regions: ReadonlyMap<string, Router>, rest: Router): Middleware {
  const chainOf = (router: Router): Middleware => {
    const routes = router.routes() as Middleware;
    const others = router.allowedMethods() as Middleware;
    return (ctx, next) => routes(ctx, () => others(ctx, next));
  };
  const chains = new Map([...regions].map(([region, router]) => [region, chainOf(router)]));
  const other = chainOf(rest);
  return (ctx, next) => (chains.get(regionOf(ctx.path)) ?? other)(ctx, next);
}

/** Answers what comes to a place by a method that it does not have. */
export function otherMethods(methods: readonly string[]): Middleware {
  return (ctx) => answerOtherMethod(ctx, methods);
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
