/*
 * Replaces or corrects keywords of Ajv. Its comparison of JSON values calls `valueOf` and `constructor` members of the
 * output; its `uniqueItems` takes quadratic time; its `multipleOf` divides in binary (19.99 is not a multiple of 0.01);
 * its `unevaluatedProperties` treats `constructor` as an evaluated property; and its `unevaluatedItems` uses `true` as a
 * number when all items are evaluated.
 */
import { _, type Ajv2020, type CodeKeywordDefinition, type KeywordCxt, Name } from 'ajv/dist/2020.js';
import { elided } from '../state/text/text.ts';
import { isJsonObject } from './problem.ts';

/** Most values of an `enum` in a message, and the length of a value, UTF-16 units. */
const SHOWN_VALUES = 8;
const SHOWN_LENGTH = 60;

type Test = (data: unknown) => boolean;

/** Installs the replacements in `ajv`, which may compile only one schema afterwards. */
export function replaceKeywords(ajv: Ajv2020): void {
  // One list for all tests, because Ajv takes quadratic time in the number of values that its code references.
  const tests: Test[] = [];
  ajv.removeKeyword('id'); // Ajv throws for it, but in 2020-12 it is an ordinary name.
  for (const replacement of [constant, enumeration, unique, multiple]) {
    ajv.removeKeyword(replacement.keyword);
    ajv.addKeyword(define(replacement, tests));
  }
  for (const keyword of ['required', 'dependentRequired']) {
    amendKeyword(ajv, keyword, (cxt, write) => {
      checkEachName(cxt);
      write();
    });
  }
  amendKeyword(ajv, 'unevaluatedItems', (cxt, write) => {
    countFromNumber(cxt);
    write();
  });
  amendKeyword(ajv, 'unevaluatedProperties', (cxt, write) => {
    forgetInherited(cxt);
    write();
  });
}

/**
 * When Ajv stops at the first error, it uses the name of the missing property as a flag, so a missing property called ""
 * goes unnoticed. When it collects all errors, it checks each property separately, so that mode is used for such names.
 */
function checkEachName(cxt: KeywordCxt): void {
  const lists: unknown[] = Array.isArray(cxt.schema) ? [cxt.schema] : Object.values(cxt.schema);
  if (lists.some((names) => Array.isArray(names) && names.includes('')))
    Reflect.set(cxt, 'it', { ...cxt.it, allErrors: true });
}

/**
 * Wraps the code generation of one of Ajv's keywords, in this `ajv` only.
 * @param amend called instead; it calls `write` to generate the original code. @throws Error for an unknown keyword.
 */
export function amendKeyword(
  ajv: Ajv2020,
  keyword: string,
  amend: (cxt: KeywordCxt, write: () => void) => void,
): void {
  const definition = ajv.getKeyword(keyword);
  if (typeof definition !== 'object' || !('code' in definition))
    throw new Error(`Ajv does not define ${keyword}`);
  const { code } = definition;
  // Each Ajv has its own copy of the definition. Replacing the keyword would change the order of evaluation.
  definition.code = (cxt, ruleType) => amend(cxt, () => code(cxt, ruleType));
}

/** A keyword implemented as one test of a value, prepared from the keyword's value in the schema. */
type Replacement = {
  keyword: string;
  type?: 'array' | 'number';
  test: (schema: unknown) => Test;
  message: (schema: unknown) => string;
};

function define({ keyword, type, test, message }: Replacement, tests: Test[]): CodeKeywordDefinition {
  return {
    keyword,
    ...(type === undefined ? {} : { type }),
    error: { message: ({ schema }) => message(schema) },
    code(cxt) {
      const number = tests.push(test(cxt.schema)) - 1;
      cxt.fail(_`!${cxt.gen.scopeValue('func', { ref: tests })}[${number}](${cxt.data})`);
    },
  };
}

const constant: Replacement = {
  keyword: 'const',
  test: (value) => (data) => isSameJson(value, data),
  message: (value) => `must be ${shown(value)}`,
};

const enumeration: Replacement = {
  keyword: 'enum',
  test: (values) => {
    const list: unknown[] = Array.isArray(values) ? values : [];
    const scalars = new Set(list.filter((value) => typeof value !== 'object' || value === null));
    const others = list.filter((value) => typeof value === 'object' && value !== null);
    return (data) => scalars.has(data) || others.some((value) => isSameJson(value, data));
  },
  message: (values) => {
    const list: unknown[] = Array.isArray(values) ? values : [];
    return `must be one of ${list.slice(0, SHOWN_VALUES).map(shown).join(', ')}${list.length > SHOWN_VALUES ? ', …' : ''}`;
  },
};

const unique: Replacement = {
  keyword: 'uniqueItems',
  type: 'array',
  test: (isAsked) => (data) => isAsked !== true || !Array.isArray(data) || hasUniqueItems(data),
  message: () => 'must not have two equal items',
};

const multiple: Replacement = {
  keyword: 'multipleOf',
  type: 'number',
  test: (divisor) => (data) =>
    typeof data !== 'number' || typeof divisor !== 'number' || isMultiple(data, divisor),
  message: (divisor) => `must be a multiple of ${divisor}`,
};

/**
 * `seen` is an object with a member for each evaluated property. Names such as `constructor` are looked up in it, so it must
 * inherit nothing.
 */
function forgetInherited({ gen, it }: KeywordCxt): void {
  const seen = it.props;
  if (!(seen instanceof Name)) return;
  gen.if(_`${seen} && ${seen} !== true`, () => {
    gen.assign(seen, _`Object.assign(Object.create(null), ${seen})`);
  });
}

/**
 * `seen` is the number of evaluated items; Ajv also sets it to true for all items, and leaves it undefined when no branch
 * counted.
 */
function countFromNumber({ gen, it }: KeywordCxt): void {
  const seen = it.items;
  if (seen instanceof Name) gen.assign(seen, _`${seen} === true ? Infinity : ${seen} || 0`);
}

function shown(value: unknown): string {
  return elided(JSON.stringify(value), SHOWN_LENGTH);
}

/** Equality of JSON Schema: by value, members in any order. Recurses no deeper than `a`. */
function isSameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSameJson(item, b[index]));
  }
  if (!isJsonObject(a)) return a === b;
  if (!isJsonObject(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && isSameJson(a[name], b[name]));
}

/** Linear in the size of the items: equal values have the same canonical text. */
function hasUniqueItems(items: readonly unknown[]): boolean {
  return new Set(items.map(canonicalText)).size === items.length;
}

function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`).join()}}`;
}

/** Whether `value` is a multiple of `divisor` (> 0), computed in decimal. */
function isMultiple(value: number, divisor: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0;
  const [digits, exponent] = decimal(value);
  const [unit, unitExponent] = decimal(divisor);
  const shift = exponent - unitExponent;
  const scale = 10n ** BigInt(Math.abs(shift));
  return shift >= 0 ? (digits * scale) % unit === 0n : digits % (unit * scale) === 0n;
}

/** A finite number as digits × 10 ** exponent. */
function decimal(value: number): [digits: bigint, exponent: number] {
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return [BigInt(whole + fraction), Number(exponent) - fraction.length];
}
