// OutputSchemas: shorthand and JSON Schema, accepted and rejected schemas and outputs, and error pointers.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { OutputSchemas, type Problem } from '../../src/output-schema/output-schemas.ts';

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const SECOND = 1_000;
/** Far above the default, so that a busy machine does not make other tests fail. */
const PATIENT = { deadlineMs: 20 * SECOND, maxWaitMs: 60 * SECOND };

const schemas = new OutputSchemas(PATIENT);
afterAll(() => schemas.close());

const object = (properties: Record<string, unknown>, more: object = {}): Record<string, unknown> => ({
  type: 'object',
  properties,
  ...more,
});
const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

describe('shorthand', () => {
  const SHORTHAND = {
    flag: 'boolean',
    note: 'string?',
    amount: 'number',
    count: 'integer',
    list: 'array',
    extra: 'object',
  };
  const OUTPUT = { flag: false, note: '', amount: 0.5, count: 3, list: [], extra: {} };
  const { note: _, ...WITHOUT_NOTE } = OUTPUT;

  it.each<[unknown, string[]]>([
    [{ reached_user: 'boolean', notes: 'string?' }, []],
    [{}, []],
    [{ type: 'object' }, []],
    [{ type: 'object', properties: 'object' }, []],
    [JSON.parse('{"__proto__":"string","constructor":"object?","":"array"}'), []],
    [{ reached_user: 'bool' }, ['/reached_user']],
    [{ 'notes?': 'string' }, ['/notes?']],
    [
      { a: 'string??', b: 'String', 'c/~': null, d: { type: 'string' }, e: 'string' },
      ['/a', '/b', '/c~1~0', '/d'],
    ],
    [JSON.parse('{"__proto__":"toString"}'), ['/__proto__']],
    [{ type: 'object', properties: [] }, ['/properties']],
    [{ type: 'string', properties: {} }, ['/properties']],
    [{ ['x'.repeat(70_000)]: 'string' }, ['']],
    [null, ['']],
    ['string', ['']],
    [[], ['']],
    [undefined, ['']],
  ])('check %j', async (schema, pointers) => {
    expect((await schemas.check(schema)).map(({ pointer }) => pointer)).toEqual(pointers);
  });

  it.each<[unknown, string[]]>([
    [OUTPUT, []],
    [WITHOUT_NOTE, []],
    [{ ...OUTPUT, count: 3.0, amount: -1 }, []],
    [{ ...OUTPUT, note: null }, ['/note']],
    [{ ...OUTPUT, count: 3.5, list: {}, extra: [] }, ['/count', '/list', '/extra']],
    [{ ...OUTPUT, flag: 'true', amount: '1', 'a/b': 1 }, ['/flag', '/amount', '/a~1b']],
    [
      JSON.parse(JSON.stringify(OUTPUT).replace('{', '{"__proto__":{},"constructor":1,')),
      ['/__proto__', '/constructor'],
    ],
    [{ ...OUTPUT, extra: nested(127) }, []],
    [{ ...OUTPUT, extra: nested(128) }, [`/extra${'/a'.repeat(127)}`]],
    [{}, ['/flag', '/amount', '/count', '/list', '/extra']],
    [[], ['']],
    [null, ['']],
    [undefined, ['']],
  ])('validate %j', async (output, pointers) => {
    expect((await schemas.validate(SHORTHAND, output)).map(({ pointer }) => pointer)).toEqual(pointers);
  });

  it('treats inherited members as absent', async () => {
    expect(await schemas.validate({ toString: 'object?', constructor: 'string?' }, {})).toEqual([]);
    expect(await schemas.validate({ constructor: 'object' }, {})).toEqual([
      { pointer: '/constructor', message: 'is required' },
    ]);
  });

  it('accepts no output for an unacceptable schema', async () => {
    const [problem] = await schemas.validate({ a: 'nonsense' }, { a: 1 });
    expect(problem).toMatchObject({ pointer: '', message: expect.stringContaining('/a') });
  });

  it('reports at most fifty problems', async () => {
    const output = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`extra${index}`, 1]));
    expect(await schemas.validate({}, output)).toHaveLength(50);
  });

  const VALUES: Record<string, fc.Arbitrary<unknown>> = {
    boolean: fc.boolean(),
    string: fc.string(),
    number: fc.double({ noNaN: true, noDefaultInfinity: true }),
    integer: fc.integer(),
    array: fc.array(fc.jsonValue()),
    object: fc.dictionary(fc.string(), fc.jsonValue()),
  };
  const plainName = fc.string().map((name) => name.replace(/\?+$/, ''));
  const names = fc.oneof(plainName, fc.constantFrom('__proto__', 'constructor', 'toString', 'type', '~/'));
  /** Fields: name → [type, optional, a value of the type]. */
  const fields = fc
    .array(
      fc
        .tuple(names, fc.constantFrom(...Object.keys(VALUES)), fc.boolean())
        .chain(([name, type, optional]) =>
          fc.tuple(fc.constant({ name, type, optional }), VALUES[type] ?? fc.anything()),
        ),
      { maxLength: 8 },
    )
    .map((list) => [...new Map(list.map((field) => [field[0].name, field])).values()]);

  const wordOf = ({ type, optional }: { type: string; optional: boolean }): string =>
    optional ? `${type}?` : type;

  it('accepts the named fields, with or without the optional ones', async () => {
    await fc.assert(
      fc.asyncProperty(fields, fc.boolean(), async (list, isFull) => {
        const schema = Object.fromEntries(list.map(([field]) => [field.name, wordOf(field)]));
        const given = list.filter(([{ optional }]) => isFull || !optional);
        const output = Object.fromEntries(given.map(([{ name }, value]) => [name, value]));
        fc.pre(schema.$schema === undefined);
        expect(await schemas.check(schema)).toEqual([]);
        expect(await schemas.validate(schema, output)).toEqual([]);
      }),
    );
  });

  it('reports exactly the fields that are missing, of another type, or not named', async () => {
    await fc.assert(
      fc.asyncProperty(fields, fc.infiniteStream(fc.nat(2)), async (list, faults) => {
        const schema = Object.fromEntries(
          list.map(([field]) => [field.name, wordOf({ ...field, optional: false })]),
        );
        const wrong = new Map<string, string>();
        const output: [string, unknown][] = [];
        for (const [{ name, type }, value] of list) {
          const fault = faults.next().value;
          if (fault > 0) wrong.set(name, fault === 1 ? 'is required' : 'must be');
          if (fault !== 1) output.push([name, fault === 0 ? value : type === 'boolean' ? 1 : true]);
        }
        const found = await schemas.validate(schema, Object.fromEntries(output));
        const pointers = [...wrong.keys()].map(
          (name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
        );
        expect(found.map(({ pointer }) => pointer).sort()).toEqual(pointers.sort());
      }),
    );
  });
});

describe('JSON Schema', () => {
  const problemsOf = async (schema: unknown): Promise<string[]> =>
    (await schemas.check(schema)).map(({ pointer, message }) => `${pointer} ${message}`);

  it.each<[string, unknown]>([
    ['by its $schema', { $schema: DIALECT }],
    ['by its $schema with an empty fragment', { $schema: `${DIALECT}#`, type: 'array' }],
    ['by its type and properties', object({})],
    [
      'with an $id, local references and anchors',
      object(
        { a: { $ref: '#/$defs/a' }, b: { $ref: '#b' } },
        { $id: 'https://example.com/s', $defs: { a: true, b: { $anchor: 'b' } } },
      ),
    ],
    ['that is recursive', object({ children: { type: 'array', items: { $ref: '#' } } })],
    [
      'with keywords and formats nobody knows',
      object({ a: { 'x-widget': { $ref: 'http://x' }, format: 'phone' } }),
    ],
    [
      'with names of JavaScript',
      JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{}}}'),
    ],
    [
      'with $async and $data as names of properties',
      object({ $async: true, $data: { type: 'string' }, nullable: {} }),
    ],
    ['with $ref in a value', object({ a: { const: { $ref: 'https://x' }, default: { $id: 'y' } } })],
  ])('accepts a schema %s', async (_, schema) => {
    expect(await schemas.check(schema)).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    [object({ a: { type: 'strin' } }), /^\/properties\/a\/type /],
    [object({ a: { minimum: '1' } }), /^\/properties\/a\/minimum must be number/],
    [object({ a: { items: [{}] } }), /^\/properties\/a\/items must be object,boolean/],
    [object({ a: 'string' }), /^\/properties\/a must be object,boolean/],
    [object({}, { required: ['a', 'a'] }), /^\/required /],
    [{ $schema: 'http://json-schema.org/draft-07/schema#' }, /^\/\$schema is not https/],
    [{ $schema: 1 }, /^\/\$schema /],
    [object({ a: { $ref: 'https://example.com/a.json' } }), /^\/properties\/a\/\$ref must start with "#"/],
    [object({ a: { $ref: DIALECT } }), /^\/properties\/a\/\$ref must start with "#"/],
    [object({ a: { $ref: '#/$defs/b' } }), /^\/properties\/a\/\$ref does not refer to a schema/],
    [
      object({ a: { $ref: '#/properties/a/default', default: {} } }),
      /^\/properties\/a\/\$ref does not refer to a schema/,
    ],
    [object({ a: { $ref: '#/properties/a' } }), /^\/properties\/a\/\$ref refers back to itself/],
    [object({ a: { $ref: 1 } }), /^\/properties\/a\/\$ref must be string/],
    [object({ a: { $id: 'https://example.com/a' } }), /^\/properties\/a\/\$id /],
    [
      object({ a: { $anchor: 'x' }, b: { $anchor: 'x' } }),
      /^\/properties\/b\/\$anchor is also used for another/,
    ],
    [object({}, { $async: true }), /^\/\$async /],
    [object({ a: { minimum: { $data: '1/b' } } }), /^\/properties\/a\/minimum must be a constant: \$data/],
    [object({ a: { $dynamicRef: '#a' } }), /^\/properties\/a\/\$dynamicRef /],
    [object({ a: { type: 'string', nullable: true } }), /^\/properties\/a\/nullable .*"null"/],
    [object({ a: { dependencies: {} } }), /^\/properties\/a\/dependencies /],
    [object({ a: { pattern: '^(a+)+$' } }), /^\/properties\/a\/pattern can backtrack catastrophically/],
    [object({ a: { pattern: '(?=a)b' } }), /^\/properties\/a\/pattern uses look-around/],
    [object({ a: { pattern: '[' } }), /^\/properties\/a\/pattern is not a regular expression/],
    [object({}, { patternProperties: { '(.*)*x': {} } }), /^\/patternProperties\/\(\.\*\)\*x can backtrack/],
    [
      object({ a: { not: { allOf: [{ pattern: '(a|aa)+$' }] } } }),
      /^\/properties\/a\/not\/allOf\/0\/pattern can/,
    ],
    [object({}, { $defs: { unused: { pattern: '(a|a)*$' } } }), /^\/\$defs\/unused\/pattern can/],
    [object({ a: nested(31) }), /^(\/\w+)+ is nested more than 32 levels deep/],
    [object({ a: { description: 'x'.repeat(65_536) } }), /^ is over 64 KiB/],
    [object({ a: { description: 'é'.repeat(32_768) } }), /^ is over 64 KiB/],
    [object({}, { allOf: Array.from({ length: 1_600 }, () => true) }), /^ contains more than 1500 schemas/],
    [
      object({}, { allOf: Array.from({ length: 101 }, (_, at) => ({ pattern: `^${at}` })) }),
      /^ contains more than 100 different/,
    ],
    [object({}, { unevaluatedItems: false, contains: {} }), /^\/unevaluatedItems is not supported/],
  ])('refuses %j', async (schema, problem) => {
    expect(await problemsOf(schema)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  it('reports all problems of a schema at once', async () => {
    const schema = object(
      { a: { type: 'x' }, b: { $ref: 'other' }, c: { pattern: '(a*)*b' } },
      { $async: true },
    );
    const pointers = (await schemas.check(schema)).map(({ pointer }) => pointer);
    expect(new Set(pointers)).toEqual(
      new Set(['/$async', '/properties/a/type', '/properties/b/$ref', '/properties/c/pattern']),
    );
  });

  it('reports problems of an output with their pointers', async () => {
    const schema = object(
      {
        name: { type: 'string', pattern: '^[A-Z]' },
        mail: { type: 'string', format: 'email' },
        tags: { type: 'array', items: { enum: ['a', 'b'] }, uniqueItems: true },
        price: { multipleOf: 0.01 },
        more: object({ x: {} }, { required: ['y'], propertyNames: { maxLength: 1 } }),
      },
      { required: ['name', 'id'], additionalProperties: false },
    );
    const output = { name: 'x', mail: '@', tags: ['a', 'c', 'a'], price: 1.005, more: { xx: 1 }, 'a/~': 1 };
    expect(new Set(await schemas.validate(schema, output))).toEqual(
      new Set<Problem>([
        { pointer: '/name', message: 'must match pattern "^[A-Z]"' },
        { pointer: '/mail', message: 'must match format "email", such as ann@example.com' },
        { pointer: '/tags', message: 'must not have two equal items' },
        { pointer: '/tags/1', message: 'must be one of "a", "b"' },
        { pointer: '/price', message: 'must be a multiple of 0.01' },
        { pointer: '/more/y', message: 'is required' },
        { pointer: '/more/xx', message: 'is a property name that must NOT have more than 1 characters' },
        { pointer: '/id', message: 'is required' },
        { pointer: '/a~1~0', message: 'is not allowed: the schema does not name it' },
      ]),
    );
    const good = { name: 'X', mail: 'a@b.cc', tags: ['a'], price: 19.99, more: { y: 1 }, id: 1 };
    expect(await schemas.validate({ ...schema, additionalProperties: true }, good)).toEqual([]);
  });

  it('keeps patterns and schemas separate', async () => {
    const schema = object({ a: { pattern: '^a$' }, b: { pattern: '^b$' } });
    expect(await schemas.validate(schema, { a: 'a', b: 'b' })).toEqual([]);
    expect((await schemas.validate(schema, { a: 'b', b: 'a' })).map(({ pointer }) => pointer)).toEqual([
      '/a',
      '/b',
    ]);
    const tenants = ['string', 'number'].map((type) =>
      object({ a: { $ref: '#x' } }, { $id: 'https://one.example/', $defs: { x: { $anchor: 'x', type } } }),
    );
    const verdicts = await Promise.all(tenants.map((tenant) => schemas.validate(tenant, { a: 'text' })));
    expect(verdicts.map((problems) => problems.length)).toEqual([0, 1]);
  });

  it('refuses outputs that are too deep, too large, or undefined', async () => {
    const any = { $schema: DIALECT };
    expect(await schemas.validate(any, nested(128))).toEqual([]);
    expect((await schemas.validate(any, nested(200_000 / 100)))[0]?.message).toMatch(/more than 128 levels/);
    expect((await schemas.validate(any, 'x'.repeat(256 * 1024)))[0]?.message).toMatch(/over 256 KiB/);
    expect((await schemas.validate(any, undefined))[0]?.message).toMatch(/required/);
    expect((await schemas.validate({ $schema: 'x' }, 1))[0]?.message).toMatch(
      /cannot be checked, its schema/,
    );
  });
});
