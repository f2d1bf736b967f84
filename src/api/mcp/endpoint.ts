// `/mcp`: the MCP server over Streamable HTTP, without sessions. A caller needs a valid credential for every message; what a
// tool may do, the API decides when the tool calls it (`in-process.ts`).

import type { RequestListener } from 'node:http';
import type { BioLayer } from '@biolayer/sdk';
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import type { Authenticator } from '../access/authenticate.ts';
import { declaredBytes, type InFlight } from '../access/in-flight.ts';
import { type Access, type Principal, SCOPES } from '../access/principal.ts';
import { ApiError } from '../http/problem.ts';
import { BODY_LIMITS, readJsonBody } from '../middleware/json-body.ts';
import { requireAllowedOrigin } from './origin.ts';

/** Any scope is enough to talk to the server. */
const ACCESS: Access = { kind: 'scope', scope: 'tasks:read', orScopes: SCOPES };
/** A body of the API inside the frame of a tool call. */
const LIMITS = {
  bytes: BODY_LIMITS.bytes + 16 * 1024,
  names: BODY_LIMITS.names + 100,
  levels: BODY_LIMITS.levels + 2,
};
/** Never used: requests stay in the process. */
const BASE_URL = 'http://localhost';

export interface McpOptions {
  /** The API itself. */
  serve: RequestListener;
  authenticator: Authenticator;
  inFlight: InFlight;
  /** URL of the protected resource metadata of the endpoint (RFC 9728); null without OAuth. */
  resourceMetadata: string | null;
  /** Origins of web pages that may call. */
  origins: ReadonlySet<string>;
  /** Time limit for receiving a body, ms. */
  bodyTimeoutMs: number;
  version: string;
  log: Logger;
  /** Aborts when the process shuts down. */
  closing: AbortSignal;
}

/** The client of one caller, carried through the protocol library. */
class Caller {
  readonly client: BioLayer;

  constructor(client: BioLayer) {
    this.client = client;
  }
}

/** Middleware that answers one message. */
export function mcpEndpoint(options: McpOptions): Middleware {
  const { authenticator, inFlight, origins, bodyTimeoutMs } = options;
  let answer: ReturnType<typeof createHandler> | undefined;

  return async (ctx: Context) => {
    requireAllowedOrigin(ctx, origins);
    const principal = await authenticator.admit(ctx, ACCESS);
    const releases = [
      inFlight.hold('bodies', principal, declaredBytes(ctx.req.headers, LIMITS.bytes)),
      inFlight.hold('streams', principal, 1),
    ];
    try {
      const message = (await readJsonBody(ctx, bodyTimeoutMs, LIMITS))?.value;
      if (message === undefined || Array.isArray(message))
        throw new ApiError('malformed_json', 'The body must be one JSON-RPC message.');
      answer ??= createHandler(options);
      const handle = await answer;
      ctx.respond = false;
      await handle(ctx, message, principal);
    } finally {
      for (const release of releases) release();
    }
  };
}

/** Creates the handler of messages, at the first one: most processes never need the libraries. */
async function createHandler({ serve, version, log, closing, resourceMetadata }: McpOptions) {
  const [{ BioLayer }, { createMcpHandler }, { toNodeHandler }, { createMcpServer }, { inProcessFetch }] =
    await Promise.all([
      import('@biolayer/sdk'),
      import('@modelcontextprotocol/server'),
      import('@modelcontextprotocol/node'),
      import('../../mcp/server.ts'),
      import('./in-process.ts'),
    ]);
  const onerror = (error: Error) => log.debug({ err: error }, 'an MCP request failed');
  const handler = createMcpHandler(
    ({ authInfo }) => {
      const caller = authInfo?.extra?.caller;
      if (!(caller instanceof Caller)) throw new Error('the request has no caller');
      return createMcpServer({ client: caller.client, version, closing });
    },
    // Nothing changes that a client could subscribe to.
    { maxSubscriptions: 0, maxRequestBodySize: LIMITS.bytes, onerror },
  );
  const handle = toNodeHandler(handler, { onerror });
  return (ctx: Context, message: unknown, principal: Principal) => {
    const gone = new AbortController();
    ctx.res.once('close', () => gone.abort());
    // The credential is that of the caller's request.
    const fetch = inProcessFetch(serve, ctx.req, gone.signal);
    const client = new BioLayer({ apiKey: null, baseUrl: BASE_URL, maxRetries: 0, fetch });
    const auth = {
      token: '',
      clientId: '',
      scopes: scopesToChallenge(principal),
      ...(resourceMetadata !== null && { resourceMetadataUrl: resourceMetadata }),
      extra: { caller: new Caller(client) },
    };
    return handle(Object.assign(ctx.req, { auth, method: ctx.method, url: ctx.url }), ctx.res, message);
  };
}

/**
 * The scopes by which the protocol library decides whether to answer with a challenge (403 `insufficient_scope`, RFC 6750,
 * section 3.1), at which a client asks the member for more. Only access tokens can gain scopes. With an API key the tool
 * is called and returns the refusal of the API, which the agent can read.
 */
function scopesToChallenge(principal: Principal): string[] {
  if (principal.kind !== 'api_key') return [];
  const isToken = ['oauth_token', 'issuer_token'].includes(principal.authority.kind);
  return [...(isToken && !principal.scopes.includes('*') ? principal.scopes : SCOPES)];
}
