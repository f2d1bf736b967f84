// The API as a Koa app. It does not listen; the entry points and the tests attach it to a server.

import type { RequestListener } from 'node:http';
import Koa from 'koa';
import type { Logger } from 'pino';
import { QUEUES } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import { coverageOf } from '../state/operation/coverage.ts';
import { FileStoreError } from '../store/evidence/files.ts';
import { isTracing } from '../tracing/tracing.ts';
import { Admission } from './access/admission.ts';
import { Authenticator } from './access/authenticate.ts';
import { ClientAddresses } from './access/client-address.ts';
import { InFlight, type InFlightOptions } from './access/in-flight.ts';
import { SessionCookies } from './access/session-cookies.ts';
import { Usage } from './access/usage.ts';
import type { ApiDeps } from './deps.ts';
import { openApi } from './docs/openapi.ts';
import { docsPage } from './docs/page.ts';
import { newRouter, serveRoutes } from './http/router.ts';
import { mcpEndpoint } from './mcp/endpoint.ts';
import { crossOrigin } from './middleware/cross-origin.ts';
import { errors } from './middleware/errors.ts';
import { securityHeaders } from './middleware/headers.ts';
import { hostAndExpect } from './middleware/host-and-expect.ts';
import { requestId } from './middleware/request-id.ts';
import { traceRequests } from './middleware/trace-requests.ts';
import { unreadBody } from './middleware/unread-body.ts';
import { Issuers } from './oauth/issuers.ts';
import { JwksCache } from './oauth/jwks.ts';
import { challengeParameters, MCP_PATH, metadataUrl } from './oauth/resource.ts';
import { oauthServer } from './oauth/server.ts';
import { board } from './ops/board.ts';
import { operatorActions } from './ops/board-actions.ts';
import { addOpenRoutes } from './ops/health.ts';
import { createMetrics } from './ops/metrics.ts';
import { pages } from './pages/pages.ts';
import { routeMiddleware } from './pipeline.ts';
import { ROUTES } from './routes/index.ts';
import { FeedTails } from './streams/feed-tails.ts';

export interface AppOptions
  extends Omit<
    ApiDeps,
    | 'coverage'
    | 'failedJobs'
    | 'forgetCredential'
    | 'forgetOrg'
    | 'feedTails'
    | 'hasTaskTypes'
    | 'inFlight'
    | 'usage'
  > {
  queues: Queues;
  operatorToken: string | undefined;
  /** Whether the operator can retry and remove jobs on the queue board. */
  boardActions: boolean;
  /** Networks of trusted proxies, CIDRs; their X-Forwarded-For is used. */
  trustedProxies: readonly string[];
  /** Origins of web pages that may call the API. */
  corsOrigins: readonly string[];
  /** Limits of concurrent requests that override the defaults. */
  inFlight?: InFlightOptions;
  /** Time limit for receiving a JSON body, ms. */
  bodyTimeoutMs: number;
  /** Origin under which clients reach the API; without it OAuth is disabled. */
  publicUrl: string | undefined;
  /** So many orgs with most open tasks have metrics of their own. */
  topOrgs: number;
  version: string;
  log: Logger;
  /** Aborts when the process shuts down; waiting requests are then answered. */
  closing: AbortSignal;
}

export function createApp(options: AppOptions): Koa {
  const {
    queues,
    operatorToken,
    boardActions,
    trustedProxies,
    corsOrigins,
    bodyTimeoutMs,
    publicUrl,
    topOrgs,
    version,
    log,
    closing,
    inFlight,
    ...given
  } = options;
  const app = new Koa();
  const addresses = new ClientAddresses(trustedProxies);
  const admission = new Admission(given.db, addresses, given.quotas, given.storageQuotas);
  const issuers = new Issuers(given.db, new JwksCache(given.addressPolicy));
  const cookies = new SessionCookies(publicUrl, addresses);
  const authenticator = new Authenticator(given.db, operatorToken, admission, issuers, cookies, (path) =>
    publicUrl === undefined ? [] : challengeParameters(publicUrl, path),
  );
  const deps: ApiDeps = {
    ...given,
    inFlight: new InFlight(inFlight),
    failedJobs: () => countFailed(queues),
    coverage: (processes) => coverageOf(processes, QUEUES, queues.shards.length),
    usage: new Usage(given.db, (tenantId) => admission.storageQuotas(tenantId)),
    hasTaskTypes: (tenantId) => admission.hasTaskTypes(tenantId),
    feedTails: new FeedTails(given.db, given.changes),
    forgetCredential: (hash) => authenticator.dropCached(hash),
    forgetOrg: (orgId) => {
      admission.forgetOrg(orgId);
      authenticator.recheckOrg(orgId);
    },
  };
  const router = newRouter();
  const metrics = createMetrics({ ...given, queues, topOrgs, version });
  router.get('/metrics', async (ctx) => {
    await authenticator.admit(ctx, { kind: 'operator' });
    const { type, text } = await metrics.scrape();
    ctx.set('Content-Type', type);
    ctx.body = text;
  });
  let listener: RequestListener | undefined;
  router.post(
    MCP_PATH,
    mcpEndpoint({
      serve(request, response) {
        listener ??= app.callback();
        void listener(request, response);
      },
      authenticator,
      inFlight: deps.inFlight,
      resourceMetadata: publicUrl === undefined ? null : metadataUrl(publicUrl, MCP_PATH),
      origins: new Set([...corsOrigins, ...(publicUrl === undefined ? [] : [publicUrl])]),
      bodyTimeoutMs,
      version,
      log,
      closing,
    }),
  );
  const describe = () => openApi(ROUTES, version, publicUrl);
  addOpenRoutes(router, deps, admission, describe, (ctx) => cookies.originOf(ctx));

  if (isTracing()) app.use(traceRequests());
  app.use(unreadBody());
  app.use(metrics.middleware);
  app.use(requestId());
  app.use(errors(log));
  app.use(securityHeaders((request) => addresses.isSecure(request)));
  app.use(hostAndExpect());
  app.use((ctx, next) => {
    if (ctx.method === 'OPTIONS') admission.countAnonymous(ctx);
    return next();
  });
  for (const middleware of crossOrigin(corsOrigins)) app.use(middleware);
  // Before all others, because nearly all requests are for these paths.
  const serving = { authenticator, addresses, cookies, bodyTimeoutMs, closing };
  app.use(serveRoutes(ROUTES, (route) => routeMiddleware(route, deps, serving), router));
  const act = boardActions ? operatorActions(given.db, queues, log) : undefined;
  app.use(board({ queues, authenticator, admission, cookies, act }));
  app.use(docsPage(admission));
  if (publicUrl !== undefined) {
    const onEnded = (hash: string) => authenticator.dropCached(hash);
    app.use(
      oauthServer({
        ...given,
        issuer: publicUrl,
        addresses,
        admission,
        sessionCookies: cookies,
        log,
        bodyTimeoutMs,
        onEnded,
      }),
    );
  }
  app.use(pages(admission));
  // Unknown paths count as unauthenticated, with or without a credential.
  app.use((ctx, next) => {
    admission.countAnonymous(ctx);
    return next();
  });
  // Koa reports errors after the start of a response here, such as a disconnected client.
  app.on('error', (error) =>
    log[error instanceof FileStoreError ? 'error' : 'debug']({ err: error }, 'a response was interrupted'),
  );
  return app;
}

async function countFailed(queues: Queues): Promise<Record<string, number>> {
  const counted = QUEUES.map(async (name) => {
    const counts = await Promise.all(queues.named(name).map((queue) => queue.getFailedCount()));
    return [name, counts.reduce((sum, one) => sum + one, 0)] as const;
  });
  return Object.fromEntries(await Promise.all(counted));
}
