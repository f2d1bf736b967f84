/*
 * How Ajv is kept from making an error of every wrong item that a client sends. What decides stops at its first
 * error. Only for what it refuses is a second function compiled, which collects errors until there are enough: Ajv
 * has no such bound, so one is put into the loops of the code that it generates. Where alternatives (`anyOf`) have
 * made that many, what they say may be incomplete; the decision never is.
 */
import { _, type Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { amendKeyword } from './keywords.ts';

/** A function that says what is wrong with a value: [] if nothing, at most some more than `most` errors otherwise. */
export type Collect = (value: unknown) => readonly ErrorObject[];

/** Every loop that Ajv 8 writes over data: by index, over names, over own names. */
const LOOP = /for\((?:let \w+=\d+; \w+<\w+; \w+\+\+|const \w+ (?:in|of) [^{]+)\)\{/g;

/** Makes an Ajv with these options, its keywords and formats in place. */
export type Engine = (options: Options) => Ajv2020;

/**
 * An Ajv whose functions collect errors, for schemas that another one has accepted.
 * @param most errors after which no more are looked for.
 */
export function collectingAjv(engine: Engine, options: Options, most: number): Ajv2020 {
  const ajv = engine({
    ...options,
    allErrors: true,
    validateSchema: false,
    code: {
      ...options.code,
      process: (code) => code.replaceAll(LOOP, (loop) => `${loop}if(errors>=${most})break;`),
    },
  });
  lookWithinLimits(ajv);
  return ajv;
}

/** @param decide stops at the first error. @param makeCollect gives the function that goes on, when it is first needed. */
export function collector(decide: ValidateFunction, makeCollect: () => ValidateFunction): Collect {
  let collect: ValidateFunction | null = null;
  return (value) => {
    if (decide(value)) return [];
    const [first] = decide.errors ?? [];
    collect ??= makeCollect();
    collect(value);
    return collect.errors ?? (first === undefined ? [] : [first]);
  };
}

/** Keywords that look at each member of a value, with the one that says how many members there may be. */
const LIMITED = {
  items: 'maxItems',
  uniqueItems: 'maxItems',
  additionalProperties: 'maxProperties',
} as const;

/** Members of what holds more of them than it may are not looked at. */
function lookWithinLimits(ajv: Ajv2020): void {
  for (const [keyword, limit] of Object.entries(LIMITED)) {
    amendKeyword(ajv, keyword, (cxt, write) => {
      const most: unknown = cxt.parentSchema[limit];
      if (typeof most !== 'number') return write();
      const size = limit === 'maxItems' ? _`${cxt.data}.length` : _`Object.keys(${cxt.data}).length`;
      cxt.gen.if(_`${size} <= ${most}`, write);
    });
  }
  // Of items that are not what is looked for nothing is told, only that it was not found.
  amendKeyword(ajv, 'contains', (cxt, write) => {
    const subschema = cxt.subschema.bind(cxt);
    cxt.subschema = (...given) => {
      const made = subschema(...given);
      cxt.reset();
      return made;
    };
    write();
  });
}
