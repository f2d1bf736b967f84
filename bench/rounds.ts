// Rounds: what is compared is measured in turns within one run, because the speed of a machine changes within seconds, and
// each figure is a median with its spread.

/** How much a run does. */
export interface Size {
  /** 1 for a full run; a smaller value does less work in each round. */
  scale: number;
  rounds: number;
  /** Whether lists are measured among a million tasks, which takes ten minutes more. */
  isLarge: boolean;
}

/** The values of all rounds: the median, and the lower and upper quartile. */
export interface Summary {
  median: number;
  low: number;
  high: number;
  rounds: number;
}

/** One line of the result. */
export interface Row {
  name: string;
  unit: string;
  better: 'higher' | 'lower';
  ours: Summary;
  base: (Summary & { what: string }) | null;
  /** Ours divided by the baseline, by round. */
  ratio: Summary | null;
  /** The goal, in words. */
  aim: string;
}

/** Points of a plot, with the spread of y. */
export interface Plot {
  file: string;
  title: string;
  x: string;
  y: string;
  /** Whether the axes are logarithmic. */
  log: { x: boolean; y: boolean };
  points: ({ series: string; x: number } & Summary)[];
}

export interface Measured {
  rows: Row[];
  plots?: Plot[];
}

/**
 * Measures each variant once a round. The order is reversed in every second round, so that none is always the first.
 * @param warmUp whether a first round is not counted
 */
export async function inRounds<Name extends string, T>(
  rounds: number,
  variants: Record<Name, (round: number) => Promise<T>>,
  warmUp = false,
): Promise<Record<Name, T[]>> {
  const names = Object.keys(variants) as Name[];
  const found = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  for (let round = warmUp ? -1 : 0; round < rounds; round += 1)
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const value = await variants[name](round);
      if (round >= 0) found[name].push(value);
    }
  return found;
}

export function summary(values: readonly number[]): Summary {
  return {
    median: rounded(quantile(values, 0.5)),
    low: rounded(quantile(values, 0.25)),
    high: rounded(quantile(values, 0.75)),
    rounds: values.length,
  };
}

/** Summaries of the values and of their ratios. @param base its values, of the same rounds, and what it is */
export function row(
  [name, unit, better]: [name: string, unit: string, better: Row['better']],
  ours: readonly number[],
  base: { what: string; values: readonly number[] } | null = null,
  aim = '',
): Row {
  const ratios = base?.values.map((value, round) => (ours[round] ?? 0) / value) ?? [];
  return {
    name,
    unit,
    better,
    ours: summary(ours),
    base: base === null ? null : { what: base.what, ...summary(base.values) },
    ratio: ratios.length === 0 || !ratios.every(Number.isFinite) ? null : summary(ratios),
    aim,
  };
}

/** The value below which this share of the values is, by linear interpolation. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (sorted.length - 1) * share;
  const [below = 0, above = 0] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}

/** Three significant digits, or all of an integer. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
