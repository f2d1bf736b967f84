// Examples of the OpenAPI document. A schema may have its own (`examples`); the others are made from the schema.

import type { Json } from './components.ts';

/** Texts for patterns and formats; the first that a schema allows is its example. */
const TEXTS = [
  'text',
  'ada@example.com',
  'pool-1',
  'incident_response',
  '0'.repeat(64),
  '/notes',
  'image/png',
  'p08-1764451200000-0',
  'tasks:read',
  'api_key.created',
  'system',
  'blk_live_4cJ2v0m8S7wq1Zb6',
  'blw_4cJ2v0m8S7wq1Zb6',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  `blc_${'4cJ2v0m8S7wq1Zb6'.repeat(3).slice(0, 43)}`,
  '4cJ2v0m8S7wq1Zb6'.repeat(3).slice(0, 43),
  '203.0.113.0/24',
];
const FORMATS: Record<string, string> = {
  uuid: '01890a5d-ac96-774b-bcce-b302099a8057',
  'date-time': '2026-02-04T19:21:00.000Z',
  email: 'ada@example.com',
  'json-pointer': '/sla/deadline',
  uri: 'https://example.com/webhooks/biolayer',
};

/** A value that the schema allows: with the required members of objects, or all if none is required. */
export function exampleOf(schema: Json, named: Record<string, Json>): unknown {
  const { examples, $ref, oneOf, anyOf } = schema;
  if (Array.isArray(examples)) return examples[0];
  if ('const' in schema) return schema.const;
  if ('default' in schema) return schema.default;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (typeof $ref === 'string') return exampleOf(named[$ref.split('/').at(-1) ?? ''] ?? {}, named);
  const [choice] = [oneOf ?? anyOf ?? []].flat() as Json[];
  if (choice !== undefined) return exampleOf(choice, named);
  const [type] = [schema.type].flat();
  switch (type) {
    case 'object':
      return Object.fromEntries(membersOf(schema).map(([name, one]) => [name, exampleOf(one, named)]));
    case 'array':
      return schema.maxItems === 0 ? [] : [exampleOf(schema.items as Json, named)];
    case 'string':
      return FORMATS[String(schema.format)] ?? textOf(schema);
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    default:
      return null;
  }
}

function membersOf({ properties = {}, required = [] }: Json): [string, Json][] {
  const all = Object.entries(properties as Record<string, Json>);
  const needed = all.filter(([name]) => (required as string[]).includes(name));
  return needed.length > 0 ? needed : all;
}

function textOf({ pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY }: Json): string {
  const form = new RegExp(typeof pattern === 'string' ? pattern : '', 'u');
  const fits = (text: string) =>
    form.test(text) && text.length >= Number(minLength) && text.length <= Number(maxLength);
  return TEXTS.find(fits) ?? '';
}
