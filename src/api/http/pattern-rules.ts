// Describes the patterns of request fields in words. Error messages show these words in place of the regular expression.

const RULES = new Map<string, string>();

/**
 * The keyword `pattern` of a schema.
 * @param rule completes "the field …" for a value that does not match: "must be …".
 */
export function patternWithRule(pattern: string, rule: string): { pattern: string } {
  RULES.set(pattern, rule);
  return { pattern };
}

/** The rule of a pattern; undefined for one that was not made by `patternWithRule`. */
export function ruleOf(pattern: string): string | undefined {
  return RULES.get(pattern);
}
