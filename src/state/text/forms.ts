// Reading what another version of this software may have written, or what was damaged: every stored form has one
// reader, which answers `known`, `newer` or `broken`. What is newer is left to a newer process, what is broken is set
// aside; neither may stop the others.
//
// A form's number is raised when an older process could not read it rightly, such as a new kind or a changed meaning.
// A field that is merely added keeps the number: older processes keep what they do not know.

export type Read<T> =
  | { kind: 'known'; value: T }
  | { kind: 'newer'; form: number }
  | { kind: 'broken'; reason: string };

/** What a field must be. `strings`: a list of texts, `list`: of anything, `object`: neither null nor a list. */
type FieldType = 'string' | 'number' | 'boolean' | 'strings' | 'list' | 'object';

/** The fields without which a value is not usable; others are not looked at. */
export type Shape<T> = Readonly<Partial<Record<keyof T & string, FieldType>>>;

const CHECKS: Record<FieldType, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  number: (value) => Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  list: Array.isArray,
  object: isObject,
};

/** Whether the value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether a form is newer than the newest that is known here.
 * @param form as it is stored; absent: 1. @returns null when it is known.
 */
export function readForm(form: unknown, newest: number): Exclude<Read<never>, { kind: 'known' }> | null {
  const number = form === undefined || form === null ? 1 : Number(form);
  if (!Number.isInteger(number) || number < 1) return broken('its form is no number');
  return number > newest ? { kind: 'newer', form: number } : null;
}

/** The value if it has the shape. */
export function readShape<T>(value: unknown, shape: Shape<T>): Read<T> {
  if (!isObject(value)) return broken('not an object');
  for (const [name, type] of Object.entries<FieldType | undefined>(shape))
    if (type !== undefined && !CHECKS[type](value[name])) return broken(`${name} is not a ${type}`);
  return { kind: 'known', value: value as T };
}

/** What a JSON text says. The reason never shows any of the text: it may hold a secret. */
export function readJson(text: string): Read<unknown> {
  try {
    return { kind: 'known', value: JSON.parse(text) as unknown };
  } catch {
    return broken('not valid JSON');
  }
}

/** Tells why something cannot be used. */
export function broken(reason: string): { kind: 'broken'; reason: string } {
  return { kind: 'broken', reason };
}
