// Compiled schemas, by a table of cases and by the official JSON-Schema-Test-Suite, of which test/fixtures has a copy (it
// is on no registry). Refused schemas are listed and counted, so that a change is noticed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileSchema } from '../../src/output-schema/compile.ts';
import { validateShorthand } from '../../src/output-schema/shorthand.ts';

/** Pointers of the problems of an output. @throws Error when the schema is refused. */
function pointersOf(schema: unknown, output: unknown): string[] {
  const compiled = compileSchema(schema);
  if ('problems' in compiled) throw new Error(JSON.stringify(compiled.problems));
  return compiled.check(output).map(({ pointer }) => pointer);
}

/** Parses JSON, for member names that an object literal cannot have. */
const json = (text: string): unknown => JSON.parse(text);

it.each(['', 'a'])('shortens a long value in a message at whole characters', (shift) => {
  const value = shift + '\u{1f600}'.repeat(60);
  for (const schema of [{ const: value }, { enum: [value, 1] }]) {
    const compiled = compileSchema(schema);
    const [problem] = 'problems' in compiled ? [] : compiled.check(2);
    expect(problem?.message).toMatch(/…/);
    expect(problem?.message.isWellFormed()).toBe(true);
  }
});

describe('a compiled schema', () => {
  const tree = {
    type: 'object',
    properties: { left: { $ref: '#' }, right: { $ref: '#' } },
    additionalProperties: false,
  };

  it.each<[unknown, unknown[], unknown[]]>([
    [{ type: ['string', 'null'] }, ['', null], [1, {}, []]],
    [{ type: 'integer' }, [1, 1.0, -0, 1e300], [1.5, '1']],
    [{ type: 'number', minimum: 1, exclusiveMaximum: 2 }, [1, 1.99], [0.99, 2]],
    [{ multipleOf: 0.01 }, [19.99, 0.07, 0, 1e300, 'x'], [0.005, 1e-300]],
    [{ multipleOf: 3 }, [9, -9, 3e20], [10, 1e20 + 1]],
    [{ multipleOf: 1e-8 }, [12391239123, 1e-8], [1e-9]],
    [{ type: 'integer', multipleOf: 0.123456789 }, [123456789], [1e308]],
    [{ minLength: 2, maxLength: 2 }, ['ab', '😀😀', 3], ['a', '😀']],
    [{ pattern: '^\\s$' }, ['\u00a0', ' '], ['x', '\u200b']],
    [{ pattern: 'b' }, ['abc'], ['ac']],
    [
      { const: { valueOf: 1, a: [1, { b: null }] } },
      [{ a: [1, { b: null }], valueOf: 1 }],
      [{ valueOf: 1 }, { valueOf: 1, a: [1, { b: 0 }] }],
    ],
    [{ const: json('{"constructor":{}}') }, [json('{"constructor":{}}')], [{}, json('{"constructor":1}')]],
    [{ const: json('{"__proto__":1}') }, [json('{"__proto__":1}')], [{}, json('{"__proto__":2}')]],
    [
      { enum: [1, 'a', null, { b: 1 }, [2]] },
      [1.0, 'a', null, { b: 1 }, [2]],
      [true, 'b', {}, [], { b: 1, c: 1 }],
    ],
    [{ enum: [] }, [], [1, null]],
    [{ enum: [0] }, [0, -0], [false, '']],
    [
      { uniqueItems: true },
      [[], [1, '1', true, null], [{ a: 1 }, { a: 2 }], 'x'],
      [
        [1, 1.0],
        [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
        [[{ valueOf: 1 }], [{ valueOf: 1 }]],
      ],
    ],
    [{ uniqueItems: false }, [[1, 1]], []],
    [
      { prefixItems: [{ type: 'string' }, true], items: { type: 'number' } },
      [[], ['a'], ['a', {}, 1, 2]],
      [[1], ['a', {}, 'b']],
    ],
    [{ items: false, prefixItems: [true] }, [[1]], [[1, 2]]],
    [
      { contains: { const: 1 }, minContains: 2, maxContains: 3 },
      [
        [1, 1],
        [1, 0, 1, 1],
      ],
      [[1], [1, 1, 1, 1]],
    ],
    [{ contains: { const: 1 }, minContains: 0 }, [[]], []],
    [{ minItems: 1, maxItems: 2 }, [[1], {}], [[], [1, 2, 3]]],
    [
      { required: ['__proto__', 'constructor'] },
      [json('{"__proto__":1,"constructor":2}')],
      [{}, json('{"__proto__":1}')],
    ],
    [{ minProperties: 1, maxProperties: 1 }, [{ a: 1 }, []], [{}, { a: 1, b: 1 }]],
    [
      json('{"properties":{"__proto__":{"type":"string"}},"additionalProperties":false}'),
      [{}, json('{"__proto__":"x"}')],
      [json('{"__proto__":1}'), { a: 1 }],
    ],
    [
      json('{"patternProperties":{"__proto__":{"type":"string"}},"additionalProperties":false}'),
      [json('{"a__proto__b":"x"}')],
      [json('{"__proto__":1}'), { a: 1 }],
    ],
    [
      json('{"dependentRequired":{"__proto__":["a"]}}'),
      [{}, json('{"__proto__":1,"a":1}')],
      [json('{"__proto__":1}')],
    ],
    [
      json('{"dependentSchemas":{"__proto__":{"required":["a"]}}}'),
      [{}, json('{"__proto__":1,"a":1}')],
      [json('{"__proto__":1}')],
    ],
    [
      json('{"$ref":"#/properties/__proto__","properties":{"__proto__":{"type":"object"}}}'),
      [{}, json('{"__proto__":{}}')],
      [1, json('{"__proto__":1}')],
    ],
    [json('{"$ref":"#/$defs/__proto__","$defs":{"__proto__":{"type":"string"}}}'), ['a'], [1]],
    [{ properties: { constructor: { type: 'number' } } }, [{}, { constructor: 1 }], [{ constructor: 'x' }]],
    [
      {
        patternProperties: { '^a': { type: 'string' }, b$: { minLength: 2 } },
        additionalProperties: { type: 'null' },
      },
      [{ ab: 'xx', c: null }],
      [{ ab: 'x' }, { c: 1 }],
    ],
    [{ propertyNames: { pattern: '^[a-z]+$' } }, [{ a: 1 }, []], [{ A: 1 }]],
    [{ propertyNames: false }, [{}], [{ a: 1 }]],
    [{ dependentRequired: { a: ['b'] } }, [{}, { b: 1 }, { a: 1, b: 1 }], [{ a: 1 }]],
    [
      { dependentSchemas: { a: { properties: { b: { type: 'string' } } } } },
      [{ b: 1 }, { a: 1, b: '' }],
      [{ a: 1, b: 1 }],
    ],
    [{ allOf: [{ minimum: 1 }, { maximum: 2 }] }, [1, 2], [0, 3]],
    [{ anyOf: [{ type: 'string' }, { minimum: 2 }] }, ['a', 2], [1]],
    [{ oneOf: [{ minimum: 1 }, { minimum: 2 }] }, [1], [0, 2]],
    [{ not: { type: 'string' } }, [1], ['a']],
    [json('{"if":{"type":"string"},"then":{"minLength":1},"else":{"minimum":1}}'), ['a', 1], ['', 0]],
    [{ if: false, else: { type: 'string' } }, ['a'], [1]],
    [tree, [{}, { left: { right: {} } }], [{ left: { middle: {} } }, { right: 1 }]],
    [{ $ref: '#a%25b', $defs: { x: { $anchor: 'a' } } }, [], []],
    [{ $ref: '#/$defs/a~1b%25c%22', $defs: { 'a/b%c"': { type: 'string' } } }, ['a'], [1]],
    [{ $ref: '#/prefixItems/0/items', prefixItems: [{ items: { type: 'array' } }] }, [[]], [1, [[1]]]],
    [{ $ref: '#/$defs/no', $defs: { no: false } }, [], [1]],
    [{ $ref: '#/definitions/a', minimum: 2, definitions: { a: { maximum: 3 } } }, [2, 3], [1, 4]],
    [
      { properties: { a: true }, unevaluatedProperties: false },
      [{ a: 1 }],
      [{ b: 1 }, { constructor: 1 }, json('{"__proto__":1}')],
    ],
    [
      {
        anyOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: true } }],
        unevaluatedProperties: false,
      },
      [{ a: 1 }, { b: 1 }, { a: 1, b: 1 }],
      [{ a: 2 }, { toString: 1 }, { a: 1, constructor: 1 }],
    ],
    [
      {
        if: { properties: { a: { const: 1 } }, required: ['a'] },
        else: { properties: { b: true } },
        unevaluatedProperties: false,
      },
      [{ a: 1 }, { b: 1 }, {}],
      [{ a: 2 }, { a: 1, b: 1 }],
    ],
    [
      { anyOf: [{ items: { type: 'string' } }, true], unevaluatedItems: { type: 'boolean' } },
      [['a', 'b'], [true]],
      [['a', true], [1]],
    ],
    [{ prefixItems: [true], unevaluatedItems: false }, [[1], []], [[1, 2]]],
    [{ format: 'date' }, ['2026-02-28', 1], ['2026-02-30']],
    [{ format: 'date-time' }, ['2026-02-04T19:21:00Z'], ['2026-02-04T19:21:00', 'x']],
    [{ format: 'uuid' }, ['0190163d-8694-739b-aea5-966c26f8ad91'], ['x']],
    [{ format: 'email' }, ['a@example.com'], ['a']],
    [{ format: 'ipv4' }, ['192.0.2.1'], ['192.0.2.256']],
    [{ format: 'int32' }, [1e100, 'x'], []],
    [
      { format: 'idn-email', contentMediaType: 'application/json', title: 'x', 'x-own': { $ref: 1 } },
      ['{'],
      [],
    ],
    [true, [1, null], []],
    [false, [], [1, null]],
  ])('%j', (schema, valid, invalid) => {
    if (valid.length + invalid.length === 0) return expect(compileSchema(schema)).toHaveProperty('problems');
    for (const output of valid) expect([output, pointersOf(schema, output)]).toEqual([output, []]);
    for (const output of invalid) {
      expect([output, pointersOf(schema, output)]).not.toEqual([output, []]);
    }
  });

  it('reports at most fifty problems, and shortens long pointers', () => {
    const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`p${at}`, at]));
    expect(pointersOf({ additionalProperties: { type: 'string' } }, wide)).toHaveLength(50);
    const long = { a: { ['x'.repeat(100_000)]: 1 } };
    expect(pointersOf({ properties: { a: { additionalProperties: false } } }, long)).toEqual(['/a']);
  });

  it('reports the same problems as the equivalent shorthand', () => {
    const types = ['boolean', 'string', 'number', 'integer', 'array', 'object'];
    const name = fc.oneof(
      fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', '/~'),
      fc.string(),
    );
    const shorthand = fc.dictionary(name, fc.constantFrom(...types, ...types.map((type) => `${type}?`)), {
      noNullPrototype: true,
      maxKeys: 5,
    });
    const output = fc.dictionary(name, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.integer()), {
      noNullPrototype: true,
      maxKeys: 5,
    });
    fc.assert(
      fc.property(shorthand, output, (fields, value) => {
        const words = Object.entries(fields);
        const schema = {
          type: 'object',
          properties: Object.fromEntries(
            words.map(([field, word]) => [field, { type: word.replace('?', '') }]),
          ),
          required: words.filter(([, word]) => !word.endsWith('?')).map(([field]) => field),
          additionalProperties: false,
        };
        const pointers = validateShorthand(fields, value).map(({ pointer }) => pointer);
        expect(pointersOf(schema, value).sort()).toEqual(pointers.sort());
      }),
    );
  });

  it('computes multipleOf in decimal', () => {
    const parts = fc.record({
      unit: fc.integer({ min: 1, max: 9_999 }),
      times: fc.integer({ min: -9_999, max: 9_999 }),
      places: fc.nat(9),
    });
    fc.assert(
      fc.property(parts, ({ unit, times, places }) => {
        const divisor = Number(`${unit}e-${places}`);
        expect(pointersOf({ multipleOf: divisor }, Number(`${unit * times}e-${places}`))).toEqual([]);
        if (unit > 1)
          expect(pointersOf({ multipleOf: divisor }, Number(`${unit * times + 1}e-${places}`))).toEqual(['']);
      }),
      { numRuns: 50 },
    );
  });
});

const folder = fileURLToPath(
  new URL('../fixtures/json-schema-test-suite/tests/draft2020-12', import.meta.url),
);

describe('the required cases of the official suite', () => {
  /** By file: number of groups whose schema is refused. */
  const REFUSED: Record<string, number> = {
    'anchor.json': 3, // $id below the root
    'defs.json': 1, // refers to the meta-schema
    'dynamicRef.json': 21, // $dynamicRef
    'ref.json': 16, // $id below the root, references by URI
    'refRemote.json': 15, // remote references
    'unevaluatedItems.json': 5, // together with contains; $dynamicRef
    'unevaluatedProperties.json': 1, // $dynamicRef
    'vocabulary.json': 2, // other dialects
  };
  /** By file: number of cases with another result than in the suite, where formats are annotations. */
  const DIFFERENT: Record<string, number> = { 'format.json': 15 };

  type Group = {
    description: string;
    schema: unknown;
    tests: { description: string; data: unknown; valid: boolean }[];
  };

  it('have the same result, except those listed', () => {
    let verdicts = 0;
    const refused: Record<string, number> = {};
    const different: Record<string, number> = {};
    const count = (tally: Record<string, number>, file: string): void => {
      tally[file] = (tally[file] ?? 0) + 1;
    };
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
      const groups: Group[] = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      for (const { schema, tests } of groups) {
        const compiled = compileSchema(schema);
        if ('problems' in compiled) {
          count(refused, file);
          continue;
        }
        for (const { data, valid } of tests) {
          verdicts += 1;
          if ((compiled.check(data).length === 0) !== valid) count(different, file);
        }
      }
    }
    expect({ refused, different }).toEqual({ refused: REFUSED, different: DIFFERENT });
    expect(verdicts).toBeGreaterThan(1000);
  });
});
