// The titles that a schema gives the members of an output, for pages that show what was handed in. Pure and bounded, as in schema.ts.
// Whether a branch (oneOf, if/then) applies is not checked: a title only names what is there.

import { type AnySchema, isObject, isSchema, type JsonSchema, resolved, schemasIn } from './schema.ts';

/** What a schema says of a value: all schemas that may apply, and the root that their references start from. */
export interface Described {
  readonly root: JsonSchema;
  readonly schemas: readonly AnySchema[];
}

/** Most schemas that are looked at for one value. */
const MAX_PARTS = 64;

/** What the schema says of a member or an item, and its title; null when it has none. */
export function memberOf(
  { root, schemas }: Described,
  name: string | number,
): { title: string | null } & Described {
  const found = partsOf(schemas, root).flatMap((part) => childrenOf(part, name));
  const titles = partsOf(found, root, ['allOf']).map(({ title }) => title);
  const title = titles.find((one) => typeof one === 'string' && one !== '');
  return { root, schemas: found, title: typeof title === 'string' ? title : null };
}

const BRANCHES = ['allOf', 'oneOf', 'anyOf'];

/** The schemas and the branches in them, without references. */
function partsOf(
  schemas: readonly AnySchema[],
  root: JsonSchema,
  branches: readonly string[] = BRANCHES,
): JsonSchema[] {
  const open = [...schemas];
  const parts: JsonSchema[] = [];
  for (let next = open.shift(); next !== undefined && parts.length < MAX_PARTS; next = open.shift()) {
    const part = resolved(next, root);
    parts.push(part);
    for (const name of branches) {
      const listed = part[name];
      if (Array.isArray(listed)) open.push(...listed.slice(0, MAX_PARTS).filter(isSchema));
    }
    if (branches === BRANCHES)
      open.push(
        ...[part.then, part.else].filter(isSchema),
        ...Object.values(schemasIn(part.dependentSchemas)),
      );
  }
  return parts;
}

function childrenOf(part: JsonSchema, name: string | number): AnySchema[] {
  if (typeof name === 'number') {
    const fixed = Array.isArray(part.prefixItems) ? part.prefixItems[name] : undefined;
    return [fixed ?? part.items].filter(isSchema);
  }
  const { properties, additionalProperties } = part;
  if (isObject(properties) && Object.hasOwn(properties, name)) return [properties[name]].filter(isSchema);
  return [additionalProperties].filter(isSchema);
}
