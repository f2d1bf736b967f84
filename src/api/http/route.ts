// What a route is: a row of data (who may call it, what goes in, what comes out) and a handler. The router,
// the scope checks, OpenAPI and the tests are all made from these rows.

import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Static, TObject, TSchema } from 'typebox';
import type { Change } from '../../store/redis/commit.ts';
import type { ApiDeps } from '../deps.ts';
import type { FieldError } from './problem.ts';

export const SCOPES = [
  'tasks:create',
  'tasks:read',
  'tasks:cancel',
  'tasks:review',
  'events:read',
  'webhooks:read',
  'webhooks:write',
  'pools:read',
  'pools:write',
  'workers:read',
  'workers:write',
  'keys:read',
  'keys:write',
  'org:read',
  'org:write',
  'audit:read',
  'members:read',
  'members:write',
  'oauth:read',
  'oauth:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * Who may call: an API key or access token with a scope, a worker with their token, the operator, or anybody. `liveOnly` is
 * for what an org has once, for its live things and its sandbox together: a test key may not change it.
 */
export type Access =
  | { kind: 'scope'; scope: Scope; liveOnly?: true }
  | { kind: 'worker' }
  | { kind: 'operator' }
  | { kind: 'open' };

/** Who acts for an org: an API key, or an access token, which is held to the same rules. */
export interface KeyPrincipal {
  kind: 'api_key';
  /** Whose things it acts on: the org's id, or its sandbox's for a test key (state/access/tenant.ts). */
  org_id: string;
  /** Of the API key; for an access token, of its OAuth client or outside issuer. */
  key_id: string;
  /** Who is meant in a history: `api_key:…`, `oauth_client:…`, `member:…` or `issuer:…`. */
  actor: string;
  scopes: readonly string[];
  /** `["*"]` or the pools it is confined to. */
  pools: readonly string[];
  /** When it ends, ms; null for never. It grants nothing that lasts longer. */
  expires_at: number | null;
}

export interface WorkerPrincipal {
  kind: 'worker';
  /** The worker's org, or the sandbox they belong to. */
  org_id: string;
  worker_id: string;
  /** Tells this worker from another of the same id before or after; see `Worker`. */
  incarnation: string;
  /** `["*"]`, or the pools of the key that made the token: tasks of others are not shown, nor answered. */
  pools: readonly string[];
}

export type Principal = KeyPrincipal | WorkerPrincipal | { kind: 'operator' } | { kind: 'anonymous' };

type PrincipalOf<A extends Access> = A extends { kind: 'scope' }
  ? KeyPrincipal
  : A extends { kind: 'worker' }
    ? WorkerPrincipal
    : Principal;

export interface Answer {
  status: number;
  /** JSON value; absent for an empty answer. */
  body?: unknown;
  /** Opens the bytes of an answer that is not JSON; the headers say their type and length. */
  content?: () => Promise<Readable>;
  headers?: Record<string, string>;
  /** Nothing was made: the answer is kept for no replay, and the same request may be tried again. */
  skipRecording?: true;
}

/** One request, as its handler sees it. */
export interface Call<P extends Principal = Principal, Params = unknown, Query = unknown, Body = unknown> {
  deps: ApiDeps;
  principal: P;
  params: Params;
  query: Query;
  body: Body;
  /** Version asked for by `If-Match`; undefined when the caller does not care. */
  ifMatch: number | undefined;
  requestId: string;
  /** Where the request comes from; null when that cannot be told. */
  address(): string | null;
  /** Makes a signal that aborts when the client is gone or not admitted any more, or the process shuts down. */
  signal(): AbortSignal;
  /** The last event of a stream that the client has had. */
  lastEventId: string | undefined;
  /** `api_key:<id>`, `worker:<id>` and so on, for the history. */
  actor: string;
  /** Guards and writes that keep `answer` for a replay, to go into the commit of the effect. */
  recordAnswer(answer: Answer): Change;
  /**
   * Looks anew at what the request may be made by: its credential, the org's rules and its claim on an Idempotency-Key.
   * What it gives goes into the commit, which then fails when any of that changes before it.
   * @throws ApiError 401, 403, or 409 when the credential may something else by now
   */
  credentialGuards(): Promise<Change>;
  /**
   * What effects that do not fit into one commit are named by (see `idFromSeed`), so that the same request under
   * its Idempotency-Key does not have them twice, whatever became of its first try; null without a key.
   */
  idSeed(): Promise<string | null>;
  /**
   * What `make` gives (JSON), and what it gave to the first try of the request under its Idempotency-Key: for what
   * is made in one commit and answered in another, with secrets that are told once. Kept sealed.
   */
  plan<T>(make: () => T): Promise<T>;
}

/** A body that is not JSON, as its reader took it in. */
export interface Received<R> {
  value: R;
  /** What tells this body from another under the same Idempotency-Key. */
  fingerprint: string;
  /** Frees what the request did not make use of; called when it is over, whatever came of it. */
  release(): Promise<void>;
}

/** How a route takes a body that is not JSON: as a stream, once the caller is admitted and before the handler runs. */
interface BodyReader<P extends Principal = Principal, Params = unknown, Query = unknown, R = unknown> {
  /** Media type → schema, for the description. */
  content: Record<string, TSchema>;
  /** Most bytes of a body. */
  bytes: number;
  read(
    call: Pick<Call<P, Params, Query>, 'deps' | 'principal' | 'params' | 'query' | 'ifMatch' | 'signal'> & {
      request: IncomingMessage;
    },
  ): Promise<Received<R>>;
}

/** Limits of a JSON body. */
export interface BodyLimits {
  bytes: number;
  /** Most names in all objects of the body together. */
  names: number;
  /** Deepest nesting of objects and arrays. */
  levels: number;
}

/** What a route may answer with; `type` is the media type where it is not JSON. */
export type Answers = Record<number, { description: string; schema?: TSchema; type?: string }>;

type StaticOf<S, Default> = S extends TSchema ? Static<S> : Default;

export interface RouteDefinition<
  A extends Access,
  P extends TObject | undefined,
  Q extends TObject | undefined,
  B extends TSchema | undefined,
  R,
> {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path with `{name}` for parameters, as OpenAPI writes it. */
  path: string;
  access: A;
  tag: string;
  summary: string;
  params?: P;
  query?: Q;
  /** Schema of the JSON body; a body that may be left out is `{}` then. */
  body?: B;
  bodyOptional?: boolean;
  /** What the description says of the body, where the handler checks more of it than `body` does. */
  bodyShown?: TSchema;
  /** Other bounds than those of all bodies. */
  bodyLimits?: BodyLimits;
  /** Whether the handler holds `If-Match` against the version of what it writes to; elsewhere any version is refused. */
  versioned?: true;
  /** Whether the answer holds a credential that may as much as its maker or more than the scope alone says. */
  grants?: true;
  /** Takes a body that is not JSON; in place of `body`. */
  reader?: BodyReader<
    PrincipalOf<A>,
    StaticOf<P, Record<string, never>>,
    StaticOf<Q, Record<string, never>>,
    R
  >;
  /** Whether the caller may ask for this, even if it is only to be told the first answer again. @throws ApiError 403 */
  admit?(body: StaticOf<B, undefined>, principal: PrincipalOf<A>): void;
  /** What no schema can say of a body; asked also of a body that the schema refuses, so that all faults are told at once. */
  rules?(body: unknown, context: { deps: ApiDeps; principal: Principal }): Promise<FieldError[]>;
  answers: Answers;
  handler(
    call: Call<
      PrincipalOf<A>,
      StaticOf<P, Record<string, never>>,
      StaticOf<Q, Record<string, never>>,
      StaticOf<B, R>
    >,
  ): Promise<Answer>;
}

/** A route as the router takes it, its types checked where it was defined. */
export interface Route {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  access: Access;
  tag: string;
  summary: string;
  params?: TObject | undefined;
  query?: TObject | undefined;
  body?: TSchema | undefined;
  bodyOptional?: boolean;
  bodyShown?: TSchema;
  bodyLimits?: BodyLimits;
  versioned?: true;
  grants?: true;
  reader?: BodyReader;
  /** Whether the caller may ask for this, even if it is only to be told the first answer again. @throws ApiError 403 */
  admit?(body: unknown, principal: Principal): void;
  /** What no schema can say of a body; asked also of a body that the schema refuses, so that all faults are told at once. */
  rules?(body: unknown, context: { deps: ApiDeps; principal: Principal }): Promise<FieldError[]>;
  answers: Answers;
  handler(call: Call): Promise<Answer>;
}

/** Defines a route; the handler's view of parameters, query and body follows from their schemas. */
export function route<
  const A extends Access,
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  B extends TSchema | undefined = undefined,
  R = undefined,
>(definition: RouteDefinition<A, P, Q, B, R>): Route {
  // The pipeline gives the handler only what passed the very schemas its types come from.
  return definition as unknown as Route;
}

export function scope<const S extends Scope>(name: S): { kind: 'scope'; scope: S } {
  return { kind: 'scope', scope: name };
}

/** A scope that only a live key can use here; see `Access`. */
export function liveScope<const S extends Scope>(name: S): { kind: 'scope'; scope: S; liveOnly: true } {
  return { kind: 'scope', scope: name, liveOnly: true };
}

/** Whether the key, or the worker token, may see and use this pool (null: no pool, which only an unconfined key may). */
export function maySeePool({ pools }: { pools: readonly string[] }, pool: string | null): boolean {
  return pools.includes('*') || (pool !== null && pools.includes(pool));
}
