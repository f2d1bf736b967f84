// Patterns of request fields with their rules in words, which a client reads instead of a regular expression.

const RULES = new Map<string, string>();

/**
 * The keyword `pattern` of a schema.
 * @param rule completes "the field …" for a value that does not match: "must be …".
 */
export function matching(pattern: string, rule: string): { pattern: string } {
  RULES.set(pattern, rule);
  return { pattern };
}

/** The rule of a pattern; undefined for one that was not made by `matching`. */
export function ruleOf(pattern: string): string | undefined {
  return RULES.get(pattern);
}
