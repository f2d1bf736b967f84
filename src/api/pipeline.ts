// Turns a route into Koa middleware: admit the caller, read and validate the input, claim the Idempotency-Key, check the
// rules, call the handler, send the response. The order of these steps is part of the contract. During long requests the
// authorization of the caller is renewed (`reauthorization.ts`).

import type { Readable } from 'node:stream';
import type { Context, Middleware } from 'koa';
import type { TObject, TSchema } from 'typebox';
import { shortened } from '../state/text/text.ts';
import { annotate, isTracing } from '../tracing/tracing.ts';
import type { Authenticator } from './access/authenticate.ts';
import type { ClientAddresses } from './access/client-address.ts';
import { declaredBytes } from './access/in-flight.ts';
import type { Principal } from './access/principal.ts';
import { Reauthorization } from './access/reauthorization.ts';
import type { SessionCookies } from './access/session-cookies.ts';
import type { ApiDeps } from './deps.ts';
import { ApiError, type FieldError, invalid, notFound, throwIfAny } from './http/problem.ts';
import type { HttpResponse } from './http/response.ts';
import { allFaults, bodyCheck, type Check, queryCheck, type Rules } from './http/validation.ts';
import { canonicalPath, claimIdempotencyKey, idempotencyKeyOf } from './middleware/idempotency.ts';
import { BODY_LIMITS, readJsonBody } from './middleware/json-body.ts';
import type { RequestState } from './middleware/request-id.ts';
import { ResponseRecorder } from './middleware/response-recorder.ts';
import type { Call, Completion, Received, Route, RuleContext } from './route.ts';
import { EventStream } from './streams/event-stream.ts';

/** What serving any route requires. */
export interface PipelineDeps {
  authenticator: Authenticator;
  addresses: ClientAddresses;
  cookies: SessionCookies;
  /** Time limit for receiving a JSON body, ms. */
  bodyTimeoutMs: number;
  /** Aborts when the process shuts down. */
  closing: AbortSignal;
}

/** Middleware that serves one route. */
export function routeMiddleware(
  route: Route,
  deps: ApiDeps,
  { authenticator, addresses, cookies, bodyTimeoutMs, closing }: PipelineDeps,
): Middleware {
  const checkParams = route.params && queryCheck(route.params);
  const checkQuery = queryCheck(route.query ?? NO_QUERY);
  const checkBody = route.body && bodyCheck(route.body);

  return async (ctx: Context & { state: RequestState }) => {
    const authorization = await Reauthorization.begin(ctx, authenticator, route.access);
    const { principal } = authorization;
    const params = ctx.params as Record<string, unknown>;
    // No record can have a malformed id.
    if (checkParams !== undefined && checkParams(params).length > 0) throw notFound();
    lowerCaseIds(params, route.params);
    if (isTracing()) annotate(aboutOf(principal, params));
    const query = readQuery(ctx, route.query, checkQuery);
    if (route.adds && deps.memory.isHigh) throw storageFull();
    const release = reserveBodyBytes(ctx, route, deps, principal);
    try {
      await runRequest(ctx, authorization, params, query);
    } finally {
      release();
    }
  };

  function rulesIn(context: RuleContext): Rules {
    return async (value) => (await route.rules?.(value, context)) ?? [];
  }

  async function runRequest(
    ctx: Context & { state: RequestState },
    authorization: Reauthorization,
    params: Record<string, unknown>,
    query: Record<string, unknown>,
  ): Promise<void> {
    const { principal } = authorization;
    const json = route.body === undefined ? null : await readJsonBody(ctx, bodyTimeoutMs, route.bodyLimits);
    if (json === null && route.body !== undefined && !route.bodyOptional)
      throw new ApiError('malformed_json', 'A JSON body is required.');
    const body = json === null ? {} : json.value;
    const context = { deps, principal };
    const needed = route.completion?.isNeeded(context, body) ?? false;
    const completion = (needed instanceof Promise ? await needed : needed) ? route.completion : undefined;
    const errors = completion === undefined ? (checkBody?.(body) ?? []) : [];
    if (errors.length > 0) throw invalid(...(await allFaults(body, errors, rulesIn(context))));
    route.admit?.(body, principal);
    const recorder = new ResponseRecorder(deps, principal);
    const call: Call = {
      deps,
      principal,
      params,
      query,
      body,
      ifMatch: readIfMatch(ctx, route),
      requestId: ctx.state.requestId,
      address: () => addresses.of(ctx.req),
      origin: () => cookies.originOf(ctx),
      userAgent: shortened(ctx.req.headers['user-agent'] ?? '', USER_AGENT_LENGTH) || null,
      signal: () => requestSignal(ctx, closing, authorization.lost),
      lastEventId: String(ctx.req.headers['last-event-id'] ?? '') || undefined,
      actor: actorOf(principal),
      recordResponse: (response) => recorder.record(response),
      seedForKey: () => recorder.seedForKey(),
      onceForKey: (make) => recorder.onceForKey(make),
      orgGuard: (orgId) => authenticator.orgGuard(ctx, orgId),
      callerGuards: (isRetry) =>
        isRetry
          ? recorder.requireClaim().then(() => authenticator.reloadedGuards(ctx, principal))
          : authenticator.guardsAtAdmission(principal),
      async credentialGuards() {
        await recorder.requireClaim();
        return { guards: await authenticator.credentialAndRuleGuards(ctx, principal), writes: [] };
      },
    };
    let received: Received<unknown> | undefined;
    try {
      if (route.reader !== undefined) {
        received = await route.reader.read({ ...call, request: ctx.req });
        call.body = received.value;
      }
      await authorization.renew();
      const raw = json?.raw ?? received?.fingerprint ?? '';
      const response = await respondTo(ctx, route, call, recorder, raw, completion);
      // The result of a write is sent even if the authorization was lost meanwhile; a read
      // requires authorization at this moment.
      if (route.method === 'GET') await authorization.renew();
      if (response.cookie !== undefined) cookies.write(ctx, response.cookie);
      const content = await send(ctx, response);
      if (content !== undefined) endWhenLost(content, authorization);
    } catch (error) {
      // The error may be a consequence of the lost authorization, which is then reported instead.
      if (authorization.isLost) await authorization.renew();
      throw error;
    } finally {
      await received?.release();
    }
  }
}

/** What finishes work is still taken, in the room above the mark. */
function storageFull(): ApiError {
  const detail =
    'The storage is almost full, so nothing can be added now. Work that exists goes on. Try again later.';
  return new ApiError('unavailable', detail, { headers: { 'Retry-After': '30' } });
}

/** Counts the bytes of the body, before they are read, until the request ends. @throws ApiError 429 or 503 */
function reserveBodyBytes(
  ctx: Context,
  route: Route,
  { inFlight }: ApiDeps,
  principal: Principal,
): () => void {
  const { reader, body, bodyLimits = BODY_LIMITS } = route;
  if (reader === undefined && body === undefined) return () => undefined;
  const bytes = declaredBytes(ctx.req.headers, reader?.bytes ?? bodyLimits.bytes);
  if (bytes === 0) return () => undefined;
  return inFlight.hold(reader === undefined ? 'bodies' : 'uploads', principal, bytes);
}

/** The response of the handler, or the stored response of the Idempotency-Key. */
async function respondTo(
  ctx: Context,
  route: Route,
  call: Call,
  recorder: ResponseRecorder,
  raw: Buffer | string,
  completion: Completion | undefined,
): Promise<HttpResponse> {
  const { deps, principal } = call;
  const key = idempotencyKeyOf(ctx, principal);
  if (key !== null) {
    const path = canonicalPath(route.path, ctx.params as Record<string, unknown>);
    const grants = route.grants === true;
    const claimed = await claimIdempotencyKey(deps, { key, path, principal, raw, grants });
    if ('replay' in claimed) return claimed.replay;
    recorder.hold(claimed.claim);
  }
  try {
    if (recorder.claim !== null && 'org_id' in principal)
      await deps.usage.requireRoomForResponse(principal.org_id);
    // After the claim, because rules that the first request passed may reject its repetition, for instance a time
    // that has passed since.
    if (completion === undefined) {
      if (route.rules !== undefined) throwIfAny(await route.rules(call.body, { deps, principal }));
    } else call.body = await completion.complete({ deps, principal }, call.body);
    const response = await route.handler(call);
    if (response.skipRecording) await recorder.drop();
    else await recorder.finish(response);
    return response;
  } catch (error) {
    await recorder.release(error);
    throw error;
  } finally {
    recorder.end();
  }
}

/** Sends the response. @returns the stream that is still being sent, if any */
async function send(ctx: Context, response: HttpResponse): Promise<Readable | undefined> {
  // Opened before any part of the response is set, because this may fail.
  const content =
    response.content === undefined || ctx.method === 'HEAD' ? undefined : await response.content();
  ctx.status = response.status;
  if (response.content !== undefined) ctx.body = content ?? '';
  for (const [name, value] of Object.entries(response.headers ?? {})) ctx.res.setHeader(name, value);
  if (response.content !== undefined) return content;
  if (response.body === undefined) {
    ctx.body = null;
    ctx.status = response.status;
    return undefined;
  }
  // Set first, or Koa guesses the type from the text.
  ctx.res.setHeader('Content-Type', 'application/json; charset=utf-8');
  ctx.body = JSON.stringify(response.body);
  // Asked first, because Koa copies all headers to compare them.
  const isConditional = 'if-none-match' in ctx.req.headers || 'if-modified-since' in ctx.req.headers;
  if (isConditional && ctx.method === 'GET' && response.status === 200 && ctx.fresh) ctx.status = 304;
  return undefined;
}

/** Ends a download when its caller loses the authorization. Event streams end by their signal. */
function endWhenLost(content: Readable, authorization: Reauthorization): void {
  if (content instanceof EventStream || content.destroyed) return;
  const destroy = () => content.destroy(new Error('the caller has lost the authorization'));
  authorization.lost.addEventListener('abort', destroy);
}

/** Converts UUIDs to lower case, in which they are stored; they are case-insensitive on input (RFC 9562, section 4). */
function lowerCaseIds(params: Record<string, unknown>, schema: TObject | undefined): void {
  for (const [name, value] of Object.entries(params)) {
    const field: { format?: string } = schema?.properties[name] ?? {};
    if (field.format === 'uuid' && typeof value === 'string') params[name] = value.toLowerCase();
  }
}

/** Most of a `User-Agent` that is kept, in UTF-16 units. */
const USER_AGENT_LENGTH = 200;

/** The attributes of a request's span. */
function aboutOf(principal: Principal, { task_id }: Record<string, unknown>): Record<string, string> {
  return {
    ...('org_id' in principal && { org_id: principal.org_id }),
    ...(typeof task_id === 'string' && { task_id }),
  };
}

const NO_QUERY = { type: 'object', additionalProperties: false } as unknown as TObject;

function readQuery(ctx: Context, schema: TObject | undefined, check: Check): Record<string, unknown> {
  // Without a prototype, because a parameter may be named __proto__.
  const query: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(ctx.querystring === '' ? {} : ctx.query)) {
    const list = listSchema(schema?.properties[name]);
    if (list !== null) {
      const values = [value].flat().map((one) => one ?? '');
      query[name] = list.commasAreLiteral ? values : values.flatMap((one) => one.split(','));
    } else if (Array.isArray(value)) throw badQuery([{ pointer: `/${name}`, message: 'must be given once' }]);
    else query[name] = value;
  }
  const errors = check(query);
  if (errors.length > 0) throw badQuery(errors);
  return query;
}

/** Whether the items of a list parameter are free text, in which a comma does not separate items; null for other parameters. */
function listSchema(schema: TSchema | undefined): { commasAreLiteral: boolean } | null {
  if (schema === undefined || !('items' in schema)) return null;
  const items = schema.items as { enum?: unknown; pattern?: unknown };
  return { commasAreLiteral: items.enum === undefined && items.pattern === undefined };
}

function badQuery(errors: FieldError[]): ApiError {
  const parameters = errors.map((one) => ({ ...one, parameter: one.pointer.split('/')[1] ?? '' }));
  const detail = parameters.map((one) => `${one.parameter} ${one.message}`).join('; ');
  return new ApiError('invalid_query', detail, { errors: parameters });
}

/**
 * The version in If-Match; undefined without one.
 * @throws ApiError 400 for a malformed header; 412 for an ETag that no record of the route can have
 */
function readIfMatch(ctx: Context, route: Route): number | undefined {
  const text = ctx.req.headers['if-match'];
  if (text === undefined || text === '' || text === '*' || route.method === 'GET') return undefined;
  const [, version] = /^"(\d{1,15})"$/.exec(text) ?? [];
  if (version !== undefined && route.versioned) return Number(version);
  if (/^(W\/)?"[^"]*"$/.test(text))
    throw new ApiError('version_mismatch', 'If-Match is not a version of this resource.');
  throw new ApiError('invalid_header', 'If-Match must be one strong ETag, such as "3".');
}

function requestSignal(ctx: Context, closing: AbortSignal, lost: AbortSignal): AbortSignal {
  const disconnected = new AbortController();
  // A response that is closed already emits no further event.
  if (ctx.res.closed) disconnected.abort();
  else ctx.res.once('close', () => disconnected.abort());
  return AbortSignal.any([disconnected.signal, closing, lost]);
}

function actorOf(principal: Principal): string {
  switch (principal.kind) {
    case 'api_key':
      return principal.actor;
    case 'worker':
      return `worker:${principal.worker_id}`;
    default:
      return principal.kind;
  }
}
