/*
 * Ajv's keywords that this code replaces, and why: its comparison of JSON values calls the output's own
 * `valueOf` and `constructor` members; its `uniqueItems` takes quadratic time; its `multipleOf` divides in binary
 * (19.99 is no multiple of 0.01); its `unevaluatedProperties` takes `constructor` for a property already seen, and
 * its `unevaluatedItems` counts from `true` where all items were seen.
 */
import { _, type Ajv2020, type CodeKeywordDefinition, type KeywordCxt, Name } from 'ajv/dist/2020.js';
import { elided } from '../state/text/text.ts';
import { isJsonObject } from './problem.ts';

/** Most values of an `enum` spelled out in a message, and the longest value, in UTF-16 units. */
const SHOWN_VALUES = 8;
const SHOWN_LENGTH = 60;

type Test = (data: unknown) => boolean;

/** Puts the replacements into `ajv`. Call it before its first schema is compiled; it is for one schema only. */
export function replaceKeywords(ajv: Ajv2020): void {
  // One list for all tests: Ajv takes quadratic time over the number of values that its code refers to.
  const tests: Test[] = [];
  ajv.removeKeyword('id'); // Throws; in 2020-12 it is a name like any other.
  for (const replacement of [constant, enumeration, unique, multiple]) {
    ajv.removeKeyword(replacement.keyword);
    ajv.addKeyword(define(replacement, tests));
  }
  for (const keyword of ['required', 'dependentRequired']) {
    amendKeyword(ajv, keyword, (cxt, write) => {
      askForEach(cxt);
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
 * Where Ajv stops at the first error, it takes the name of a missing property for whether one is missing: one that is
 * called "" never was. Where it goes on, it asks for each by itself.
 */
function askForEach(cxt: KeywordCxt): void {
  const lists: unknown[] = Array.isArray(cxt.schema) ? [cxt.schema] : Object.values(cxt.schema);
  if (lists.some((names) => Array.isArray(names) && names.includes('')))
    Reflect.set(cxt, 'it', { ...cxt.it, allErrors: true });
}

/** Has `amend` write the code of a keyword of Ajv's own, with `write` for what it would be; in this `ajv` alone. */
export function amendKeyword(
  ajv: Ajv2020,
  keyword: string,
  amend: (cxt: KeywordCxt, write: () => void) => void,
): void {
  const definition = ajv.getKeyword(keyword);
  if (typeof definition !== 'object' || !('code' in definition))
    throw new Error(`Ajv has no ${keyword} of its own`);
  const { code } = definition;
  // Ajv keeps a copy of each definition of its own, in the order in which keywords must be looked at.
  definition.code = (cxt, ruleType) => amend(cxt, () => code(cxt, ruleType));
}

/** A keyword that is one question asked of a value, prepared from what the schema says. */
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

/** `seen` maps each property seen to true, and is asked for names like `constructor`: it must inherit nothing. */
function forgetInherited({ gen, it }: KeywordCxt): void {
  const seen = it.props;
  if (!(seen instanceof Name)) return;
  gen.if(_`${seen} && ${seen} !== true`, () => {
    gen.assign(seen, _`Object.assign(Object.create(null), ${seen})`);
  });
}

/** `seen` is the number of items seen, but true for all of them and undefined where no branch counted. */
function countFromNumber({ gen, it }: KeywordCxt): void {
  const seen = it.items;
  if (seen instanceof Name) gen.assign(seen, _`${seen} === true ? Infinity : ${seen} || 0`);
}

function shown(value: unknown): string {
  return elided(JSON.stringify(value), SHOWN_LENGTH);
}

/** Equality as JSON Schema has it: by value, members in any order. Looks no deeper than `a` goes. */
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

/** In time linear in the items' size: equal values have the same canonical text. */
function hasUniqueItems(items: readonly unknown[]): boolean {
  return new Set(items.map(canonicalText)).size === items.length;
}

function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`).join()}}`;
}

/** Whether `value` is a multiple of `divisor` (> 0) in decimal, as both are written in JSON. */
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
