// The OpenAPI 3.1 document, generated from the route table.

import type { TSchema } from 'typebox';
import { type Access, SCOPES, scopesOf } from '../access/principal.ts';
import { PROBLEMS } from '../http/problem.ts';
import { Problem } from '../http/schemas.ts';
import { TAGS } from '../http/tags.ts';
import type { Answers, Route } from '../route.ts';

type Json = Record<string, unknown>;

/**
 * The document for these routes.
 * @param version of the software. @param oauth origin of the authorization server, if there is one.
 */
export function openApi(routes: readonly Route[], version: string, oauth?: string): Json {
  const named = new Map<string, Json>();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = operation(route, named, oauth !== undefined);
    paths[route.path] = path;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'BioLayer',
      version,
      summary: 'Hand work from software to people.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: { Problem: reference(Problem, named, true), ...Object.fromEntries(named) },
      securitySchemes: {
        api_key: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key, `blk_live_…`, or `blk_test_…` for the sandbox',
        },
        worker_token: { type: 'http', scheme: 'bearer', description: 'A worker token, `blw_…`' },
        operator: {
          type: 'http',
          scheme: 'bearer',
          description:
            'OPERATOR_TOKEN; also accepted as the password of user `operator` by Basic authentication',
        },
        ...(oauth !== undefined && { oauth2: oauthScheme(oauth) }),
      },
    },
  };
}

function operation(route: Route, named: Map<string, Json>, oauth: boolean): Json {
  const answers = Object.entries(route.answers).map(([status, answer]) => [status, response(answer, named)]);
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description:
      route.access.kind === 'scope' && route.access.liveOnly
        ? `${route.description} Requires a live key: a test key can change only the sandbox.`
        : route.description,
    security: security(route.access, oauth),
    parameters: [
      ...parameters(route.params, 'path', named),
      ...parameters(route.query, 'query', named),
      ...(route.method === 'POST' ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(route.body !== undefined && {
      requestBody: {
        required: route.bodyOptional !== true,
        content: { 'application/json': { schema: reference(route.bodyShown ?? route.body, named) } },
      },
    }),
    ...(route.reader !== undefined && {
      requestBody: {
        required: true,
        content: Object.fromEntries(
          Object.entries(route.reader.content).map(([type, schema]) => [
            type,
            { schema: reference(schema, named) },
          ]),
        ),
      },
    }),
    responses: {
      ...Object.fromEntries(answers),
      default: {
        description: `A problem: ${Object.keys(PROBLEMS).join(', ')}`,
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function response(
  { description, schema, type = 'application/json' }: Answers[number],
  named: Map<string, Json>,
): Json {
  return {
    description,
    ...(schema !== undefined && { content: { [type]: { schema: reference(schema, named) } } }),
  };
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'A repeated request with the same key and body gets the first response. Kept for 24 hours.',
  schema: { type: 'string', minLength: 1, maxLength: 257 },
};

/** The OAuth flows; the scopes are those of the routes. */
function oauthScheme(origin: string): Json {
  const scopes = Object.fromEntries(SCOPES.map((name) => [name, name.replace(':', ', ')]));
  const tokenUrl = `${origin}/oauth/token`;
  return {
    type: 'oauth2',
    description: 'An access token of this server, or of an issuer that the org trusts',
    flows: {
      clientCredentials: { tokenUrl, scopes },
      authorizationCode: {
        authorizationUrl: `${origin}/oauth/authorize`,
        tokenUrl,
        refreshUrl: tokenUrl,
        scopes,
      },
    },
  };
}

function security(access: Access, oauth: boolean): Json[] {
  switch (access.kind) {
    case 'scope':
      return scopesOf(access).flatMap((scope) => [
        { api_key: [scope] },
        ...(oauth ? [{ oauth2: [scope] }] : []),
      ]);
    case 'worker':
      return [{ worker_token: [] }];
    case 'operator':
      return [{ operator: [] }];
    case 'open':
      return [];
  }
}

function parameters(schema: Route['query'], where: 'path' | 'query', named: Map<string, Json>): Json[] {
  if (schema === undefined) return [];
  return Object.entries(schema.properties).map(([name, property]) => {
    const { description, ...form } = property as TSchema & { description?: string };
    return {
      name,
      in: where,
      required: where === 'path',
      description,
      ...('items' in form && { style: 'form', explode: false }),
      schema: reference(form as TSchema, named),
    };
  });
}

/** The schema as JSON. Schemas with an `$id` are moved to the components and replaced by references. */
function reference(schema: TSchema, named: Map<string, Json>, inline = false): Json {
  const plain = JSON.parse(JSON.stringify(schema)) as Json;
  return lift(plain, named, inline) as Json;
}

function lift(value: unknown, named: Map<string, Json>, inline = false): unknown {
  if (Array.isArray(value)) return value.map((one) => lift(one, named));
  if (typeof value !== 'object' || value === null) return value;
  const { $id, ...rest } = value as Json;
  const lifted = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, lift(inner, named)]));
  if (typeof $id !== 'string' || inline) return lifted;
  named.set($id, lifted);
  return { $ref: `#/components/schemas/${$id}` };
}
