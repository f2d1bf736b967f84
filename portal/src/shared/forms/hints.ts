// What is wrong with an answer, found in the browser while a person fills in the form. Only hints: the server decides.

import type { forms } from '../i18n/en/forms.ts';
import type { Format } from '../i18n/format.ts';
import { validatorOf } from './applicable.ts';
import { textOf } from './fields.ts';
import type { JsonSchema } from './schema.ts';
import { childPointer, located, valueAt } from './values.ts';

export interface Fault {
  /** JSON pointer into the output. */
  pointer: string;
  keyword: string;
  /** The value of the keyword in the schema; null when it is not known. */
  limit: unknown;
}

/** Keywords that only say that something below them is wrong. */
const CONTAINERS: ReadonlySet<string> = new Set([
  ...[
    'properties',
    'additionalProperties',
    'patternProperties',
    'unevaluatedProperties',
    'items',
    'prefixItems',
  ],
  ...[
    'allOf',
    'anyOf',
    'oneOf',
    'if',
    'then',
    'else',
    '$ref',
    'dependentSchemas',
    'dependencies',
    'propertyNames',
  ],
]);
const NAMED = /property "(.*)"\.$|does not have "(.*)"\.$/s;
const MAX_FAULTS = 1000;

/**
 * The faults of an output, at most one for each pointer.
 * @param chosen which alternative of a choice a person has chosen, by the pointer of the value; undefined when none is.
 */
export function faultsOf(
  root: JsonSchema,
  output: unknown,
  chosen: (pointer: string) => number | undefined,
): Fault[] {
  let errors: { keyword: string; keywordLocation: string; instanceLocation: string; error: string }[];
  try {
    errors = validatorOf(root, root, false)?.validate(output).errors ?? [];
  } catch {
    return [];
  }
  const faults = new Map<string, Fault>();
  for (const { keyword, keywordLocation, instanceLocation, error } of errors) {
    if (faults.size >= MAX_FAULTS) break;
    const at = decoded(instanceLocation);
    const { schema, choices } = located(root, output, at, chosen);
    const isChoice = keyword === 'oneOf' || keyword === 'anyOf';
    // A choice that has been made is judged by what was chosen.
    if (CONTAINERS.has(keyword) && !(isChoice && choices.length === branchesIn(keywordLocation).length))
      continue;
    if (branchesIn(keywordLocation).some((branch, index) => choices[index] !== branch)) continue;
    const [, one, other] = NAMED.exec(error) ?? [];
    const name = ['required', 'dependentRequired'].includes(keyword) ? (one ?? other) : undefined;
    const pointer = name === undefined ? at : childPointer(at, name);
    if (faults.has(pointer)) continue;
    const isNoAnswer = keyword === 'type' && valueAt(output, at) === null;
    faults.set(pointer, {
      pointer,
      keyword: isNoAnswer || name !== undefined ? 'required' : keyword,
      limit: schema?.[keyword] ?? null,
    });
  }
  return [...faults.values()];
}

/** The alternatives in the location of a keyword, such as 2 in `#/properties/a/oneOf/2/required`. */
function branchesIn(keywordLocation: string): number[] {
  return [...keywordLocation.matchAll(/\/(?:anyOf|oneOf)\/(\d+)/g)].map(([, index]) => Number(index));
}

function decoded(location: string): string {
  try {
    return decodeURI(location.slice(1));
  } catch {
    return location.slice(1);
  }
}

/** What a fault means, in the language of the page. */
export function faultText({ keyword, limit }: Fault, messages: typeof forms, format: Format): string {
  const { faults } = messages;
  const number = typeof limit === 'number' ? format.number(limit) : textOf(limit);
  const count = typeof limit === 'number' ? limit : 0;
  switch (keyword) {
    case 'required':
      return faults.required;
    case 'minimum':
      return faults.minimum(number);
    case 'maximum':
      return faults.maximum(number);
    case 'exclusiveMinimum':
      return faults.exclusiveMinimum(number);
    case 'exclusiveMaximum':
      return faults.exclusiveMaximum(number);
    case 'multipleOf':
      return faults.multipleOf(number);
    case 'minLength':
      return faults.minLength(count);
    case 'maxLength':
      return faults.maxLength(count);
    case 'minItems':
    case 'minContains':
      return faults.minItems(count);
    case 'maxItems':
      return faults.maxItems(count);
    case 'minProperties':
      return faults.minItems(count);
    case 'maxProperties':
      return faults.maxItems(count);
    case 'uniqueItems':
      return faults.uniqueItems;
    case 'pattern':
      return faults.pattern;
    case 'format':
      return limit === 'email' ||
        limit === 'uri' ||
        limit === 'date' ||
        limit === 'time' ||
        limit === 'date-time'
        ? faults.formats[limit]
        : faults.pattern;
    case 'type':
      return faults.type;
    case 'oneOf':
    case 'anyOf':
    case 'enum':
    case 'const':
      return faults.choose;
    case 'notNumber':
      return faults.notNumber;
    case 'notJson':
      return faults.notJson;
    default:
      return faults.other;
  }
}
