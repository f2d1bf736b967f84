// JSON Pointer (RFC 6901).

/** A pointer: each reference token after a slash, `~` escaped as `~0` and `/` as `~1`. */
export const POINTER = '^(/([^~/]|~[01])*)*$';

/** The part of a JSON value that the pointer names; undefined when there is none. */
export function pointed(value: unknown, pointer: string): unknown {
  let part = value;
  for (const token of pointer.split('/').slice(1)) {
    const name = unescaped(token);
    // An array has its indexes as own names, but `length` is not one of its members.
    if (typeof part !== 'object' || part === null || (Array.isArray(part) && !/^(0|[1-9]\d*)$/.test(name)))
      return undefined;
    part = Object.hasOwn(part, name) ? (part as Record<string, unknown>)[name] : undefined;
  }
  return part;
}

/** The first name of the pointer, unescaped; null when it names the whole value. */
export function firstToken(pointer: string): string | null {
  const [, token] = pointer.split('/');
  return token === undefined ? null : unescaped(token);
}

function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}
