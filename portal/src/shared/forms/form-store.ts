// The state of a form: the output so far, and what a person has done to it. Components subscribe to the parts that they show,
// so that a form of hundreds of fields draws only the one that changes.

import { type Fault, faultsOf } from './hints.ts';
import type { JsonSchema } from './schema.ts';
import { moved, outputOf, prepared, valueAt, withValueAt } from './values.ts';

/** What is kept of a form besides its value: texts that are no value yet, and which alternatives were chosen. */
export interface FormState {
  value: unknown;
  texts: Record<string, string>;
  choices: Record<string, number>;
}

/** An error at a field: of the server, as it wrote it, or a hint. */
export type FormFault = { message: string } | Fault;

/** Time after a change until it is checked, ms. */
const CHECK_DELAY = 250;

export class FormStore {
  readonly root: JsonSchema;
  #value: unknown;
  #texts: Map<string, string>;
  #choices: Map<string, number>;
  /** Fields whose text is a number; other texts are JSON. */
  readonly #numbers = new Set<string>();
  readonly #touched = new Set<string>();
  #isAttempted = false;
  #hints = new Map<string, Fault>();
  #refused = new Map<string, { message: string }>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();
  /** Called after each change by a person. */
  onEdit: () => void = () => undefined;

  /** @param root schema of the output. @param state what was kept; default: a form without answers. */
  constructor(root: JsonSchema, state: Partial<FormState> = {}) {
    this.root = root;
    this.#value = prepared(root, root, state.value);
    this.#texts = new Map(Object.entries(state.texts ?? {}));
    this.#choices = new Map(Object.entries(state.choices ?? {}));
    this.#check();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get state(): FormState {
    return {
      value: this.#value,
      texts: Object.fromEntries(this.#texts),
      choices: Object.fromEntries(this.#choices),
    };
  }

  valueAt(pointer: string): unknown {
    return valueAt(this.#value, pointer);
  }

  /** The text of a field whose value is not text, such as `1.` on the way to `1.5`; undefined: that of its value. */
  textAt(pointer: string): string | undefined {
    return this.#texts.get(pointer);
  }

  /** Which alternative a person has chosen; undefined when they have not. */
  choiceAt(pointer: string): number | undefined {
    return this.#choices.get(pointer);
  }

  /** What a person sees to be wrong at a field. */
  faultAt(pointer: string): FormFault | undefined {
    // A hint is in the language of the page; the server's words are not.
    const hint = this.#hints.get(pointer);
    if (this.#isAttempted) return hint ?? this.#refused.get(pointer);
    if (hint === undefined) return undefined;
    // A person who is still filling in the form is not told what is missing.
    return this.#touched.has(pointer) && hint.keyword !== 'required' ? hint : undefined;
  }

  /** All faults that are shown, in the order in which they were found. */
  get faults(): { pointer: string; fault: FormFault }[] {
    const pointers = new Set([...this.#refused.keys(), ...this.#hints.keys()]);
    return [...pointers].flatMap((pointer) => {
      const fault = this.faultAt(pointer);
      return fault === undefined ? [] : [{ pointer, fault }];
    });
  }

  /** Sets the value at a pointer; undefined: no answer. */
  set(pointer: string, value: unknown): void {
    this.#value = withValueAt(this.#value, pointer, value);
    this.#forgetBelow(this.#refused, pointer);
    // At once, so that the form does not move under the pointer a moment later.
    this.#forgetBelow(this.#hints, pointer);
    this.#edited();
  }

  /** @param text kept until the value can be shown as it was typed; undefined: it can. */
  setWithText(pointer: string, value: unknown, text: string | undefined): void {
    if (text === undefined) this.#texts.delete(pointer);
    else this.#texts.set(pointer, text);
    this.set(pointer, value);
  }

  choose(pointer: string, option: number, value: unknown): void {
    this.#forgetBelow(this.#texts, pointer);
    this.#forgetBelow(this.#choices, pointer);
    this.#choices.set(pointer, option);
    this.set(pointer, value);
  }

  /** Removes the value, with what was kept of what is below it. */
  remove(pointer: string): void {
    this.#forgetBelow(this.#texts, pointer);
    this.#forgetBelow(this.#choices, pointer);
    this.set(pointer, undefined);
  }

  /** Removes an item of a list. */
  removeItem(pointer: string, index: number): void {
    const items = this.valueAt(pointer);
    if (!Array.isArray(items)) return;
    this.#renumber(pointer, (at) => (at === index ? null : at > index ? at - 1 : at));
    this.set(
      pointer,
      items.filter((_, at) => at !== index),
    );
  }

  /** Moves an item of a list by one position. */
  moveItem(pointer: string, from: number, to: number): void {
    const items = this.valueAt(pointer);
    if (!Array.isArray(items) || to < 0 || to >= items.length) return;
    this.#renumber(pointer, (at) => (at === from ? to : at === to ? from : at));
    this.set(pointer, moved(items, from, to));
  }

  /** The person has left a field: what is wrong with it may be said. */
  touch(pointer: string): void {
    if (this.#touched.has(pointer)) return;
    this.#touched.add(pointer);
    this.#check();
  }

  /** The person wants to submit: everything that is wrong is said from now on. @returns the output */
  attempt(): unknown {
    this.#isAttempted = true;
    this.#check();
    return this.output;
  }

  /** Shows what the server refused, by pointers into the output. */
  refuse(errors: readonly { pointer: string; message: string }[]): void {
    this.#refused = new Map(errors.map(({ pointer, message }) => [pointer, { message }]));
    this.#isAttempted = true;
    this.#check();
  }

  /** Whether a field has a text that is no value, so that the output is not what is on the screen. */
  get hasUnreadable(): boolean {
    return [...this.#texts].some(([pointer, text]) =>
      isUnusable(this.#numbers.has(pointer) ? 'notNumber' : 'notJson', text),
    );
  }

  get output(): unknown {
    return outputOf(this.root, this.root, this.#value);
  }

  #edited(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), CHECK_DELAY);
    this.onEdit();
    this.#notify();
  }

  #check(): void {
    clearTimeout(this.#timer);
    const faults = faultsOf(this.root, this.output, (pointer) => this.#choices.get(pointer));
    this.#hints = new Map(faults.map((fault) => [fault.pointer, fault]));
    for (const [pointer, text] of this.#texts) {
      const keyword = this.#numbers.has(pointer) ? 'notNumber' : 'notJson';
      if (isUnusable(keyword, text)) this.#hints.set(pointer, { pointer, keyword, limit: null });
    }
    this.#notify();
  }

  /** Notes that a field is a number, so that its text is judged as one. */
  noteNumber(pointer: string): void {
    this.#numbers.add(pointer);
  }

  #forgetBelow(of: Map<string, unknown>, pointer: string): void {
    for (const key of of.keys()) if (key === pointer || key.startsWith(`${pointer}/`)) of.delete(key);
  }

  #renumber(pointer: string, position: (index: number) => number | null): void {
    this.#texts = renumbered(this.#texts, pointer, position);
    this.#choices = renumbered(this.#choices, pointer, position);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function isUnusable(keyword: string, text: string): boolean {
  if (keyword === 'notNumber') return !Number.isFinite(numberOf(text));
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** The number that a text says, with a point or a comma; NaN when it says none. */
export function numberOf(text: string): number {
  const plain = text.trim().replace(',', '.');
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
}

/** The entries with their list positions changed; those at null are left out. */
function renumbered<Value>(
  of: Map<string, Value>,
  pointer: string,
  position: (index: number) => number | null,
): Map<string, Value> {
  const start = `${pointer}/`;
  return new Map(
    [...of].flatMap(([key, value]): [string, Value][] => {
      if (!key.startsWith(start)) return [[key, value]];
      const [index = '', ...rest] = key.slice(start.length).split('/');
      const next = position(Number(index));
      return next === null ? [] : [[[start + next, ...rest].join('/'), value]];
    }),
  );
}
