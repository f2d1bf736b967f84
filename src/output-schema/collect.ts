/*
 * Bounds the number of errors that Ajv creates. One compiled function decides and stops at the first error. Only for a
 * refused value a second one is compiled, which collects errors up to a limit. Ajv has no such limit, so it is inserted
 * into the loops of the generated code. The list of errors may be incomplete, for instance under `anyOf`; the decision
 * is always complete.
 */
import { _, type Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { amendKeyword } from './keywords.ts';

/** Returns the errors of a value: [] for a valid one, otherwise at most slightly more than the limit. */
export type Collect = (value: unknown) => readonly ErrorObject[];

/** Matches every loop over data in the code that Ajv 8 generates: by index, over names, over own names. */
const LOOP = /for\((?:let \w+=\d+; \w+<\w+; \w+\+\+|const \w+ (?:in|of) [^{]+)\)\{/g;

/** Creates an Ajv with these options, including our keywords and formats. */
export type Engine = (options: Options) => Ajv2020;

/**
 * Creates an Ajv whose functions collect errors, for schemas that another Ajv has accepted.
 * @param most number of errors at which the search stops.
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

/**
 * Combines both functions.
 * @param decide stops at the first error. @param makeCollect compiles the function that collects; called when first needed.
 */
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

/** Keywords that check each member of a value, with the keyword that limits the number of members. */
const LIMITED = {
  items: 'maxItems',
  uniqueItems: 'maxItems',
  additionalProperties: 'maxProperties',
} as const;

/** Skips the members of a value that has more members than its limit allows. */
function lookWithinLimits(ajv: Ajv2020): void {
  for (const [keyword, limit] of Object.entries(LIMITED)) {
    amendKeyword(ajv, keyword, (cxt, write) => {
      const most: unknown = cxt.parentSchema[limit];
      if (typeof most !== 'number') return write();
      const size = limit === 'maxItems' ? _`${cxt.data}.length` : _`Object.keys(${cxt.data}).length`;
      cxt.gen.if(_`${size} <= ${most}`, write);
    });
  }
  // `contains` reports only that no item matched, not the errors of each item.
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
