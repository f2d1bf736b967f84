// The function that resolves references for Swagger UI, on the document that it is for.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { resolveSubtree } from '../../../src/api/docs/reference-script.ts';

const document = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as {
  paths: Record<string, Record<string, object>>;
  components: { schemas: Record<string, object> };
};

test('leaves no reference in any operation', async () => {
  for (const [path, operations] of Object.entries(document.paths))
    for (const method of Object.keys(operations)) {
      const { spec } = await resolveSubtree(document, ['paths', path, method]);
      expect([path, method, spec]).toMatchObject([path, method, { responses: {} }]);
      expect(JSON.stringify(spec), `${method} ${path}`).not.toContain('"$ref":');
    }
});

test('puts what a reference means in its place, under what is said at the reference', async () => {
  const components = {
    schemas: {
      Person: {
        type: 'object',
        description: 'Someone',
        properties: { home: { $ref: '#/components/schemas/Place' } },
      },
      Place: { type: 'string' },
    },
  };
  const schema = { $ref: '#/components/schemas/Person', description: 'The worker' };
  const example = { $ref: 'of the example' };
  const { spec, errors } = await resolveSubtree({ components, body: [{ schema, example }] }, ['body']);
  expect(errors).toEqual([]);
  expect(spec).toEqual([
    {
      schema: {
        type: 'object',
        description: 'The worker',
        properties: { home: { type: 'string', $$ref: '#/components/schemas/Place' } },
        $$ref: '#/components/schemas/Person',
      },
      example,
    },
  ]);
  expect((await resolveSubtree({ components }, ['no', 'such'])).spec).toBeUndefined();
});
