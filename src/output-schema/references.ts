/*
 * Follows the `$ref`s of one schema. They must stay inside it, must not go round without going down into the
 * output, and must not multiply: forty lines of schema in which each definition uses the next one twice ask for
 * more work than there is time. Once checked, each refers to a place of our choosing in the copy.
 */
import { childPointer, isJsonObject, type Problem } from './problem.ts';

type Copy = Record<string, unknown>;

/** One schema within the schema. `copy` is what Ajv gets; a schema that is no object is copied as it is. */
export type SchemaNode = {
  pointer: string;
  copy: unknown;
  inPlace: SchemaNode[];
  below: SchemaNode[];
};

/** A `$ref`: its text, where it stands, and the copy that is to carry it. */
export type Reference = { node: SchemaNode; copy: Copy; target: string; pointer: string };

/** Schemas to apply if every `$ref` were replaced by what it refers to, once. */
const MAX_EXPANDED = 100_000;

/**
 * Ties every reference to its target in the copies, and says which ones cannot be ([] if all could).
 * Problems point at the `$ref`, or at the root where the whole is too heavy.
 */
export function checkReferences(
  root: SchemaNode,
  nodes: ReadonlyMap<string, SchemaNode>,
  anchors: ReadonlyMap<string, SchemaNode>,
  references: readonly Reference[],
): Problem[] {
  const problems: Problem[] = [];
  const targets = new Map<SchemaNode, SchemaNode>();
  const shelf = new Map<SchemaNode, string>();
  for (const reference of references) {
    const found = resolve(reference.target, nodes, anchors);
    if (typeof found === 'string') {
      problems.push({ pointer: reference.pointer, message: found });
      continue;
    }
    targets.set(reference.node, found);
    tie(reference.copy, found, root, shelf);
  }
  if (isJsonObject(root.copy) && shelf.size > 0) {
    root.copy.$defs = Object.fromEntries([...shelf].map(([target, name]) => [name, target.copy]));
  }
  for (const { node, pointer } of references) {
    if (returnsTo(node, targets)) {
      problems.push({ pointer, message: 'refers back to itself without going down into the output' });
    }
  }
  if (problems.length === 0 && expandedWeight(root, targets, new Map()) > MAX_EXPANDED) {
    const message = `stands for more than ${MAX_EXPANDED} schemas once each $ref is replaced by what it refers to`;
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
  return found ?? 'refers to nothing in this schema (or to a place where there can be no schema)';
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** The pointer as `childPointer` would have written it. */
function canonical(pointer: string): string {
  if (pointer === '') return '';
  const tokens = pointer.slice(1).split('/');
  return tokens.reduce(
    (parent, token) => childPointer(parent, token.replaceAll('~1', '/').replaceAll('~0', '~')),
    '',
  );
}

/** Puts the target on the copy's own shelf, under a name of ours, and refers to it there. */
function tie(copy: Copy, target: SchemaNode, root: SchemaNode, shelf: Map<SchemaNode, string>): void {
  if (target === root) {
    copy.$ref = '#';
    return;
  }
  const name = shelf.get(target) ?? `r${shelf.size}`;
  shelf.set(target, name);
  copy.$ref = `#/$defs/${name}`;
}

/** True if applying `start` would apply `start` again to the same value. */
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

/** 1 for each schema that would be applied, a recursive one counted once where it closes its circle. */
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
