/*
 * The position automaton (Glushkov) of a regular expression: one state per character set, no empty moves. In addition it
 * counts in how many ways one state follows another, because backtracking multiplies these: in `(a+)+`, `a` follows
 * itself once through the inner loop and once through the outer one.
 */
import type { CodePoints } from './regex-sets.ts';
import type { Regex } from './regex-syntax.ts';

/** Most states, and most moves while building. */
const MAX_STATES = 2_000;
const MAX_MOVES = 400_000;

/** The pattern is too large to be analysed in bounded time. */
export class TooComplicated extends Error {}

/** A part of the pattern: number of ways to match nothing, and its first and last positions with their number of ways. */
type Part = { empty: number; first: Map<number, number>; last: Map<number, number> };

/** Upper limit of counted ways. */
const MANY = 1e9;

function ways(count: number): number {
  return Math.min(MANY, count);
}

/** The position automaton: state 0 is the start; every other state is a character set that was just read. */
export class Automaton {
  readonly sets: CodePoints[] = [[]];
  /** follow[a].get(b) is the number of ways in which b can be read directly after a. */
  readonly follow: Map<number, number>[] = [new Map()];
  /** Number of ways in which the pattern can end after a state. */
  readonly end = new Map<number, number>();
  /** False when a large counted repeat was treated as unbounded, which can only add readings. */
  isExact = true;
  /** Whether something that can match nothing is repeated too often to be unrolled. */
  repeatsNothing = false;
  #links = 0;

  constructor(regex: Regex) {
    const whole = this.#part(regex);
    for (const [position, count] of whole.first) this.#link(0, position, count);
    for (const [position, count] of whole.last) this.end.set(position, count);
    this.end.set(0, whole.empty);
  }

  #link(from: number, to: number, count: number): void {
    this.#links += 1;
    if (this.#links > MAX_MOVES) throw new TooComplicated();
    const next = this.follow[from];
    next?.set(to, ways((next.get(to) ?? 0) + count));
  }

  #part(regex: Regex): Part {
    switch (regex.kind) {
      case 'set':
        return this.#position(regex.set);
      case 'sequence':
        return regex.parts.reduce((before: Part, part) => this.#join(before, this.#part(part)), nothing());
      case 'choice':
        return regex.branches.map((branch) => this.#part(branch)).reduce(either);
      case 'repeat':
        return this.#repeat(regex.body, regex.min, regex.max);
      default:
        return nothing(); // An assertion reads no text; leaving it out can only add readings.
    }
  }

  #position(set: CodePoints): Part {
    if (set.length === 0) return { empty: 0, first: new Map(), last: new Map() };
    const state = this.sets.push(set) - 1;
    this.follow.push(new Map());
    if (state > MAX_STATES) throw new TooComplicated();
    return { empty: 0, first: new Map([[state, 1]]), last: new Map([[state, 1]]) };
  }

  #join(a: Part, b: Part): Part {
    this.#linkAll(a.last, b.first);
    return {
      empty: ways(a.empty * b.empty),
      first: sum(a.first, b.first, a.empty),
      last: sum(b.last, a.last, b.empty),
    };
  }

  #linkAll(last: Map<number, number>, first: Map<number, number>): void {
    for (const [from, some] of last) for (const [to, more] of first) this.#link(from, to, some * more);
  }

  #repeat(body: Regex, min: number, max: number): Part {
    if (max === 0) return nothing();
    if (isUnrolled(body, max)) return this.#unrolled(body, min, max);
    if (max === Number.POSITIVE_INFINITY && min > 1 && isUnrolled(body, min))
      return this.#join(this.#unrolled(body, min, min), this.#loop(body, 0));
    if (max !== Number.POSITIVE_INFINITY || min > 1) {
      this.isExact = false;
      // Each turn may match nothing, so there are too many ways to choose those turns.
      if (isNullable(body)) this.repeatsNothing = true;
    }
    return this.#loop(body, min);
  }

  #loop(body: Regex, min: number): Part {
    const part = this.#part(body);
    this.#linkAll(part.last, part.first);
    return min === 0 ? { ...part, empty: 1 } : part;
  }

  /** `x{2,4}` as `xx(x(x)?)?`: nested, so that a shorter count is not several different choices. */
  #unrolled(body: Regex, min: number, max: number): Part {
    let tail: Part = nothing();
    for (let count = max; count > 0; count -= 1) {
      tail = this.#join(this.#part(body), tail);
      if (count > min) tail = { ...tail, empty: 1 };
    }
    return tail;
  }
}

function nothing(): Part {
  return { empty: 1, first: new Map(), last: new Map() };
}

function either(a: Part, b: Part): Part {
  return { empty: ways(a.empty + b.empty), first: sum(a.first, b.first, 1), last: sum(a.last, b.last, 1) };
}

function sum(a: Map<number, number>, b: Map<number, number>, times: number): Map<number, number> {
  if (times === 0 || b.size === 0) return a;
  const total = new Map(a);
  for (const [state, count] of b) total.set(state, ways((total.get(state) ?? 0) + count * times));
  return total;
}

/** Whether a counted repeat is small enough to be unrolled; a larger one is treated as a loop, with more readings. */
function isUnrolled(body: Regex, max: number): boolean {
  const size = Math.max(1, positions(body));
  return max <= (size <= 1 || isNullable(body) ? 64 : 8) && size * max <= 64;
}

/** Whether a part can match the empty text. */
function isNullable(regex: Regex): boolean {
  switch (regex.kind) {
    case 'set':
      return false;
    case 'sequence':
      return regex.parts.every(isNullable);
    case 'choice':
      return regex.branches.some(isNullable);
    case 'repeat':
      return regex.min === 0 || isNullable(regex.body);
    default:
      return true;
  }
}

/** Number of character sets after every counted repeat is unrolled. */
export function positions(regex: Regex): number {
  if (regex.kind === 'set') return 1;
  if (regex.kind === 'sequence') return regex.parts.reduce((total, part) => total + positions(part), 0);
  if (regex.kind === 'choice') return regex.branches.reduce((total, part) => total + positions(part), 0);
  if (regex.kind !== 'repeat') return 0;
  const times = Number.isFinite(regex.max) ? regex.max : Math.max(1, regex.min);
  return Math.max(1, positions(regex.body)) * times;
}
