/*
 * Reads a stranger's JSON Schema keyword by keyword, says what is refused in it, and makes the copy that Ajv gets
 * to see. The copy holds only keywords this file knows, in the places where 2020-12 knows them; `$id`, `$schema`
 * and the stranger's own names for things (`$defs`, anchors) are gone, and every `$ref` goes where we say.
 * So nothing that a schema says can reach another schema, and what we do not understand stays an annotation.
 */
import { spellOutConditions } from './conditions.ts';
import { compilePattern, type Pattern } from './patterns.ts';
import { childPointer, isJsonObject, type Problem } from './problem.ts';
import { checkReferences, type Reference, type SchemaNode } from './references.ts';
import { PatternError } from './regex-syntax.ts';

/** Most schemas within one schema (each property, item and branch is one), and most different patterns. */
const MAX_SUBSCHEMAS = 1_500;
const MAX_PATTERNS = 100;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** How a keyword holds schemas, and whether they look at the same value (in place), below it, or are not applied. */
type Role = { holds: 'schema' | 'list' | 'map'; applies: 'in place' | 'below' | 'never' };

const inPlace = (holds: Role['holds']): Role => ({ holds, applies: 'in place' });
const below = (holds: Role['holds']): Role => ({ holds, applies: 'below' });
const never = (holds: Role['holds']): Role => ({ holds, applies: 'never' });

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

/** Keywords that would mean something to the engine or to the reader, but not what 2020-12 lets us promise. */
const REFUSED = new Map([
  ['$async', 'is not supported: an output is checked at once'],
  ['$data', 'is not supported: a limit is a constant'],
  ['$dynamicRef', 'is not supported: use $ref'],
  ['$dynamicAnchor', 'is not supported: use $anchor'],
  ['$recursiveRef', 'is not supported: use $ref'],
  ['$recursiveAnchor', 'is not supported: use $anchor'],
  ['$vocabulary', 'is not supported: only the standard vocabularies are'],
  ['nullable', 'is not a keyword of JSON Schema 2020-12: use "type" with "null" in a list'],
  ['dependencies', 'is not a keyword of JSON Schema 2020-12: use dependentRequired or dependentSchemas'],
  ['additionalItems', 'is not a keyword of JSON Schema 2020-12: use prefixItems with items'],
]);

/** What was found, the copy, and its patterns by source: compiled, or what is wrong with them. */
export type Inspected = {
  problems: Problem[];
  copy: unknown;
  patterns: ReadonlyMap<string, Pattern | string>;
};

class TooLarge extends Error {}

/**
 * What is refused in `schema` ([] if nothing), with pointers into it, and the copy to compile. Malformed keywords
 * are not reported, that is the meta-schema's part; the copy is of use only if neither has found anything.
 * `schema` is JSON, not nested so deep that recursion could fail (the caller has checked).
 */
export function inspectSchema(schema: unknown): Inspected {
  const inspection = new Inspection();
  try {
    const root = inspection.visit(schema, '');
    inspection.refuseCombinations();
    inspection.problems.push(
      ...checkReferences(root, inspection.nodes, inspection.anchors, inspection.references),
    );
    if (isJsonObject(root.copy) && inspection.usesUnevaluated()) {
      spellOutConditions(inspection.conditions, root.copy);
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
  /** By source: the compiled pattern, or what is wrong with it. */
  readonly patterns = new Map<string, Pattern | string>();
  #namesProto: string | null = null;
  /** By keyword that holds schemas: where it was last seen. */
  readonly #lastUse = new Map<string, string>();

  visit(schema: unknown, pointer: string): SchemaNode {
    const node: SchemaNode = { pointer, copy: schema, inPlace: [], below: [] };
    this.nodes.set(pointer, node);
    if (this.nodes.size > MAX_SUBSCHEMAS) throw new TooLarge(`holds more than ${MAX_SUBSCHEMAS} schemas`);
    if (!isJsonObject(schema)) return node;
    const copy: Record<string, unknown> = {};
    node.copy = copy;
    for (const keyword of Object.keys(schema)) {
      const at = childPointer(pointer, keyword);
      const role = APPLICATORS.get(keyword);
      if (role !== undefined) this.#applicator(node, copy, keyword, role, schema[keyword], at);
      else if (ASSERTIONS.has(keyword)) this.#assertion(copy, keyword, schema[keyword], at);
      else this.#identifier(node, copy, keyword, schema[keyword], at);
    }
    if (Object.hasOwn(copy, 'if')) this.conditions.push(copy);
    return node;
  }

  /** Pairs of keywords, anywhere in the schema, of which Ajv makes something else than 2020-12 says. */
  refuseCombinations(): void {
    const properties = this.#lastUse.get('unevaluatedProperties');
    const items = this.#lastUse.get('unevaluatedItems');
    if (properties !== undefined && this.#namesProto !== null) {
      this.#refuse(properties, 'is not supported in a schema that has a property called __proto__');
    }
    if (items !== undefined && this.#lastUse.has('contains')) {
      this.#refuse(items, 'is not supported in a schema that uses contains');
    }
  }

  usesUnevaluated(): boolean {
    return this.#lastUse.has('unevaluatedProperties') || this.#lastUse.has('unevaluatedItems');
  }

  #refuse(pointer: string, message: string): void {
    this.problems.push({ pointer, message });
  }

  #applicator(node: SchemaNode, copy: Copy, keyword: string, role: Role, value: unknown, at: string): void {
    this.#lastUse.set(keyword, at);
    const children = this.#children(role.holds, value, at, (name) => {
      if (keyword === 'patternProperties') this.#pattern(name, childPointer(at, name));
    });
    if (children === null) return; // Malformed: the meta-schema will say so.
    if (role.applies === 'in place') node.inPlace.push(...children.map(([, child]) => child));
    if (role.applies === 'below') node.below.push(...children.map(([, child]) => child));
    if (role.applies === 'never') return; // What is referred to gets into the copy by the reference.
    if (role.holds === 'list') copy[keyword] = children.map(([, child]) => child.copy);
    else if (role.holds === 'schema') copy[keyword] = children[0]?.[1].copy;
    else this.#copyMap(copy, keyword, children, at);
  }

  #children(
    holds: Role['holds'],
    value: unknown,
    at: string,
    onName: (name: string) => void,
  ): [string, SchemaNode][] | null {
    if (holds === 'schema') return [['', this.visit(value, at)]];
    if (holds === 'list') {
      if (!Array.isArray(value)) return null;
      return value.map((item: unknown, index) => [String(index), this.visit(item, childPointer(at, index))]);
    }
    if (!isJsonObject(value)) return null;
    return Object.keys(value).map((name) => {
      onName(name);
      return [name, this.visit(value[name], childPointer(at, name))];
    });
  }

  /** Ajv skips a property called `__proto__`; said another way, it is checked like any other. */
  #copyMap(copy: Copy, keyword: string, children: [string, SchemaNode][], at: string): void {
    const map = memberOf(copy, keyword);
    for (const [name, child] of children) {
      if (name !== '__proto__') {
        map[name] = child.copy;
      } else if (keyword === 'properties') {
        this.#namesProto = childPointer(at, name);
        memberOf(copy, 'patternProperties')[PROTO_PATTERN] = child.copy;
      } else if (keyword === 'dependentSchemas') {
        addBranch(copy, { anyOf: [WITHOUT_PROTO, child.copy] });
      } else {
        map[PROTO_INSIDE] = child.copy;
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
      this.#refuse(at, `must be a constant: $data ${REFUSED.get('$data')}`);
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
        throw new TooLarge(`holds more than ${MAX_PATTERNS} different patterns`);
      compiled = compiledOrFault(source);
      this.patterns.set(source, compiled);
    }
    if (typeof compiled === 'string') this.#refuse(at, compiled);
  }

  #identifier(node: SchemaNode, copy: Copy, keyword: string, value: unknown, at: string): void {
    const refusal = REFUSED.get(keyword);
    if (refusal !== undefined) {
      this.#refuse(at, refusal);
    } else if (keyword === '$schema') {
      const isKnown = typeof value === 'string' && value.replace(/#$/, '') === DIALECT;
      if (!isKnown) this.#refuse(at, `is not ${DIALECT}, the one dialect that is understood`);
    } else if (keyword === '$id') {
      if (node.pointer !== '')
        this.#refuse(at, 'is not supported below the root: refer to "#/…" or to an $anchor');
      else if (typeof value !== 'string') this.#refuse(at, 'must be string');
    } else if (keyword === '$anchor' && typeof value === 'string') {
      if (this.anchors.has(value)) this.#refuse(at, 'is used for another schema too');
      this.anchors.set(value, node);
    } else if (keyword === '$ref' && typeof value === 'string') {
      this.references.push({ node, copy, target: value, pointer: at });
    }
  }
}

type Copy = Record<string, unknown>;

/** The patterns `^__proto__$` and `__proto__`, in a spelling that strangers are not given. */
const PROTO_PATTERN = '^(?:__proto__){1}$';
const PROTO_INSIDE = '(?:__proto__){1}';
const WITHOUT_PROTO = { not: { required: ['__proto__'] } };

/** The object under `keyword`, made if there is none yet. */
function memberOf(copy: Copy, keyword: string): Copy {
  const there = copy[keyword];
  if (isJsonObject(there)) return there;
  const made: Copy = {};
  copy[keyword] = made;
  return made;
}

function addBranch(copy: Copy, branch: unknown): void {
  const branches = copy.allOf;
  copy.allOf = [...(Array.isArray(branches) ? branches : []), branch];
}

function compiledOrFault(source: string): Pattern | string {
  if (source === PROTO_PATTERN || source === PROTO_INSIDE)
    return 'is kept for inner use: spell it another way';
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}
