/*
 * Ajv counts what an `if` has looked at as evaluated even where the `if` does not hold, or forgets it where there is
 * no `then`, so that `unevaluatedProperties` and `unevaluatedItems` judge wrongly. Said with `anyOf` and `not`, the
 * same condition is judged rightly. Its messages are worse, so this is done only where one of the two is used.
 */
import { isJsonObject } from './problem.ts';

type Copy = Record<string, unknown>;

/**
 * Rewrites the `if` of each of `copies` (parts of the copy under `root`, see inspect.ts): if A then B else C becomes
 * (A and B) or (not A and C). A is put aside and referred to, so that nested conditions do not double each time.
 */
export function spellOutConditions(copies: readonly Copy[], root: Copy): void {
  const shelf: Copy = isJsonObject(root.$defs) ? root.$defs : {};
  for (const [number, copy] of copies.entries()) {
    const { if: condition, then: consequence = true, else: alternative = true } = copy;
    const name = `if${number}`;
    shelf[name] = condition;
    const holds = { $ref: `#/$defs/${name}` };
    const branches = [{ allOf: [holds, consequence] }, { allOf: [{ not: holds }, alternative] }];
    copy.allOf = [...(Array.isArray(copy.allOf) ? copy.allOf : []), { anyOf: branches }];
    for (const keyword of ['if', 'then', 'else']) delete copy[keyword];
  }
  if (copies.length > 0) root.$defs = shelf;
}
