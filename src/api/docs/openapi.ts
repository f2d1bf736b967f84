// The OpenAPI 3.1 document, generated from the route table.

import type { TSchema } from 'typebox';
import { type Access, SCOPES, scopesOf } from '../access/principal.ts';
import { Problem } from '../http/schemas.ts';
import { TAGS } from '../http/tags.ts';
import type { Responses, Route } from '../route.ts';
import { Components, type Json } from './components.ts';
import { exampleOf } from './examples.ts';
import {
  HEADER_PARAMETERS,
  headerParameters,
  isCacheable,
  RESPONSE_HEADERS,
  responseHeaders,
} from './headers.ts';
import { OPERATION_EXAMPLES, withMembers } from './operation-examples.ts';
import { ProblemResponses, problemExamples } from './problems.ts';
import { shareParts } from './sharing.ts';
import { webhooks } from './webhooks.ts';

/** Stands for the server's URL in a document that is made without it. */
const UNKNOWN_SERVER = '/';

/** The document as JSON, with the server's URL. @param origin of the request, if the document was made without it */
export function withServer(document: string, origin: string): string {
  const known = JSON.stringify([{ url: origin }]);
  return document.replace(JSON.stringify([{ url: UNKNOWN_SERVER }]), () => known);
}

/**
 * The document for these routes.
 * @param version of the software. @param oauth origin of the authorization server, if there is one.
 */
export function openApi(routes: readonly Route[], version: string, oauth?: string): Json {
  const components = new Components();
  const event = routes.find((route) => route.webhook !== undefined)?.webhook;
  components.schema(Problem);
  const problems = new ProblemResponses(routes);
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = operation(route, components, problems, oauth !== undefined);
    paths[route.path] = path;
  }
  const shared = shareParts(paths);
  return {
    openapi: '3.1.0',
    info: {
      title: 'BioLayer',
      version,
      summary: 'Hand work from software to people.',
      description:
        'Create tasks that people do, and follow them by webhook, event stream or polling. Times are RFC 3339 in UTC, fields `snake_case`, errors problem details (RFC 9457) with a stable `code`.',
      contact: { name: 'BioLayer' },
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: oauth ?? UNKNOWN_SERVER }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    ...(event !== undefined && {
      webhooks: webhooks(event, components, (schema) => withExample(schema, components)),
    }),
    components: {
      schemas: components.schemas,
      responses: problems.components,
      examples: { ...problemExamples(), ...shared.examples },
      headers: RESPONSE_HEADERS,
      parameters: { ...HEADER_PARAMETERS, ...shared.parameters },
      securitySchemes: {
        api_key: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key, `blk_live_…`, or `blk_test_…` for the sandbox',
        },
        worker_token: { type: 'http', scheme: 'bearer', description: 'A worker token, `blw_…`' },
        worker_session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-biolayer-worker',
          description:
            'The session of a signed-in worker; `/v1/worker` also accepts it from a page of this server',
        },
        console_session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-biolayer-console',
          description:
            'The session of a signed-in member; routes with scopes also accept it from a page of this server',
        },
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

function operation(route: Route, components: Components, problems: ProblemResponses, oauth: boolean): Json {
  const responses = Object.entries(route.responses).map(([status, declared]) => [
    status,
    response(
      declared,
      responseHeaders(route, declared.headers),
      components,
      declared.type === undefined ? nameFor(route, 'Response') : undefined,
      OPERATION_EXAMPLES[route.operationId]?.response,
    ),
  ]);
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
      ...parameters(route.params, 'path', components),
      ...parameters(route.query, 'query', components),
      ...headerParameters(route),
    ],
    ...(route.body !== undefined && {
      requestBody: {
        required: route.bodyOptional !== true,
        content: {
          'application/json': withExample(
            components.schema(
              route.bodyShown ?? route.body,
              isEmpty(route.body) ? undefined : nameFor(route, 'Request'),
            ),
            components,
            OPERATION_EXAMPLES[route.operationId]?.request,
          ),
        },
      },
    }),
    ...(route.reader !== undefined && {
      requestBody: {
        required: true,
        content: Object.fromEntries(
          Object.entries(route.reader.content).map(([type, schema]) => [
            type,
            { schema: components.schema(schema) },
          ]),
        ),
      },
    }),
    responses: {
      ...Object.fromEntries(responses),
      ...(isCacheable(route) && {
        304: { description: 'Not changed since `If-None-Match`', headers: responseHeaders(route, ['ETag']) },
      }),
      ...problems.of(route),
    },
  };
}

function response(
  { description, schema, type = 'application/json' }: Responses[number],
  headers: Json,
  components: Components,
  name: string | undefined,
  example: Json | undefined,
): Json {
  return {
    description,
    headers,
    ...(schema !== undefined && {
      content: { [type]: mediaType(type, components.schema(schema, name), components, example) },
    }),
  };
}

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
    case 'session':
      return [{ [`${access.of}_session`]: [] }];
    case 'operator':
      return [{ operator: [] }];
    case 'sign_in':
    case 'open':
      return [];
  }
}

function parameters(schema: Route['query'], where: 'path' | 'query', components: Components): Json[] {
  if (schema === undefined) return [];
  return Object.entries(schema.properties).map(([name, property]) => {
    const { description, ...form } = property as TSchema & { description?: string };
    return {
      name,
      in: where,
      required: where === 'path',
      description,
      ...('items' in form && { style: 'form', explode: false }),
      schema: components.schema(form as TSchema),
    };
  });
}

/** The name of a body that has none of its own. */
function nameFor({ operationId }: Route, what: 'Request' | 'Response'): string {
  return operationId.charAt(0).toUpperCase() + operationId.slice(1) + what;
}

function isEmpty(body: TSchema): boolean {
  return 'properties' in body && Object.keys(body.properties as object).length === 0;
}

function mediaType(type: string, schema: Json, components: Components, example: Json | undefined): Json {
  return type === 'application/json' || 'examples' in schema
    ? withExample(schema, components, example)
    : { schema };
}

/** The schema of a JSON body with an example. @param own what the example says instead of what is made from the schema */
function withExample(schema: Json, { schemas }: Components, own?: Json): Json {
  return { schema, example: withMembers(exampleOf(schema, schemas), own) };
}
