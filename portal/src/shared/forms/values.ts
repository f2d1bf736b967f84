// The value of a form: the output so far. A member that is not there has no answer yet. Pure; nothing is changed in place, so a
// part that is the same object has not changed.

import { applicable, isValid } from './applicable.ts';
import { entrySchema, type Field, fieldOf } from './fields.ts';
import { type AnySchema, isObject, isSame, type JsonSchema } from './schema.ts';

/** Parts nested deeper are taken as they are. */
const MAX_LEVELS = 64;

/** One step below a value: its JSON pointer (RFC 6901). */
export function childPointer(pointer: string, name: string | number): string {
  return `${pointer}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function stepsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The part of a value at a pointer; undefined when there is none. */
export function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const step of stepsOf(pointer)) {
    if (Array.isArray(at)) at = at[Number(step)];
    else if (isObject(at) && Object.hasOwn(at, step)) at = at[step];
    else return undefined;
  }
  return at;
}

/** The value with another part at a pointer; objects on the way are made. @param part undefined removes it. */
export function withValueAt(value: unknown, pointer: string, part: unknown): unknown {
  return withPart(value, stepsOf(pointer), part);
}

function withPart(value: unknown, [step, ...rest]: string[], part: unknown): unknown {
  if (step === undefined) return part;
  if (Array.isArray(value)) {
    const items = [...(value as unknown[])];
    const changed = withPart(items[Number(step)], rest, part);
    // An item without an answer keeps its position.
    items[Number(step)] = changed === undefined ? null : changed;
    return items;
  }
  const before = isObject(value) ? value : {};
  const changed = withPart(Object.hasOwn(before, step) ? before[step] : undefined, rest, part);
  if (changed !== undefined) return defined(before, step, changed);
  const { [step]: _removed, ...others } = before;
  return others;
}

/** As a spread, but for a member named `__proto__` too. */
function defined(object: Record<string, unknown>, name: string, value: unknown): Record<string, unknown> {
  return Object.fromEntries([...Object.entries(object).filter(([other]) => other !== name), [name, value]]);
}

/** The list with an item moved by one position. */
export function moved(list: readonly unknown[], from: number, to: number): unknown[] {
  if (to < 0 || to >= list.length) return [...list];
  const rest = list.filter((_, index) => index !== from);
  return [...rest.slice(0, to), list[from], ...rest.slice(to)];
}

/**
 * A value with everything that must be there to fill it in: required objects and lists, and the items of fixed positions.
 * @param isRequired whether the value must be there itself; undefined is returned for one that need not and is not.
 */
export function prepared(
  schema: AnySchema,
  root: JsonSchema,
  value: unknown,
  isRequired = true,
  level = 0,
): unknown {
  if (level > MAX_LEVELS || (!isRequired && value === undefined)) return value;
  const field = fieldOf(schema, root, value, level);
  if (field.kind === 'set') return value ?? [];
  if (field.kind === 'object') {
    if (value !== undefined && !isObject(value)) return value;
    let object = value ?? {};
    for (const one of field.properties) {
      const inner = Object.hasOwn(object, one.name) ? object[one.name] : undefined;
      const filled = prepared(one.schema, root, inner, one.isRequired, level + 1);
      if (filled !== inner) object = defined(object, one.name, filled);
    }
    return object;
  }
  if (field.kind !== 'array') return value;
  if (value !== undefined && !Array.isArray(value)) return value;
  const items = [...((value as unknown[] | undefined) ?? [])];
  for (const [index, of] of field.prefix.entries())
    items[index] = prepared(of, root, items[index] ?? undefined, true, level + 1) ?? null;
  return items;
}

/** What a new item, or a value that a person adds, starts with; null for one without an answer yet. */
export function emptyValue(schema: AnySchema, root: JsonSchema): unknown {
  const field = fieldOf(schema, root, undefined);
  return field.kind === 'constant' ? field.value : (prepared(schema, root, undefined) ?? null);
}

/** Which alternative a value belongs to: the first that it satisfies, else the one that it resembles most; -1 for none. */
export function chosenOption(field: Field & { kind: 'choice' }, root: JsonSchema, value: unknown): number {
  const isAny = field.options.some(({ schema }) => schema['x-json'] === true);
  // In a list, null stands for an item without an answer.
  if (value === undefined || (value === null && isAny)) return isAny ? 0 : -1;
  const valid = field.options.findIndex(({ schema }) => isValid(schema, root, value));
  if (valid >= 0) return valid;
  const scores = field.options.map(({ schema }) => likeness(schema, root, value));
  const best = Math.max(...scores);
  return best > 0 ? scores.indexOf(best) : -1;
}

function likeness(schema: AnySchema, root: JsonSchema, value: unknown): number {
  const field = fieldOf(schema, root, value);
  switch (field.kind) {
    case 'object':
      if (!isObject(value)) return 0;
      return field.properties.reduce((score, property) => {
        const inner = value[property.name];
        if (inner === undefined) return score;
        const part = fieldOf(property.schema, root, inner);
        if (part.kind !== 'constant') return score + 1;
        return isSame(part.value, inner) ? score + 10 : score - 10;
      }, 1);
    case 'array':
    case 'set':
      return Array.isArray(value) ? 1 : 0;
    case 'text':
    case 'options':
      return typeof value === 'string' ? 1 : 0;
    case 'number':
      return typeof value === 'number' ? 1 : 0;
    case 'boolean':
      return typeof value === 'boolean' ? 1 : 0;
    default:
      return 0;
  }
}

/**
 * The output to submit: constants are filled in, and required objects and lists are there even if nothing in them is.
 * @returns undefined when there is no answer
 */
export function outputOf(
  schema: AnySchema,
  root: JsonSchema,
  value: unknown,
  isRequired = true,
  level = 0,
): unknown {
  if (level > MAX_LEVELS) return value;
  const field = fieldOf(schema, root, value, 0);
  switch (field.kind) {
    case 'constant':
      return isRequired ? field.value : value;
    case 'object': {
      if (!isRequired && value === undefined) return undefined;
      if (value !== undefined && !isObject(value)) return value;
      return objectOutput(field, root, value ?? {}, level);
    }
    case 'array':
      if (value === undefined) return isRequired ? [] : undefined;
      if (!Array.isArray(value)) return value;
      return withoutEmptyEnd(value, field.prefix.length).map((item, index) => {
        const of = field.prefix[index] ?? field.items;
        return of === null ? item : outputOf(of, root, item, item !== null, level + 1);
      });
    case 'set':
      return value === undefined && isRequired ? [] : value;
    case 'choice': {
      const chosen = field.options[chosenOption(field, root, value)];
      return chosen === undefined || value === undefined
        ? value
        : outputOf(chosen.schema, root, value, isRequired, level + 1);
    }
    default:
      return value;
  }
}

/** A list without the last ones of its fixed positions that have no answer. */
function withoutEmptyEnd(items: unknown[], fixed: number): unknown[] {
  if (items.length > fixed) return items;
  return items.slice(0, items.findLastIndex((item) => item !== null) + 1);
}

function objectOutput(
  field: Field & { kind: 'object' },
  root: JsonSchema,
  value: Record<string, unknown>,
  level: number,
): Record<string, unknown> {
  const named = new Map(field.properties.map((one) => [one.name, one]));
  const members = field.properties.map(({ name, schema, isRequired }): [string, unknown] => [
    name,
    outputOf(schema, root, Object.hasOwn(value, name) ? value[name] : undefined, isRequired, level + 1),
  ]);
  for (const [name, inner] of Object.entries(value)) {
    if (named.has(name)) continue;
    const schema = field.entries === null ? null : entrySchema(field.entries, name);
    members.push([name, schema === null ? inner : outputOf(schema, root, inner, true, level + 1)]);
  }
  return Object.fromEntries(members.filter(([, inner]) => inner !== undefined));
}

/** The schema of a part of a value, and which alternatives were taken on the way to it and at it. */
export interface Located {
  /** Null when the schema says nothing of the part. */
  schema: JsonSchema | null;
  choices: number[];
}

/** @param chosen which alternative a person has chosen at a pointer; undefined for what the value tells. */
export function located(
  root: JsonSchema,
  value: unknown,
  pointer: string,
  chosen: (pointer: string) => number | undefined,
): Located {
  const choices: number[] = [];
  let schema: AnySchema = root;
  let at: unknown = value;
  let way = '';
  for (const step of [null, ...stepsOf(pointer)]) {
    if (step !== null) {
      const field = fieldOf(schema, root, at);
      const next = partOf(field, step);
      if (next === null) return { schema: null, choices };
      schema = next;
      way = childPointer(way, step);
      at = valueAt(value, way);
    }
    for (let levels = 0; levels < MAX_LEVELS; levels += 1) {
      const field = fieldOf(schema, root, at);
      if (field.kind !== 'choice') break;
      const option = (levels === 0 ? chosen(way) : undefined) ?? chosenOption(field, root, at);
      const taken = field.options[option];
      if (taken === undefined) break;
      choices.push(option);
      schema = taken.schema;
    }
  }
  return { schema: applicable(schema, root, at), choices };
}

function partOf(field: Field, step: string): AnySchema | null {
  if (field.kind === 'array') return field.prefix[Number(step)] ?? field.items;
  if (field.kind !== 'object') return null;
  const property = field.properties.find((one) => one.name === step);
  return property?.schema ?? (field.entries === null ? null : entrySchema(field.entries, step));
}
