// Readers of stored data that another version of this software may have written, or that is damaged. Every kind of stored
// data has one reader, which returns `known`, `newer` or `broken`. Newer data is left to a newer process, broken data is set
// aside; neither may stop other work.
//
// The number of a format version is stored with the data as its `form`. Raise it when an older process would misread the
// data, such as for a new kind or a changed meaning. An added field keeps it: older processes preserve unknown fields.

export type Read<T> =
  | { kind: 'known'; value: T }
  | { kind: 'newer'; form: number }
  | { kind: 'broken'; reason: string };

/**
 * The type of a field. `strings`: an array of strings, `list`: any array, `object`: neither null nor an array. With `?`
 * the field may be absent.
 */
type FieldType =
  | 'string'
  | 'string?'
  | 'string or null'
  | 'number'
  | 'boolean'
  | 'boolean?'
  | 'strings'
  | 'list'
  | 'list?'
  | 'object';

/** The fields of a value and their types. Other fields are not checked. */
export type Shape<T> = Readonly<Partial<Record<keyof T & string, FieldType>>>;

const CHECKS: Record<FieldType, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  'string?': (value) => value === undefined || typeof value === 'string',
  'string or null': (value) => value === null || typeof value === 'string',
  number: (value) => Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  'boolean?': (value) => value === undefined || typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  list: Array.isArray,
  'list?': (value) => value === undefined || Array.isArray(value),
  object: isObject,
};

/** Whether the value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Checks a format version against the newest known one.
 * @param form as it is stored; absent: 1. @returns null when it is known.
 */
export function readForm(form: unknown, newest: number): Exclude<Read<never>, { kind: 'known' }> | null {
  const number = form === undefined || form === null ? 1 : Number(form);
  if (!Number.isInteger(number) || number < 1) return broken('its form is no number');
  return number > newest ? { kind: 'newer', form: number } : null;
}

/** Reads a value of this shape. */
export function readShape<T>(value: unknown, shape: Shape<T>): Read<T> {
  if (!isObject(value)) return broken('not an object');
  const types: Readonly<Record<string, FieldType | undefined>> = shape;
  for (const name in types) {
    const type = types[name];
    if (type !== undefined && !CHECKS[type](value[name])) return broken(`${name} is not a ${type}`);
  }
  return { kind: 'known', value: value as T };
}

/** Parses JSON. The reason never quotes the text, which may hold a secret. */
export function readJson(text: string): Read<unknown> {
  try {
    return { kind: 'known', value: JSON.parse(text) as unknown };
  } catch {
    return broken('not valid JSON');
  }
}

/** Reads JSON text whose value has this shape. */
export function readJsonShape<T>(text: string, shape: Shape<T>): Read<T> {
  const json = readJson(text);
  return json.kind === 'known' ? readShape<T>(json.value, shape) : json;
}

/** Reads JSON text whose value is a list of values of this shape. */
export function readJsonList<T>(text: string, shape: Shape<T>): Read<T[]> {
  const json = readJson(text);
  if (json.kind !== 'known') return json;
  if (!Array.isArray(json.value)) return broken('not a list');
  const items: T[] = [];
  for (const item of json.value) {
    const read = readShape<T>(item, shape);
    if (read.kind !== 'known') return read;
    items.push(read.value);
  }
  return { kind: 'known', value: items };
}

/** A value that cannot be used, with the reason. */
export function broken(reason: string): { kind: 'broken'; reason: string } {
  return { kind: 'broken', reason };
}
