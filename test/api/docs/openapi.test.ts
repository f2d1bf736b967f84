// The OpenAPI 3.1 document is valid and complete; the test client checks every answer of all tests against it.
import { get } from 'node:http';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scopesOf } from '../../../src/api/access/principal.ts';
import { OPERATION_EXAMPLES } from '../../../src/api/docs/operation-examples.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { createOrg, createPool, startApi, type TestApi } from '../../support/api.ts';
import type { OpenApiDocument } from '../../support/documented.ts';
import { broken, FAULTS, fullBody } from '../routes/tasks/task-faults.ts';

type Json = Record<string, unknown>;

interface MediaType {
  schema: Json;
  example?: unknown;
  examples?: Record<string, { $ref: string }>;
}

interface Operation {
  operationId: string;
  summary: string;
  description: string;
  security: Record<string, string[]>[];
  parameters: { name: string; in: string; required: boolean; description: string; schema: Json }[];
  requestBody?: { required: boolean; content: Record<string, MediaType> };
  responses: Record<string, { description: string; content?: Record<string, MediaType> }>;
}

let api: TestApi;
let document: OpenApiDocument;

beforeAll(async () => {
  api = await startApi();
  document = await api.client(null).get<OpenApiDocument>('/openapi.json');
});

afterAll(() => api.close());

function operationOf(method: string, path: string): Operation {
  const found = document.paths[path]?.[method.toLowerCase()];
  if (found === undefined) throw new Error(`${method} ${path} is not in the document`);
  const { parameters, ...operation } = found as unknown as Operation;
  return {
    ...operation,
    parameters: parameters.map((one) => {
      const name = '$ref' in one ? String(one.$ref).split('/').at(-1) : undefined;
      return name === undefined ? one : (document.components.parameters[name] as unknown as typeof one);
    }),
  };
}

/** The example of a JSON body, or the one of the components to which it refers. */
function exampleOf(media: MediaType | undefined): unknown {
  const [shared] = Object.values(media?.examples ?? {});
  if (shared === undefined) return media?.example;
  return document.components.examples[shared.$ref.split('/').at(-1) ?? '']?.value;
}

test('is valid OpenAPI 3.1', async () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  const result = await new Validator().validate({ ...document });
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
});

test('names the server as the client reached it', async () => {
  expect(document.servers).toEqual([{ url: api.url }]);
  const host = { headers: { host: 'biolayer.test:8080' } };
  const text = await new Promise<string>((resolve, reject) => {
    get(`${api.url}/openapi.json`, host, (response) => {
      void response.toArray().then((chunks) => resolve(Buffer.concat(chunks as Buffer[]).toString()), reject);
    }).on('error', reject);
  });
  expect((JSON.parse(text) as OpenApiDocument).servers).toEqual([{ url: 'http://biolayer.test:8080' }]);
});

test('has a target for every reference', () => {
  const text = JSON.stringify(document);
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target = '']) => target);
  expect(references.length).toBeGreaterThan(10);
  for (const target of new Set(references)) {
    expect(target).toMatch(/^#\//);
    const found = target
      .slice(2)
      .split('/')
      .reduce<unknown>((at, step) => (at as Json | undefined)?.[step], document);
    expect([target, typeof found]).toEqual([target, 'object']);
  }
});

test('names the schemas of JSON bodies and responses, and says of every object which members it has', () => {
  const unnamed: string[] = [];
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods as unknown as Record<string, Operation>))
      for (const { content } of [operation.requestBody, ...Object.values(operation.responses)].filter(
        (one) => one !== undefined,
      )) {
        const schema = content?.['application/json']?.schema;
        const isEmpty = Object.keys(schema?.properties ?? { some: true }).length === 0;
        if (schema !== undefined && !('$ref' in schema) && !isEmpty) unnamed.push(`${method} ${path}`);
      }
  expect(unnamed).toEqual([]);
  const vague: string[] = [];
  const walk = (value: unknown, at: string): void => {
    if (typeof value !== 'object' || value === null) return;
    const schema = value as Json;
    const isObject = [schema.type].flat().includes('object');
    if (isObject && !('properties' in schema) && !('additionalProperties' in schema)) vague.push(at);
    const choices = Array.isArray(schema.anyOf) ? (schema.anyOf as Json[]) : [];
    if (
      choices.length === 2 &&
      choices.some((one) => one.type === 'null') &&
      choices.every((one) => 'type' in one)
    )
      vague.push(at);
    for (const [name, inner] of Object.entries(value)) walk(inner, `${at}/${name}`);
  };
  walk(document.components.schemas, '#');
  walk(document.paths, '#');
  expect(vague).toEqual([]);
});

test('has a valid example of every JSON body and response', () => {
  const ajv = new Ajv2020({ strict: false });
  ajvFormats.default(ajv);
  ajv.addSchema(document, 'openapi');
  const faults: unknown[] = [];
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods as unknown as Record<string, Operation>))
      for (const one of [operation.requestBody, ...Object.values(operation.responses)]) {
        const media = one?.content?.['application/json'];
        if (media === undefined) continue;
        const { schema } = media;
        const example = exampleOf(media);
        const validate = ajv.compile('$ref' in schema ? { $ref: `openapi${String(schema.$ref)}` } : schema);
        if (example === undefined || !validate(example)) faults.push([method, path, validate.errors?.[0]]);
      }
  expect(faults).toEqual([]);
  expect(exampleOf(operationOf('POST', '/v1/tasks').requestBody?.content['application/json'])).toMatchObject({
    origin: { request_id: 'IR-48219' },
  });
});

test('has examples of the operations that are used most as they are in use', () => {
  const used = (method: string, path: string, status: string) =>
    exampleOf(operationOf(method, path).responses[status]?.content?.['application/json']);
  expect(used('GET', '/v1/tasks/{task_id}', '200')).toMatchObject({
    status: 'completed',
    result: { output: { reached_user: true } },
  });
  expect(used('GET', '/v1/tasks', '200')).toMatchObject({ data: [{ status: 'queued' }], has_more: false });
  const ids = ROUTES.map((route) => route.operationId);
  for (const [id, { request, response }] of Object.entries(OPERATION_EXAMPLES)) {
    const { method, path } = ROUTES[ids.indexOf(id)] ?? { method: '', path: '' };
    const { requestBody, responses } = operationOf(method, path);
    const success = responses['200'] ?? responses['201'];
    const shown = [
      exampleOf(requestBody?.content['application/json']),
      exampleOf(success?.content?.['application/json']),
    ];
    for (const [index, own] of [request, response].entries())
      if (own !== undefined)
        expect(JSON.stringify(shown[index])).not.toMatch(/"(title|name|url|text|instructions)":"text"/);
  }
});

test('has exactly the routes, each with its own id', () => {
  const there = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(there.sort()).toEqual(ROUTES.map((route) => `${route.method} ${route.path}`).sort());
  const ids = ROUTES.map((route) => operationOf(route.method, route.path).operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

describe.each(ROUTES.map((route) => ({ route, name: `${route.method} ${route.path}` })))(
  '$name',
  ({ route }) => {
    test('describes its parameters, body, responses and access', () => {
      const operation = operationOf(route.method, route.path);
      expect(operation.operationId).toMatch(/^[a-z]+([A-Z][A-Za-z]*)+$/);
      expect(operation.summary).toMatch(/^.{1,60}$/);
      expect(operation.summary).not.toMatch(/\.$/);
      expect(operation.description).toMatch(/\.$/);
      for (const one of operation.parameters)
        expect([one.name, one.description]).toEqual([one.name, expect.any(String)]);
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const parameters = operation.parameters.filter((one) => one.in === 'path');
      expect(parameters.map((one) => [one.name, one.required])).toEqual(inPath.map((name) => [name, true]));
      const takesKey = operation.parameters.some(
        (one) => one.name === 'Idempotency-Key' && one.in === 'header',
      );
      expect(takesKey).toBe(route.method === 'POST' && route.access.kind !== 'sign_in');
      expect(operation.requestBody !== undefined).toBe(
        route.body !== undefined || route.reader !== undefined,
      );
      for (const status of Object.keys(route.responses)) expect(operation.responses).toHaveProperty(status);
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '429', '500', '503']));
      const isOpen = route.access.kind === 'open' || route.access.kind === 'sign_in';
      expect('401' in operation.responses).toBe(route.access.kind !== 'open');
      const schemes = Object.keys(document.components.securitySchemes);
      for (const one of operation.security)
        for (const name of Object.keys(one)) expect(schemes).toContain(name);
      if (route.access.kind === 'scope')
        expect(operation.security).toEqual(scopesOf(route.access).map((scope) => ({ api_key: [scope] })));
      else expect(operation.security).toHaveLength(isOpen ? 0 : 1);
    });
  },
);

test('accepts the bodies of POST /v1/tasks that the API accepts, and refuses what a schema can refuse', async () => {
  const ajv = new Ajv2020({ strict: false });
  ajvFormats.default(ajv);
  ajv.addSchema(document, 'openapi');
  const validate = ajv.compile({
    $ref: 'openapi#/paths/~1v1~1tasks/post/requestBody/content/application~1json/schema',
  });
  const poolId = await createPool((await createOrg(api)).client);
  expect(validate(fullBody(poolId))).toBe(true);
  // What only the rules know: times, addresses, pools that are there, and what is inside an output schema.
  const byRule =
    /^\/(sla\/deadline|handoff\/callback_url|requirements\/worker_pool_id|output\/(schema|review|expected_format))/;
  const bySchema = FAULTS.filter((fault) => !byRule.test(fault.at));
  for (const fault of bySchema)
    expect([fault.at, validate(broken(fullBody(poolId), fault.at, fault.value))]).toEqual([fault.at, false]);
});
