/*
 * Resolves the `$ref`s of a schema. They must stay inside the schema, must not be circular without descending into the
 * output, and must not multiply: forty definitions that each use the next one twice expand to 2^40 schemas. The copy
 * gets new references with names that we choose.
 */
import { childPointer, isJsonObject, type Problem } from './problem.ts';

type Copy = Record<string, unknown>;

/** A subschema. `copy` is the version that Ajv compiles; a boolean schema is copied unchanged. */
export type SchemaNode = {
  pointer: string;
  copy: unknown;
  inPlace: SchemaNode[];
  below: SchemaNode[];
};

/** A `$ref`: its text, its pointer, and the copy that it is written to. */
export type Reference = { node: SchemaNode; copy: Copy; target: string; pointer: string };

/** Most schemas after every `$ref` is replaced once by its target. */
const MAX_EXPANDED = 100_000;

/**
 * Resolves all references and writes them to the copies.
 * @returns the problems ([] for none), with pointers to the `$ref`, or to the root when the whole schema is too large.
 */
export function checkReferences(
  root: SchemaNode,
  nodes: ReadonlyMap<string, SchemaNode>,
  anchors: ReadonlyMap<string, SchemaNode>,
  references: readonly Reference[],
): Problem[] {
  const problems: Problem[] = [];
  const targets = new Map<SchemaNode, SchemaNode>();
  const names = new Map<SchemaNode, string>();
  for (const reference of references) {
    const found = resolve(reference.target, nodes, anchors);
    if (typeof found === 'string') {
      problems.push({ pointer: reference.pointer, message: found });
      continue;
    }
    targets.set(reference.node, found);
    setReference(reference.copy, found, root, names);
  }
  if (isJsonObject(root.copy) && names.size > 0) {
    root.copy.$defs = Object.fromEntries([...names].map(([target, name]) => [name, target.copy]));
  }
  for (const { node, pointer } of references) {
    if (returnsTo(node, targets)) {
      problems.push({ pointer, message: 'refers back to itself without descending into the output' });
    }
  }
  if (problems.length === 0 && expandedWeight(root, targets, new Map()) > MAX_EXPANDED) {
    const message = `expands to more than ${MAX_EXPANDED} schemas when each $ref is replaced by its target`;
    problems.push({ pointer: '', message });
  }
  return problems;
}

function resolve(
  target: string,
  nodes: ReadonlyMap<string, SchemaNode>,
  anchors: ReadonlyMap<string, SchemaNode>,
): SchemaNode | string {
  if (!target.startsWith('#')) return 'must start with "#": a schema cannot refer to another document';
  const fragment = decode(target.slice(1));
  const isPointer = fragment === '' || fragment.startsWith('/');
  const found = isPointer ? nodes.get(canonical(fragment)) : anchors.get(fragment);
  return found ?? 'does not refer to a schema in this document';
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** The pointer in the form that `childPointer` writes. */
function canonical(pointer: string): string {
  if (pointer === '') return '';
  const tokens = pointer.slice(1).split('/');
  return tokens.reduce(
    (parent, token) => childPointer(parent, token.replaceAll('~1', '/').replaceAll('~0', '~')),
    '',
  );
}

/** Sets the `$ref` of the copy to the target, which gets a name in the `$defs` of the root. */
function setReference(
  copy: Copy,
  target: SchemaNode,
  root: SchemaNode,
  names: Map<SchemaNode, string>,
): void {
  if (target === root) {
    copy.$ref = '#';
    return;
  }
  const name = names.get(target) ?? `r${names.size}`;
  names.set(target, name);
  copy.$ref = `#/$defs/${name}`;
}

/** Whether applying `start` applies `start` to the same value again. */
function returnsTo(start: SchemaNode, targets: ReadonlyMap<SchemaNode, SchemaNode>): boolean {
  const seen = new Set<SchemaNode>();
  const pending = [start];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const target = targets.get(node);
    for (const next of target === undefined ? node.inPlace : [...node.inPlace, target]) {
      if (next === start) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      pending.push(next);
    }
  }
  return false;
}

/** Number of schemas after expansion; a recursive schema counts once where its cycle closes. */
function expandedWeight(
  node: SchemaNode,
  targets: ReadonlyMap<SchemaNode, SchemaNode>,
  known: Map<SchemaNode, number>,
): number {
  const weight = known.get(node);
  if (weight !== undefined) return weight;
  known.set(node, 1);
  let total = 1;
  for (const next of [...node.inPlace, ...node.below]) total += expandedWeight(next, targets, known);
  const target = targets.get(node);
  if (target !== undefined) total += expandedWeight(target, targets, known);
  known.set(node, Math.min(total, MAX_EXPANDED + 1));
  return total;
}
