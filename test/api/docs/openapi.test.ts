// The OpenAPI 3.1 document is valid and complete; the test client checks every answer of all tests against it.
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scopesOf } from '../../../src/api/access/principal.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { createOrg, createPool, startApi, type TestApi } from '../../support/api.ts';
import type { OpenApiDocument } from '../../support/documented.ts';
import { broken, FAULTS, fullBody } from '../routes/tasks/task-faults.ts';

type Json = Record<string, unknown>;

interface Operation {
  operationId: string;
  summary: string;
  description: string;
  security: Record<string, string[]>[];
  parameters: { name: string; in: string; required: boolean; description: string; schema: Json }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
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
  return found as unknown as Operation;
}

test('is valid OpenAPI 3.1', async () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  const result = await new Validator().validate({ ...document });
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
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
      expect(takesKey).toBe(route.method === 'POST');
      expect(operation.requestBody !== undefined).toBe(
        route.body !== undefined || route.reader !== undefined,
      );
      for (const status of Object.keys(route.answers)) expect(operation.responses).toHaveProperty(status);
      expect(operation.responses.default?.content).toHaveProperty('application/problem+json');
      const schemes = Object.keys(document.components.securitySchemes);
      for (const one of operation.security)
        for (const name of Object.keys(one)) expect(schemes).toContain(name);
      if (route.access.kind === 'scope')
        expect(operation.security).toEqual(scopesOf(route.access).map((scope) => ({ api_key: [scope] })));
      else if (route.access.kind !== 'open') expect(operation.security).toHaveLength(1);
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
