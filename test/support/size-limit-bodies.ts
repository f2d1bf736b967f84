// Bodies at the size limit, made from the schema of a route: for each array, map, object and string in it, one body in
// which that part is filled with invalid values, or with too many valid ones.

import { bodyCheck } from '../../src/api/http/validation.ts';
import type { Route } from '../../src/api/route.ts';

export interface HostileBody {
  name: string;
  /** JSON. */
  text: string;
}

type Schema = Record<string, unknown>;

/** Strings that are valid for most schemas. */
const TEXTS = [
  'a',
  'image/png',
  '*',
  '00000000-0000-7000-8000-000000000000',
  '2199-01-01T00:00:00.000Z',
  'https://example.org/',
  'someone@example.org',
];
const WRONG = ['1', '""', '{}', '[]', 'null'];
const HERE = '"@@here@@"';

/**
 * Generates the bodies.
 * @param bytes largest size of a body.
 * @param few whether to make only one body for each array, map and object, and none for strings.
 */
export function* hostileBodies(route: Route, bytes: number, few = false): Generator<HostileBody> {
  const schema = (route.bodyShown ?? route.body) as unknown as Schema;
  for (const { at, found } of parts(schema, [])) {
    const frame = JSON.stringify(framed(schema, at)) ?? HERE;
    const room = bytes - frame.length;
    for (const { name, json } of fillings(found, room)) {
      if (few && found.type !== 'array' && found.type !== 'object') break;
      yield { name: `/${at.join('/')} ${name}`, text: frame.replace(HERE, () => json) };
      if (few) break;
    }
  }
}

/** All parts of a schema with their paths. */
function* parts(schema: Schema, at: string[]): Generator<{ at: string[]; found: Schema }> {
  yield { at, found: schema };
  for (const [name, inner] of Object.entries((schema.properties ?? {}) as Record<string, Schema>))
    yield* parts(inner, [...at, name]);
  if (schema.items !== undefined) yield* parts(schema.items as Schema, [...at, '0']);
  for (const branch of branches(schema)) yield* parts(branch, at);
}

function branches(schema: Schema): Schema[] {
  return [...((schema.anyOf ?? []) as Schema[]), ...((schema.oneOf ?? []) as Schema[])];
}

/** A value with the required members of the schema and a placeholder at `at`. */
function framed(schema: Schema, at: readonly string[]): unknown {
  const [name, ...rest] = at;
  if (name === undefined) return '@@here@@';
  const inner = branches(schema).find((one) => childOf(one, name) !== undefined) ?? schema;
  const child = framed(childOf(inner, name) ?? {}, rest);
  return inner.items !== undefined ? [child] : { ...(sample(inner) as object), [name]: child };
}

function childOf(schema: Schema, name: string): Schema | undefined {
  if (schema.items !== undefined) return schema.items as Schema;
  return (schema.properties as Record<string, Schema> | undefined)?.[name];
}

function sample(schema: Schema): unknown {
  const [branch] = branches(schema);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (schema.type === 'object' && schema.properties !== undefined) {
    const needed = (schema.required ?? []) as string[];
    const properties = schema.properties as Record<string, Schema>;
    return Object.fromEntries(needed.map((name) => [name, sample(properties[name] ?? {})]));
  }
  if (branch !== undefined) return sample(branch);
  if (schema.type === 'array') return schema.minItems === undefined ? [] : [sample(schema.items as Schema)];
  if (schema.type === 'string') return TEXTS.find((text) => accepts(schema, text)) ?? 'a'.repeat(20);
  if (schema.type === 'object') return {};
  if (schema.type === 'boolean') return true;
  return schema.minimum ?? 1;
}

function accepts(schema: Schema, value: unknown): boolean {
  return bodyCheck(schema as never)(value).length === 0;
}

function* fillings(schema: Schema, room: number): Generator<{ name: string; json: string }> {
  const list = (item: (index: number) => string) => `[${filled(room - 2, item)}]`;
  const map = (value: (index: number) => string) =>
    `{${filled(room - 2, (index) => `"${String(index).padStart(20, 'n')}":${value(index)}`, 9_900)}}`;
  if (schema.type === 'array') {
    const items = schema.items as Schema;
    const right = JSON.stringify(sample(items)) ?? 'null';
    for (const wrong of WRONG)
      if (!accepts(items, JSON.parse(wrong))) yield { name: `of ${wrong}`, json: list(() => wrong) };
    yield { name: 'of what is right', json: list(() => right) };
    yield { name: 'of texts, each another', json: list((index) => `"a${index}"`) };
    yield { name: 'nested deep', json: list(() => '['.repeat(100) + ']'.repeat(100)) };
  }
  if (schema.type === 'object') {
    yield { name: 'with unknown fields', json: map(() => '1') };
    yield { name: 'with short texts', json: map(() => '"a"') };
    yield {
      name: 'with names as long as they may be',
      json: `{${filled(room - 2, (index) => `"${String(index).padStart(2040, '~')}":1`)}}`,
    };
    yield { name: 'with one long name', json: `{"${'~'.repeat(room - 10)}":1}` };
    yield {
      name: 'with a long name over many values',
      json: `{"${'n'.repeat(room / 2)}":[${'1,'.repeat(room / 5)}1]}`,
    };
    yield { name: 'with numbers that grow', json: `{"n":[${filled(room - 8, () => '1e20')}]}` };
    yield { name: 'an array', json: list(() => '{}') };
  }
  if (schema.type === 'string') {
    yield { name: 'too long', json: `"${'a'.repeat(room - 2)}"` };
    yield { name: 'of other characters', json: `"${'😀T:/~'.repeat((room - 2) / 8)}"` };
  }
  if (schema.type === 'string' || schema.type === 'integer')
    yield { name: 'an array', json: list(() => '1') };
}

/** As many items of `make` as fit into `room` bytes, separated by commas. All are the same when `make` takes no index. */
function filled(room: number, make: (index: number) => string, most = Number.POSITIVE_INFINITY): string {
  if (make.length === 0) {
    const item = make(0);
    const count = Math.min(most, Math.floor(room / (item.length + 1)));
    return `${item},`.repeat(count).slice(0, -1);
  }
  const made: string[] = [];
  for (let left = room; made.length < most; ) {
    const next = make(made.length);
    left -= next.length + 1;
    if (left < 0) break;
    made.push(next);
  }
  return made.join();
}
