// A form from a schema: which field each schema becomes, which output the answers become, and what is said to be wrong.
import { describe, expect, it } from 'vitest';
import { type Field, fieldOf, labelFromName } from '../../portal/src/shared/forms/fields.ts';
import { FormStore, numberOf } from '../../portal/src/shared/forms/form-store.ts';
import { asJsonSchema, type JsonSchema } from '../../portal/src/shared/forms/schema.ts';
import { memberOf } from '../../portal/src/shared/forms/titles.ts';
import { emptyValue, outputOf, withValueAt } from '../../portal/src/shared/forms/values.ts';

const field = (schema: JsonSchema | boolean, value?: unknown): Field =>
  fieldOf(schema, typeof schema === 'boolean' ? {} : schema, value);

/** A form that was filled in by setting values at pointers. */
function filled(schema: JsonSchema, answers: Record<string, unknown>): FormStore {
  const store = new FormStore(asJsonSchema(schema));
  for (const [pointer, value] of Object.entries(answers)) store.set(pointer, value);
  return store;
}

/** What is wrong with a form when a person wants to submit it, as `pointer keyword`. */
function faults(store: FormStore): string[] {
  store.attempt();
  return store.faults.map(
    ({ pointer, fault }) => `${pointer} ${'keyword' in fault ? fault.keyword : fault.message}`,
  );
}

const object = (properties: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...more,
});

describe('titles', () => {
  const root: JsonSchema = {
    type: 'object',
    properties: {
      total: { type: 'number', title: 'Total amount' },
      plain: { type: 'string' },
      lines: { type: 'array', items: { type: 'object', properties: { sum: { title: 'Sum of the line' } } } },
      pair: { prefixItems: [{ title: 'First' }], items: { title: 'Further' } },
      address: { $ref: '#/$defs/address' },
      loop: { $ref: '#/$defs/loop' },
    },
    allOf: [{ properties: { plain: { title: 'From a branch' } } }],
    oneOf: [{ properties: { other: { title: 'Of an alternative' } } }],
    additionalProperties: { title: 'Any other' },
    $defs: {
      address: { title: 'Address', properties: { city: { title: 'Town' } } },
      loop: { allOf: [{ $ref: '#/$defs/loop' }, { $ref: '#/$defs/loop' }] },
    },
  };
  const titleAt = (schema: JsonSchema, ...path: (string | number)[]) =>
    path.reduce<ReturnType<typeof memberOf>>((at, name) => memberOf(at, name), {
      root: schema,
      schemas: [schema],
      title: null,
    }).title;

  it.each([
    [['total'], 'Total amount'],
    [['plain'], 'From a branch'],
    [['other'], 'Any other'],
    [['lines', 3, 'sum'], 'Sum of the line'],
    [['pair', 0], 'First'],
    [['pair', 1], 'Further'],
    [['address'], 'Address'],
    [['address', 'city'], 'Town'],
    [['address', 'street'], null],
    [['loop', 'x', 'y'], null],
    [['lines', '__proto__', 'constructor'], null],
  ])('of %j is %s', (path, expected) => {
    expect(titleAt(root, ...path)).toBe(expected);
  });

  it('of the short form are none', () => {
    expect(titleAt(asJsonSchema({ reading: 'number' }), 'reading')).toBeNull();
  });
});

describe('fields', () => {
  it.each<[string, JsonSchema | boolean, Partial<Field>]>([
    ['text', { type: 'string' }, { kind: 'text', format: 'plain', isLong: true }],
    ['short text', { type: 'string', maxLength: 20 }, { kind: 'text', isLong: false, maxLength: 20 }],
    ['text with a pattern', { type: 'string', pattern: '^a' }, { kind: 'text', isLong: false }],
    ['a date', { type: 'string', format: 'date' }, { kind: 'text', format: 'date' }],
    ['an unknown format', { type: 'string', format: 'uuid' }, { kind: 'text', format: 'plain' }],
    [
      'a number',
      { type: 'number', minimum: 0, maximum: 9.5 },
      { kind: 'number', min: 0, max: 9.5, isInteger: false },
    ],
    ['an integer', { type: 'integer' }, { kind: 'number', isInteger: true, step: 1 }],
    ['yes or no', { type: 'boolean' }, { kind: 'boolean' }],
    ['nothing', { type: 'null' }, { kind: 'constant', value: null }],
    ['a constant', { const: 7 }, { kind: 'constant', value: 7 }],
    ['an enumeration of one', { enum: ['only'] }, { kind: 'constant', value: 'only' }],
    ['no type but properties', { properties: { a: true } }, { kind: 'object' }],
    ['no type but items', { items: { type: 'string' } }, { kind: 'array' }],
    ['no type but limits', { minimum: 3 }, { kind: 'number', min: 3 }],
    [
      'some of a few values',
      { type: 'array', uniqueItems: true, items: { enum: ['a', 'b'] } },
      { kind: 'set' },
    ],
    ['a schema that nothing satisfies', false, { kind: 'choice' }],
  ])('shows %s', (_, schema, expected) => expect(field(schema)).toMatchObject(expected));

  it('shows an enumeration and constants with titles as options', () => {
    expect(field({ enum: ['ok', 3, null] })).toEqual({
      kind: 'options',
      options: [
        { value: 'ok', label: 'ok' },
        { value: 3, label: '3' },
        { value: null, label: 'null' },
      ],
    });
    const titled = {
      oneOf: [
        { const: 1, title: 'Good' },
        { const: 2, title: 'Bad' },
      ],
    };
    expect(field(titled)).toMatchObject({ kind: 'options', options: [{ label: 'Good' }, { label: 'Bad' }] });
  });

  it('offers a choice between alternatives, types and anything', () => {
    expect(field({ type: ['string', 'null'] })).toMatchObject({
      options: [{ kind: 'text' }, { kind: 'nothing' }],
    });
    expect(field({ anyOf: [{ type: 'number', title: 'A size' }, { type: 'array' }] })).toMatchObject({
      options: [{ title: 'A size', kind: 'number' }, { kind: 'list' }],
    });
    expect(field({})).toMatchObject({
      options: [{ kind: 'text' }, { kind: 'number' }, { kind: 'boolean' }, { kind: 'any' }],
    });
  });

  it('keeps what stands beside alternatives', () => {
    const schema = object(
      { kind: { type: 'string' } },
      { required: ['kind'], oneOf: [object({ a: { type: 'number' } }), object({ b: { type: 'number' } })] },
    );
    const { options } = field(schema) as Field & { kind: 'choice' };
    const names = options.map((one) => {
      const part = fieldOf(one.schema, schema, {});
      return part.kind === 'object' ? part.properties.map(({ name }) => name) : part.kind;
    });
    expect(names).toEqual([
      ['kind', 'a'],
      ['kind', 'b'],
    ]);
  });

  it('follows references, also to itself, and merges allOf', () => {
    const tree: JsonSchema = {
      $ref: '#/$defs/node',
      $defs: {
        node: object({ name: { type: 'string' }, next: { $ref: '#/$defs/node' } }, { required: ['name'] }),
      },
    };
    expect(field(tree)).toMatchObject({ properties: [{ name: 'name', isRequired: true }, { name: 'next' }] });
    expect(outputOf(tree, tree, {})).toEqual({});
    const endless: JsonSchema = {
      $ref: '#/$defs/a',
      $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } },
    };
    expect(field(endless).kind).toBe('choice');
    const all = {
      allOf: [
        { type: 'string', minLength: 2 },
        { maxLength: 5, minLength: 3 },
      ],
    };
    expect(field(all)).toMatchObject({ kind: 'text', maxLength: 5 });
  });

  it('adds the fields of the branch that applies', () => {
    const schema = object(
      { damaged: { type: 'boolean' } },
      {
        if: { properties: { damaged: { const: true } }, required: ['damaged'] },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
        then: object({ where: { type: 'string' } }, { required: ['where'] }),
      },
    );
    const names = (value: unknown) => {
      const part = field(schema, value);
      return part.kind === 'object' ? part.properties.map(({ name }) => name) : [];
    };
    expect(names({})).toEqual(['damaged']);
    expect(names({ damaged: true })).toEqual(['damaged', 'where']);
  });

  it('offers further members where there may be some', () => {
    expect(field(object({ a: true }))).toMatchObject({ entries: null });
    expect(field({ type: 'object' })).toMatchObject({ entries: { others: {} } });
    expect(field({ type: 'object', additionalProperties: { type: 'number' } })).toMatchObject({
      entries: { others: { type: 'number' } },
    });
    expect(field(object({}, { additionalProperties: false }))).toMatchObject({
      properties: [],
      entries: null,
    });
  });

  it('makes labels of names', () => {
    expect(['defect_count', 'isOpen', 'URL', 'a-b.c', '_'].map(labelFromName)).toEqual([
      'Defect count',
      'Is Open',
      'URL',
      'A b c',
      '_',
    ]);
  });
});

describe('values', () => {
  it('writes out the shorthand', () => {
    expect(asJsonSchema({ open: 'boolean', note: 'string?' })).toEqual({
      type: 'object',
      properties: { open: { type: 'boolean' }, note: { type: 'string' } },
      required: ['open'],
      additionalProperties: false,
    });
    expect(asJsonSchema({ type: 'string' })).toMatchObject({ required: ['type'] });
  });

  it('does not take an untouched yes or no for an answer', () => {
    const store = filled({ open: 'boolean', closed: 'boolean?' }, {});
    expect(store.output).toEqual({});
    expect(faults(store)).toEqual(['/open required']);
    store.set('/open', false);
    expect(store.output).toEqual({ open: false });
    expect(faults(store)).toEqual([]);
  });

  it('fills in constants and what must be there, and leaves out what was not added', () => {
    const schema = object(
      {
        version: { const: 1 },
        place: object({ street: { type: 'string' } }, { required: ['street'] }),
        extra: object({ kind: { const: 'x' } }, { required: ['kind'] }),
        parts: { type: 'array', items: { type: 'string' } },
        pair: { type: 'array', prefixItems: [{ type: 'number' }, { type: 'number' }], items: false },
      },
      { required: ['version', 'place', 'parts', 'pair'] },
    );
    const store = filled(schema, { '/pair/0': 4 });
    expect(store.output).toEqual({ version: 1, place: {}, parts: [], pair: [4] });
    expect(faults(store)).toEqual(['/place/street required']);
    store.set('/extra', emptyValue((schema.properties as JsonSchema).extra as JsonSchema, schema));
    expect(store.output).toMatchObject({ extra: { kind: 'x' } });
  });

  it('keeps what was typed when items are moved and removed', () => {
    const store = filled(object({ sizes: { type: 'array', items: { type: 'number' } } }), {
      '/sizes': [1, null, 3],
    });
    store.noteNumber('/sizes/1');
    store.setWithText('/sizes/1', undefined, '2.');
    store.moveItem('/sizes', 1, 2);
    expect([store.textAt('/sizes/2'), store.output]).toEqual(['2.', { sizes: [1, 3, null] }]);
    store.removeItem('/sizes', 0);
    expect([store.textAt('/sizes/1'), store.output]).toEqual(['2.', { sizes: [3, null] }]);
  });

  it('finds the alternative that a draft belongs to', () => {
    const schema = {
      oneOf: [
        object({ kind: { const: 'car' }, doors: { type: 'integer' } }, { required: ['kind', 'doors'] }),
        object({ kind: { const: 'bike' }, gears: { type: 'integer' } }, { required: ['kind', 'gears'] }),
      ],
    };
    const store = new FormStore(schema, { value: { kind: 'bike' } });
    expect(faults(store)).toEqual(['/gears required']);
    store.set('/gears', 7);
    expect([store.output, faults(store)]).toEqual([{ kind: 'bike', gears: 7 }, []]);
  });

  it('sets members of any name without touching what all objects share', () => {
    const value = withValueAt({}, '/__proto__/polluted', true) as object;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(withValueAt({ 'a/b': 1 }, '/a~1b', 2)).toEqual({ 'a/b': 2 });
  });

  it('reads numbers as people write them', () => {
    expect(['1', ' 2.50 ', '3,5', '-1e3', '.5'].map(numberOf)).toEqual([1, 2.5, 3.5, -1000, 0.5]);
    for (const text of ['', 'abc', '1.2.3', '0x10', '1 2', 'Infinity']) expect(numberOf(text)).toBeNaN();
  });
});

describe('hints', () => {
  const order = object(
    {
      name: { type: 'string', minLength: 3, maxLength: 5 },
      size: { type: 'number', exclusiveMinimum: 0, maximum: 10, multipleOf: 0.5 },
      mail: { type: 'string', format: 'email' },
      tags: { type: 'array', minItems: 2, uniqueItems: true, items: { type: 'string' } },
      card: { type: 'string' },
    },
    { required: ['name', 'tags'], dependentRequired: { card: ['mail'] } },
  );

  it('names each fault once, with its limit', () => {
    const store = filled(order, { '/name': 'ab', '/size': 10.25, '/tags': ['a', 'a'], '/card': '1' });
    expect(faults(store).sort()).toEqual([
      '/mail required',
      '/name minLength',
      '/size maximum',
      '/tags uniqueItems',
    ]);
    expect(store.faultAt('/name')).toMatchObject({ limit: 3 });
    store.set('/tags', [null, 'b']);
    expect(faults(store)).toContain('/tags/0 required');
  });

  it('tells a person who is typing about the fields they have left, and not what is missing', () => {
    const store = filled(order, { '/name': 'ab', '/mail': 'nobody' });
    store.touch('/name');
    expect(store.faults.map(({ pointer }) => pointer)).toEqual(['/name']);
    store.attempt();
    expect(store.faults.map(({ pointer }) => pointer).sort()).toEqual(['/mail', '/name', '/tags']);
  });

  it('says of a choice only what concerns the chosen alternative', () => {
    const schema = object(
      {
        answer: {
          anyOf: [
            object({ text: { type: 'string' } }, { required: ['text'], title: 'Words' }),
            { type: 'number', minimum: 5, title: 'Size' },
          ],
        },
      },
      { required: ['answer'] },
    );
    const store = filled(schema, {});
    expect(faults(store)).toEqual(['/answer required']);
    store.choose('/answer', 0, {});
    expect(faults(store)).toEqual(['/answer/text required']);
    store.choose('/answer', 1, 3);
    expect(faults(store)).toEqual(['/answer minimum']);
  });

  it('shows what the server refused until the field is changed', () => {
    const store = filled(order, { '/name': 'abc', '/tags': ['a', 'b'] });
    store.refuse([{ pointer: '/name', message: 'is taken' }]);
    expect(faults(store)).toEqual(['/name is taken']);
    store.set('/name', 'abd');
    expect(faults(store)).toEqual([]);
  });

  it('reports texts that are no value yet', () => {
    const store = filled({ count: 'number?', more: 'object?' }, {});
    store.noteNumber('/count');
    store.setWithText('/count', undefined, 'many');
    store.setWithText('/more', undefined, '{"a":');
    expect(faults(store).sort()).toEqual(['/count notNumber', '/more notJson']);
    expect(new FormStore(store.root, store.state).textAt('/count')).toBe('many');
  });

  it('does not fail on a schema that it cannot use', () => {
    for (const schema of [
      { $ref: 'https://example.com/a' },
      { type: 'object', properties: { a: { pattern: '(' } } },
    ])
      expect(faults(filled(schema, { '/a': 'x' }))).toEqual([]);
  });

  it('takes ten times as long for ten times the fields, not a hundred times', () => {
    const few = cpuOf(() => fillIn(50));
    const many = cpuOf(() => fillIn(500));
    expect(many / few).toBeLessThan(40);
  });
});

/** Fills in a form of so many fields, one after another, and checks it before and after. */
function fillIn(count: number): void {
  const names = Array.from({ length: count }, (_, index) => `field_${index}`);
  const store = filled(Object.fromEntries(names.map((name) => [name, 'string'])), {});
  expect(faults(store)).toHaveLength(count);
  for (const name of names) store.set(`/${name}`, 'x');
  expect(faults(store)).toEqual([]);
}

/** The least processor time of three runs, µs. */
function cpuOf(run: () => void): number {
  const times = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return Math.min(...times);
}
