// Task types: named, versioned defaults that fill what the body of a new task leaves out.

import { isObject } from '../text/forms.ts';
import type { GoldMix } from './gold.ts';

/** One version of a task type. Never changes. */
export interface TaskTypeVersion {
  /** Counted from 1; a name that was retired and registered again goes on counting. */
  number: number;
  /** Members of a task's body. */
  defaults: Record<string, unknown>;
  /** Absent: no gold tasks. */
  gold?: GoldMix;
  created_at: number;
  created_by: string;
}

/** A task type with its newest version. */
export interface TaskType extends TaskTypeVersion {
  name: string;
  org_id: string;
  /** Version of the record, which a retirement increases too. */
  version: number;
  /** Whether the name is free text again. Its versions are kept. */
  retired: boolean;
  /** When the name was registered first, ms. */
  registered_at: number;
}

/** The most versions of a task type. */
export const MAX_VERSIONS = 1000;

/**
 * The body with the defaults of a type. A member of the body replaces the default; where both are objects, so does each
 * of its members, one level deep. Arrays and deeper objects are not merged.
 */
export function withDefaults(
  body: Record<string, unknown>,
  defaults: Record<string, unknown>,
): Record<string, unknown> {
  const filled: Record<string, unknown> = { ...structuredClone(defaults), ...body };
  for (const [name, value] of Object.entries(defaults)) {
    const given = body[name];
    if (isObject(given) && isObject(value)) filled[name] = { ...structuredClone(value), ...given };
  }
  return filled;
}

/** Whether the value at the JSON Pointer is in `filled` and not in the body that was sent. */
export function isDefault(sent: unknown, filled: unknown, pointer: string): boolean {
  const names = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return !hasPath(sent, names) && hasPath(filled, names);
}

function hasPath(value: unknown, [name, ...rest]: string[]): boolean {
  if (name === undefined) return true;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false;
  return hasPath((value as Record<string, unknown>)[name], rest);
}
