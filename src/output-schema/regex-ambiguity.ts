/*
 * Finds regular expressions that can take too long in a backtracking engine. BioLayer runs patterns in linear time, but
 * forms of workers and validators of integrators use the same schema with backtracking engines.
 *
 * Backtracking takes long when one text can be read in many ways. The pattern is converted to an automaton, which is
 * searched for "detours": two different paths from one state to another that read the same text (the criterion of Weber
 * and Seidl, applied to backtracking by Weideman et al. in 2016).
 *   - A detour inside a loop can be taken on every turn: exponential, as in `(a+)+`, `(a|a)*`, `(a|aa)+`.
 *   - Detours from loop to loop: polynomial; its degree grows with their number, as in `.*.*.*.*`.
 *   - A pattern without loops can still have too many readings, as `a?a?a?a?…`.
 *   - Turns of a counted repeat that match nothing can be chosen in too many ways, as in `(?:a?){80}`.
 */
import { Automaton, TooComplicated } from './regex-automaton.ts';
import { type CodePoints, intersects } from './regex-sets.ts';
import type { Regex } from './regex-syntax.ts';

/** Why a pattern can take too long. `too complicated`: the search was given up, so nothing is known. */
export type Danger =
  | 'none'
  | 'exponential'
  | 'polynomial'
  | 'combinatorial'
  | 'empty repeat'
  | 'too complicated';

/** The result; `isExact` is false when a large counted repeat was treated as an unbounded one. */
export type Ambiguity = { danger: Danger; isExact: boolean };

/** Most successive loops that can divide a text between them in any way; `.*foo.*bar.*` has 3. More: 'polynomial'. */
const MAX_SHARING_LOOPS = 3;
/** Most readings of one text, not counting turns in loops. More: 'combinatorial'. */
const MAX_READINGS = 10_000;
/** Most steps of the search for detours, about ten milliseconds. */
const MAX_STEPS = 200_000;

/** How ambiguous a pattern is, in bounded time. The result may be too high but never too low. */
export function ambiguityOf(regex: Regex): Ambiguity {
  try {
    const automaton = new Automaton(regex);
    const ends = detours(automaton);
    const { isExact } = automaton;
    if (automaton.repeatsNothing) return { danger: 'empty repeat', isExact: true };
    const danger = dangerOfLoops(automaton.follow, ends);
    if (danger !== 'none') return { danger, isExact };
    return { danger: mostReadings(automaton) > MAX_READINGS ? 'combinatorial' : 'none', isExact };
  } catch (error) {
    if (error instanceof TooComplicated) return { danger: 'too complicated', isExact: false };
    throw error;
  }
}

/** For each state, the ends of its detours: states reached from it on two paths by the same text. */
function detours({ sets, follow }: Automaton): Set<number>[] {
  let steps = 0;
  return follow.map((_, from) => {
    const ends = new Set<number>();
    const seen = new Set<number>();
    const pending: [number, number][] = [[from, from]];
    for (let both = pending.pop(); both !== undefined; both = pending.pop()) {
      const [a, b] = both;
      for (const [nextA, count] of follow[a] ?? []) {
        for (const nextB of follow[b]?.keys() ?? []) {
          steps += 1;
          if (steps > MAX_STEPS) throw new TooComplicated();
          if (nextA === nextB) {
            if (a !== b || count > 1) ends.add(nextA);
            continue;
          }
          // The pair has no order, so the lower state comes first.
          const pair: [number, number] = nextA < nextB ? [nextA, nextB] : [nextB, nextA];
          const key = pair[0] * sets.length + pair[1];
          if (seen.has(key) || !intersects(sets[nextA] ?? [], sets[nextB] ?? [])) continue;
          seen.add(key);
          pending.push(pair);
        }
      }
    }
    return ends;
  });
}

function dangerOfLoops(follow: readonly Map<number, number>[], ends: readonly Set<number>[]): Danger {
  const { loopOf, order } = loops(follow);
  const loopOfState = (state: number): number => loopOf[state] ?? -1;
  const isLooping = (state: number): boolean =>
    [...(follow[state]?.keys() ?? [])].some((next) => loopOfState(next) === loopOfState(state));
  const sharing: number[] = [];
  // `order` lists successors first, so every value read below is final, except those of the loop itself.
  for (const [loop, states] of order.entries()) {
    let most = 0;
    for (const state of states) {
      for (const next of follow[state]?.keys() ?? []) most = Math.max(most, sharing[loopOfState(next)] ?? 0);
      for (const end of ends[state] ?? []) {
        if (loopOfState(end) === loop) return 'exponential';
        const betweenLoops = isLooping(state) && isLooping(end) ? 1 : 0;
        most = Math.max(most, betweenLoops + (sharing[loopOfState(end)] ?? 0));
      }
    }
    sharing[loop] = most;
  }
  return Math.max(...sharing) >= MAX_SHARING_LOOPS ? 'polynomial' : 'none';
}

/** Tarjan's strongly connected components, successors before predecessors: the loops of the automaton. */
function loops(follow: readonly Map<number, number>[]): { loopOf: number[]; order: number[][] } {
  const loopOf: number[] = [];
  const order: number[][] = [];
  const index: number[] = [];
  const stack: number[] = [];
  let count = 0;
  const visit = (state: number): number => {
    let lowest = count;
    index[state] = count;
    count += 1;
    stack.push(state);
    for (const next of follow[state]?.keys() ?? []) {
      if (index[next] === undefined) lowest = Math.min(lowest, visit(next));
      else if (loopOf[next] === undefined) lowest = Math.min(lowest, index[next]);
    }
    if (lowest === index[state]) {
      const members = stack.splice(stack.lastIndexOf(state));
      for (const member of members) loopOf[member] = order.length;
      order.push(members);
    }
    return lowest;
  };
  for (const state of follow.keys()) if (index[state] === undefined) visit(state);
  return { loopOf, order };
}

/**
 * An upper bound of the number of readings of one text, not counting turns in loops. Computed from the end to the start:
 * each character leads to all states that can read it, and each of them is assumed to continue in the worst way.
 */
function mostReadings({ sets, follow, end }: Automaton): number {
  const { loopOf, order } = loops(follow);
  const most: number[] = [];
  for (const [loop, states] of order.entries()) {
    let worst = 1;
    for (const state of states) {
      const next = [...(follow[state] ?? [])].filter(([to]) => loopOf[to] !== loop);
      const read = worstLetter(
        next.map(([to, count]) => [sets[to] ?? [], count * (most[loopOf[to] ?? -1] ?? 1)] as const),
      );
      worst = Math.max(worst, read + (end.get(state) ?? 0));
    }
    most[loop] = worst;
  }
  return most[loopOf[0] ?? -1] ?? 1;
}

/** The largest sum of the weights of sets that share a character. */
function worstLetter(weighted: readonly (readonly [CodePoints, number])[]): number {
  const edges = weighted.flatMap(([set, weight]) =>
    set.flatMap(([low, high]) => [[low, weight] as const, [high + 1, -weight] as const]),
  );
  // A set that ends where another begins shares no character with it, so ends are sorted first.
  edges.sort(([a, gain], [b, other]) => a - b || gain - other);
  let [sum, worst] = [0, 0];
  for (const [, weight] of edges) {
    sum += weight;
    worst = Math.max(worst, sum);
  }
  return worst;
}
