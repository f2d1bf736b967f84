/*
 * Works around a fault of Ajv: it counts members as evaluated by an `if` that does not match, and not by one without
 * `then`, so `unevaluatedProperties` and `unevaluatedItems` give wrong results. The same condition written with `anyOf`
 * and `not` gives right ones but worse messages, so it is rewritten only in schemas that use one of these keywords.
 */
import { isJsonObject } from './problem.ts';

type Copy = Record<string, unknown>;

/**
 * Rewrites the `if` of each of `copies`: "if A then B else C" becomes "(A and B) or (not A and C)". A is moved to `$defs`
 * and referenced, so that nested conditions do not double the size each time.
 * @param copies parts of the copied schema (see inspect.ts). @param root the copied schema.
 */
export function expandIfThenElse(copies: readonly Copy[], root: Copy): void {
  const definitions: Copy = isJsonObject(root.$defs) ? root.$defs : {};
  for (const [number, copy] of copies.entries()) {
    const { if: condition, then: consequence = true, else: alternative = true } = copy;
    const name = `if${number}`;
    definitions[name] = condition;
    const holds = { $ref: `#/$defs/${name}` };
    const branches = [{ allOf: [holds, consequence] }, { allOf: [{ not: holds }, alternative] }];
    copy.allOf = [...(Array.isArray(copy.allOf) ? copy.allOf : []), { anyOf: branches }];
    for (const keyword of ['if', 'then', 'else']) delete copy[keyword];
  }
  if (copies.length > 0) root.$defs = definitions;
}
