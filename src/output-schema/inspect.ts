/*
 * Reads an untrusted JSON Schema keyword by keyword, reports what is refused, and makes the copy that Ajv compiles. The
 * copy has only the keywords listed here, at the places that draft 2020-12 allows. `$id`, `$schema`, `$defs` and anchors are
 * removed, and each `$ref` is replaced by one that we choose. So a schema cannot refer to another one, and unknown keywords
 * remain annotations.
 */
import { expandIfThenElse } from './conditions.ts';
import { compilePattern, type Pattern } from './patterns.ts';
import { childPointer, isJsonObject, type Problem } from './problem.ts';
import { checkReferences, type Reference, type SchemaNode } from './references.ts';
import { PatternError } from './regex-syntax.ts';

/** Most subschemas (each property, item and branch is one), and most different patterns. */
const MAX_SUBSCHEMAS = 1_500;
const MAX_PATTERNS = 100;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** How a keyword contains schemas, and what they apply to: the same value, its members, or nothing. */
type Role = { contains: 'schema' | 'list' | 'map'; appliesTo: 'value' | 'members' | 'nothing' };

const inPlace = (contains: Role['contains']): Role => ({ contains, appliesTo: 'value' });
const below = (contains: Role['contains']): Role => ({ contains, appliesTo: 'members' });
const never = (contains: Role['contains']): Role => ({ contains, appliesTo: 'nothing' });

const APPLICATORS = new Map<string, Role>([
  ['allOf', inPlace('list')],
  ['anyOf', inPlace('list')],
  ['oneOf', inPlace('list')],
  ['not', inPlace('schema')],
  ['if', inPlace('schema')],
  ['then', inPlace('schema')],
  ['else', inPlace('schema')],
  ['dependentSchemas', inPlace('map')],
  ['properties', below('map')],
  ['patternProperties', below('map')],
  ['additionalProperties', below('schema')],
  ['unevaluatedProperties', below('schema')],
  ['propertyNames', below('schema')],
  ['prefixItems', below('list')],
  ['items', below('schema')],
  ['unevaluatedItems', below('schema')],
  ['contains', below('schema')],
  ['$defs', never('map')],
  ['definitions', never('map')],
  ['contentSchema', never('schema')],
]);

const ASSERTIONS = new Set(
  (
    'type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern ' +
    'maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired format'
  ).split(' '),
);

/** Keywords that mean something else to Ajv or the author than in 2020-12, or that are not supported. */
const REFUSED = new Map([
  ['$async', 'is not supported: outputs are checked synchronously'],
  ['$data', 'is not supported: limits must be constants'],
  ['$dynamicRef', 'is not supported: use $ref'],
  ['$dynamicAnchor', 'is not supported: use $anchor'],
  ['$recursiveRef', 'is not supported: use $ref'],
  ['$recursiveAnchor', 'is not supported: use $anchor'],
  ['$vocabulary', 'is not supported: only the standard vocabularies are available'],
  ['nullable', 'is not a keyword of JSON Schema 2020-12: use "type" with "null" in a list'],
  ['dependencies', 'is not a keyword of JSON Schema 2020-12: use dependentRequired or dependentSchemas'],
  ['additionalItems', 'is not a keyword of JSON Schema 2020-12: use prefixItems with items'],
]);

/** The problems, the copy, and its patterns by source: compiled, or the fault. */
export type InspectionResult = {
  problems: Problem[];
  copy: unknown;
  patterns: ReadonlyMap<string, Pattern | string>;
};

class TooLarge extends Error {}

/**
 * Inspects a schema. Malformed keywords are not reported, because the meta-schema does that.
 * @param schema JSON, whose depth the caller has limited, so that recursion cannot fail.
 * @returns the problems ([] for none), with pointers into the schema, and the copy to compile, which is valid only if
 *   neither this function nor the meta-schema finds a problem.
 */
export function inspectSchema(schema: unknown): InspectionResult {
  const inspection = new Inspection();
  try {
    const root = inspection.visit(schema, '');
    inspection.refuseCombinations();
    inspection.problems.push(
      ...checkReferences(root, inspection.nodes, inspection.anchors, inspection.references),
    );
    if (isJsonObject(root.copy) && inspection.usesUnevaluated()) {
      expandIfThenElse(inspection.conditions, root.copy);
    }
    return { problems: inspection.problems, copy: root.copy, patterns: inspection.patterns };
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    return {
      problems: [...inspection.problems, { pointer: '', message: error.message }],
      copy: {},
      patterns: new Map(),
    };
  }
}

class Inspection {
  readonly problems: Problem[] = [];
  readonly nodes = new Map<string, SchemaNode>();
  readonly anchors = new Map<string, SchemaNode>();
  readonly references: Reference[] = [];
  readonly conditions: Copy[] = [];
  /** By source: the compiled pattern, or its fault. */
  readonly patterns = new Map<string, Pattern | string>();
  #protoPropertyAt: string | null = null;
  /** Pointer of the last use of each keyword that contains schemas. */
  readonly #lastUse = new Map<string, string>();

  visit(schema: unknown, pointer: string): SchemaNode {
    const node: SchemaNode = { pointer, copy: schema, inPlace: [], below: [] };
    this.nodes.set(pointer, node);
    if (this.nodes.size > MAX_SUBSCHEMAS) throw new TooLarge(`contains more than ${MAX_SUBSCHEMAS} schemas`);
    if (!isJsonObject(schema)) return node;
    const copy: Record<string, unknown> = {};
    node.copy = copy;
    for (const keyword of Object.keys(schema)) {
      const at = childPointer(pointer, keyword);
      const role = APPLICATORS.get(keyword);
      if (role !== undefined) this.#applicator(node, copy, keyword, role, schema[keyword], at);
      else if (ASSERTIONS.has(keyword)) this.#assertion(copy, keyword, schema[keyword], at);
      else this.#otherKeyword(node, copy, keyword, schema[keyword], at);
    }
    if (Object.hasOwn(copy, 'if')) this.conditions.push(copy);
    return node;
  }

  /** Refuses pairs of keywords for which Ajv's result differs from 2020-12. */
  refuseCombinations(): void {
    const properties = this.#lastUse.get('unevaluatedProperties');
    const items = this.#lastUse.get('unevaluatedItems');
    if (properties !== undefined && this.#protoPropertyAt !== null) {
      this.#report(properties, 'is not supported in a schema that has a property called __proto__');
    }
    if (items !== undefined && this.#lastUse.has('contains')) {
      this.#report(items, 'is not supported in a schema that uses contains');
    }
  }

  usesUnevaluated(): boolean {
    return this.#lastUse.has('unevaluatedProperties') || this.#lastUse.has('unevaluatedItems');
  }

  #report(pointer: string, message: string): void {
    this.problems.push({ pointer, message });
  }

  #applicator(node: SchemaNode, copy: Copy, keyword: string, role: Role, value: unknown, at: string): void {
    this.#lastUse.set(keyword, at);
    const children = this.#children(role.contains, value, at, (name) => {
      if (keyword === 'patternProperties') this.#pattern(name, childPointer(at, name));
    });
    if (children === null) return; // Malformed; the meta-schema reports it.
    if (role.appliesTo === 'value') node.inPlace.push(...children.map(([, child]) => child));
    if (role.appliesTo === 'members') node.below.push(...children.map(([, child]) => child));
    if (role.appliesTo === 'nothing') return; // A referenced schema is copied through its reference.
    if (role.contains === 'list') copy[keyword] = children.map(([, child]) => child.copy);
    else if (role.contains === 'schema') copy[keyword] = children[0]?.[1].copy;
    else this.#copyMap(copy, keyword, children, at);
  }

  #children(
    contains: Role['contains'],
    value: unknown,
    at: string,
    onName: (name: string) => void,
  ): [string, SchemaNode][] | null {
    if (contains === 'schema') return [['', this.visit(value, at)]];
    if (contains === 'list') {
      if (!Array.isArray(value)) return null;
      return value.map((item: unknown, index) => [String(index), this.visit(item, childPointer(at, index))]);
    }
    if (!isJsonObject(value)) return null;
    return Object.keys(value).map((name) => {
      onName(name);
      return [name, this.visit(value[name], childPointer(at, name))];
    });
  }

  /** Ajv ignores a property called `__proto__`, so it is expressed with other keywords. */
  #copyMap(copy: Copy, keyword: string, children: [string, SchemaNode][], at: string): void {
    const map = getOrCreateObject(copy, keyword);
    for (const [name, child] of children) {
      if (name !== '__proto__') {
        map[name] = child.copy;
      } else if (keyword === 'properties') {
        this.#protoPropertyAt = childPointer(at, name);
        getOrCreateObject(copy, 'patternProperties')[PROTO_PATTERN] = child.copy;
      } else if (keyword === 'dependentSchemas') {
        addBranch(copy, { anyOf: [WITHOUT_PROTO, child.copy] });
      } else {
        map[CONTAINS_PROTO] = child.copy;
      }
    }
  }

  #assertion(copy: Copy, keyword: string, value: unknown, at: string): void {
    if (
      isJsonObject(value) &&
      Object.hasOwn(value, '$data') &&
      keyword !== 'const' &&
      keyword !== 'dependentRequired'
    ) {
      this.#report(at, `must be a constant: $data ${REFUSED.get('$data')}`);
    }
    if (keyword === 'pattern' && typeof value === 'string') this.#pattern(value, at);
    if (keyword === 'dependentRequired' && isJsonObject(value) && Object.hasOwn(value, '__proto__')) {
      const { ['__proto__']: required, ...others } = value;
      addBranch(copy, { anyOf: [WITHOUT_PROTO, { required }] });
      copy[keyword] = others;
      return;
    }
    copy[keyword] = value;
  }

  #pattern(source: string, at: string): void {
    let compiled = this.patterns.get(source);
    if (compiled === undefined) {
      if (this.patterns.size === MAX_PATTERNS)
        throw new TooLarge(`contains more than ${MAX_PATTERNS} different patterns`);
      compiled = compiledOrFault(source);
      this.patterns.set(source, compiled);
    }
    if (typeof compiled === 'string') this.#report(at, compiled);
  }

  #otherKeyword(node: SchemaNode, copy: Copy, keyword: string, value: unknown, at: string): void {
    const refusal = REFUSED.get(keyword);
    if (refusal !== undefined) {
      this.#report(at, refusal);
    } else if (keyword === '$schema') {
      const isKnown = typeof value === 'string' && value.replace(/#$/, '') === DIALECT;
      if (!isKnown) this.#report(at, `is not ${DIALECT}, the only supported dialect`);
    } else if (keyword === '$id') {
      if (node.pointer !== '')
        this.#report(at, 'is not supported below the root: refer to "#/…" or to an $anchor');
      else if (typeof value !== 'string') this.#report(at, 'must be string');
    } else if (keyword === '$anchor' && typeof value === 'string') {
      if (this.anchors.has(value)) this.#report(at, 'is also used for another schema');
      this.anchors.set(value, node);
    } else if (keyword === '$ref' && typeof value === 'string') {
      this.references.push({ node, copy, target: value, pointer: at });
    }
  }
}

type Copy = Record<string, unknown>;

/** The patterns `^__proto__$` and `__proto__`, in a spelling that schemas may not use. */
const PROTO_PATTERN = '^(?:__proto__){1}$';
const CONTAINS_PROTO = '(?:__proto__){1}';
const WITHOUT_PROTO = { not: { required: ['__proto__'] } };

/** The object at `keyword`; created if there is none. */
function getOrCreateObject(copy: Copy, keyword: string): Copy {
  const existing = copy[keyword];
  if (isJsonObject(existing)) return existing;
  const created: Copy = {};
  copy[keyword] = created;
  return created;
}

function addBranch(copy: Copy, branch: unknown): void {
  const branches = copy.allOf;
  copy.allOf = [...(Array.isArray(branches) ? branches : []), branch];
}

function compiledOrFault(source: string): Pattern | string {
  if (source === PROTO_PATTERN || source === CONTAINS_PROTO)
    return 'is reserved for internal use: write it differently';
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}
