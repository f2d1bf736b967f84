// A route is a row of data (required access, schemas of input and output) with a handler. The router, the scope checks,
// the OpenAPI document and many tests are generated from these rows.

import type { IncomingMessage } from 'node:http';
import type { Static, TObject, TSchema } from 'typebox';
import type { CallerGuards } from '../store/commands/change.ts';
import type { Change, Guard } from '../store/redis/commit.ts';
import type {
  Access,
  KeyPrincipal,
  Principal,
  Scope,
  SessionRef,
  WorkerPrincipal,
} from './access/principal.ts';
import type { ApiDeps } from './deps.ts';
import type { FieldError, ProblemCode } from './http/problem.ts';
import type { HttpResponse } from './http/response.ts';
import type { Tag } from './http/tags.ts';
import type { BodyLimits } from './middleware/json-body.ts';

type PrincipalOf<A extends Access> = A extends { kind: 'scope' }
  ? KeyPrincipal
  : A extends { kind: 'worker' }
    ? WorkerPrincipal
    : A extends { kind: 'session'; of: 'worker' }
      ? WorkerPrincipal & { session: SessionRef }
      : A extends { kind: 'session'; of: 'console' }
        ? KeyPrincipal & { session: SessionRef }
        : Principal;

/** A request, as its handler sees it. */
export interface Call<P extends Principal = Principal, Params = unknown, Query = unknown, Body = unknown> {
  deps: ApiDeps;
  principal: P;
  params: Params;
  query: Query;
  body: Body;
  /** Version in `If-Match`; undefined without the header. */
  ifMatch: number | undefined;
  requestId: string;
  /** The client's IP address; null if unknown. */
  address(): string | null;
  /** Origin of our pages in the caller's browser, such as `https://api.example.com`. */
  origin(): string;
  /** `User-Agent` of the client, shortened; null without one. */
  userAgent: string | null;
  /** Creates a signal that aborts when the client disconnects, loses its authorization, or the process shuts down. */
  signal(): AbortSignal;
  /** `Last-Event-ID` of a client that resumes an event stream. */
  lastEventId: string | undefined;
  /** Actor in histories: `api_key:<id>`, `worker:<id>` and so on. */
  actor: string;
  /**
   * Guards and writes that store the response for the Idempotency-Key; add them to the commit of the effect. A function is
   * called only if the request has a key.
   */
  recordResponse(response: HttpResponse | (() => HttpResponse)): Change;
  // Two kinds of guards make a commit fail if the caller has lost its authorization:
  //   credentialGuards  the credential, its expiry, the org's rules; loaded now; for commits that grant or change access
  //   callerGuards      the credential as admitted; loaded again only for the second attempt; for commands to tasks
  /**
   * Loads the credential, the org's rules and the claim on the Idempotency-Key again. Returns guards under which the
   * commit fails if any of them changes first.
   * @throws ApiError 401, 403, or 409 if the permissions of the credential have changed
   */
  credentialGuards(): Promise<Change>;
  /**
   * For callers without a credential who sign in to an org: loads its rules, and returns a guard that holds until they
   * change. @throws ApiError 403 `ip_not_allowed` or `org_suspended`
   */
  orgGuard(orgId: string): Promise<Guard>;
  /**
   * Guards under which a commit fails if the credential was revoked or changed. Unlike those of `credentialGuards` they
   * cost no look-up before the first attempt (`isRetry` false): for commands to tasks, which grant nothing.
   * @throws ApiError 401, or 409 if the permissions of the credential have changed
   */
  callerGuards: CallerGuards;
  /**
   * Seed of the ids (see `idFromSeed`) of effects that do not fit into one commit. A repeated request with the same
   * Idempotency-Key gets the same seed and so does not repeat them. Null without a key.
   */
  seedForKey(): Promise<string | null>;
  /**
   * Returns the result of `make` (JSON). A repeated request with the same Idempotency-Key gets the result of the first,
   * which is stored sealed: for values that are created in one commit and returned after another, such as secrets.
   */
  onceForKey<T>(make: () => T): Promise<T>;
}

/** A body that is not JSON, after its reader has received it. */
export interface Received<R> {
  value: R;
  /** Distinguishes bodies that were sent with the same Idempotency-Key. */
  fingerprint: string;
  /** Frees what the handler did not use; called at the end of every request. */
  release(): Promise<void>;
}

/** Streams a body that is not JSON, after admission and before the handler. */
interface BodyReader<P extends Principal = Principal, Params = unknown, Query = unknown, R = unknown> {
  /** Media type → schema, for the OpenAPI document. */
  content: Record<string, TSchema>;
  /** Largest body in bytes. */
  bytes: number;
  read(
    call: Pick<Call<P, Params, Query>, 'deps' | 'principal' | 'params' | 'query' | 'ifMatch' | 'signal'> & {
      request: IncomingMessage;
    },
  ): Promise<Received<R>>;
}

/** Fills in and checks a body whose missing parts have defaults elsewhere, after the Idempotency-Key was claimed. */
export interface Completion {
  /** Whether the body may have such defaults; otherwise it is checked like any other. */
  isNeeded(context: RuleContext, body: unknown): boolean | Promise<boolean>;
  /** The valid body. @throws ApiError 422 */
  complete(context: RuleContext, body: unknown): Promise<unknown>;
}

/** What the rules of a body depend on besides the body. */
export interface RuleContext {
  deps: ApiDeps;
  principal: Principal;
}

/** Responses by status; `type` is the media type if it is not JSON, `headers` those that every such response has. */
export type Responses = Record<
  number,
  { description: string; schema?: TSchema; type?: string; headers?: readonly ('ETag' | 'Location')[] }
>;

type StaticOf<S, Default> = S extends TSchema ? Static<S> : Default;

export interface RouteDefinition<
  A extends Access,
  P extends TObject | undefined,
  Q extends TObject | undefined,
  B extends TSchema | undefined,
  R,
> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with `{name}` for parameters, as in OpenAPI. */
  path: string;
  access: A;
  tag: Tag;
  /** Name of the operation in the OpenAPI document and in clients made from it: a verb and a noun in camel case. */
  operationId: string;
  /** What the request does, at most 60 characters. */
  summary: string;
  /** What a caller should know besides, as Markdown. */
  description: string;
  params?: P;
  query?: Q;
  /** Schema of the JSON body. */
  body?: B;
  /** Replaces the checks of `body` and `rules` where the body may have defaults. */
  completion?: Completion;
  /** Whether the body may be absent; the handler then gets `{}`. */
  bodyOptional?: boolean;
  /** Schema of the body in the OpenAPI document, if the handler checks more than `body` does. */
  bodyShown?: TSchema;
  /** Limits of the body that differ from `BODY_LIMITS`. */
  bodyLimits?: BodyLimits;
  /** Whether the handler checks `If-Match`; other routes that write reject every version with 412. */
  versioned?: true;
  /** Whether the response contains a credential whose permissions depend on those of the caller. */
  grants?: true;
  /** Whether it adds records that stay: refused with 503 while the memory of Redis is above its high-water mark. */
  adds?: true;
  /** Reads a body that is not JSON; instead of `body`. */
  reader?: BodyReader<
    PrincipalOf<A>,
    StaticOf<P, Record<string, never>>,
    StaticOf<Q, Record<string, never>>,
    R
  >;
  /** Rejects callers that may not make this request; runs also before a stored response is sent. @throws ApiError 403 */
  admit?(body: StaticOf<B, undefined>, principal: PrincipalOf<A>): void;
  /** Rules that a schema cannot express. They also run on a body that fails its schema, so that all errors are reported. */
  rules?(body: unknown, context: RuleContext): Promise<FieldError[]>;
  responses: Responses;
  /** Codes of errors besides those that follow from the rest of the row (`docs/problems.ts`). */
  errors?: readonly ProblemCode[];
  /** Schema of the events that receivers get, for the `webhooks` of the OpenAPI document. */
  webhook?: TSchema;
  handler(
    call: Call<
      PrincipalOf<A>,
      StaticOf<P, Record<string, never>>,
      StaticOf<Q, Record<string, never>>,
      StaticOf<B, R>
    >,
  ): Promise<HttpResponse>;
}

/** A `RouteDefinition` without its type parameters, as the pipeline takes it. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  access: Access;
  tag: Tag;
  operationId: string;
  summary: string;
  description: string;
  params?: TObject | undefined;
  query?: TObject | undefined;
  body?: TSchema | undefined;
  completion?: Completion;
  bodyOptional?: boolean;
  bodyShown?: TSchema;
  bodyLimits?: BodyLimits;
  versioned?: true;
  grants?: true;
  adds?: true;
  reader?: BodyReader;
  admit?(body: unknown, principal: Principal): void;
  rules?(body: unknown, context: RuleContext): Promise<FieldError[]>;
  responses: Responses;
  errors?: readonly ProblemCode[];
  /** Schema of the events that receivers get, for the `webhooks` of the OpenAPI document. */
  webhook?: TSchema;
  handler(call: Call): Promise<HttpResponse>;
}

/** Defines a route; the types of the handler's parameters, query and body follow from the schemas. */
export function route<
  const A extends Access,
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  B extends TSchema | undefined = undefined,
  R = undefined,
>(definition: RouteDefinition<A, P, Q, B, R>): Route {
  // The pipeline calls the handler only with values that have passed the schemas of its types.
  return definition as unknown as Route;
}

/** Access with an API key or access token that has the scope. */
export function scope<const S extends Scope>(name: S): { kind: 'scope'; scope: S } {
  return { kind: 'scope', scope: name };
}

/** Access with an API key or access token that has one of the scopes; the route checks which the request requires. */
export function anyScope<const S extends Scope>(first: S, ...others: S[]) {
  return { kind: 'scope', scope: first, orScopes: others } as const;
}

/** Access with a live key that has the scope; see `Access`. */
export function liveScope<const S extends Scope>(name: S): { kind: 'scope'; scope: S; liveOnly: true } {
  return { kind: 'scope', scope: name, liveOnly: true };
}
