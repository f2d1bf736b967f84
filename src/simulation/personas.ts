// How simulated workers behave, as data: a row for each persona.

/** Probabilities are from 0 to 1. */
export interface Persona {
  readonly accepts: number;
  /** What is neither accepted nor declined expires. */
  readonly declines: number;
  /** Shortest and longest work on a task, ms. */
  readonly workMs: readonly [number, number];
  /** Submits an output that breaks the schema, before another one. */
  readonly invalid: number;
  /** The first output for a task is wrong, although it is valid. */
  readonly wrong: number;
}

export const PERSONAS = {
  fast: { accepts: 1, declines: 0, workMs: [0, 50], invalid: 0, wrong: 0 },
  slow: { accepts: 1, declines: 0, workMs: [500, 2000], invalid: 0, wrong: 0 },
  declining: { accepts: 0.4, declines: 0.6, workMs: [0, 200], invalid: 0, wrong: 0 },
  'no-show': { accepts: 0.3, declines: 0, workMs: [0, 200], invalid: 0, wrong: 0 },
  'wrong-answer': { accepts: 1, declines: 0, workMs: [0, 200], invalid: 0.3, wrong: 0.4 },
} as const satisfies Record<string, Persona>;

export type PersonaName = keyof typeof PERSONAS;

/** How many workers of each persona there are. */
export type Staff = Readonly<Partial<Record<PersonaName, number>>>;

export const DEFAULT_STAFF: Staff = { fast: 4, slow: 2, declining: 1, 'no-show': 1, 'wrong-answer': 2 };
