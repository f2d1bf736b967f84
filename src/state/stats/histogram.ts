// Distributions of times in a few hundred bins at most: the core of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and
// fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019). Bin i holds the times in (g^(i-1), g^i], so
// each quantile has a bounded relative error, and two histograms are merged by adding their bins.

/** Largest relative error of a quantile. Part of the stored form: the bins of existing data depend on it. */
export const RELATIVE_ERROR = 0.025;

const GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GROWTH = Math.log(GROWTH);

/** Number of times in each bin. */
export type Histogram = Map<number, number>;

/** Adds a time. @param ms a time of less than a millisecond counts as one. */
export function addTime(histogram: Histogram, ms: number): void {
  const bin = ms <= 1 ? 0 : Math.ceil(Math.log(ms) / LOG_GROWTH);
  histogram.set(bin, (histogram.get(bin) ?? 0) + 1);
}

/** Adds all times of `other` to `histogram`. */
export function addTimes(histogram: Histogram, other: Histogram): void {
  for (const [bin, count] of other) histogram.set(bin, (histogram.get(bin) ?? 0) + count);
}

/** Number of times in the histogram. */
export function countOf(histogram: Histogram): number {
  let sum = 0;
  for (const count of histogram.values()) sum += count;
  return sum;
}

/**
 * The times, ms, that each of the shares (0–1, ascending) of all times does not exceed, within `RELATIVE_ERROR`; null for
 * each without times.
 */
export function quantiles(histogram: Histogram, shares: readonly number[]): (number | null)[] {
  if (histogram.size === 0) return shares.map(() => null);
  const bins = [...histogram.keys()].sort((one, other) => one - other);
  const last = countOf(histogram) - 1;
  let [seen, next, bin] = [0, 0, 0];
  return shares.map((share) => {
    for (; seen <= share * last && next < bins.length; next += 1) {
      bin = bins[next] ?? 0;
      seen += histogram.get(bin) ?? 0;
    }
    // The value whose relative distance from both ends of the bin is the same.
    return (2 * GROWTH ** bin) / (GROWTH + 1);
  });
}

/** Stored form: the bins in ascending order, each as its distance from the bin before and its count. */
export function packHistogram(histogram: Histogram): number[] {
  let last = 0;
  return [...histogram]
    .sort(([one], [other]) => one - other)
    .flatMap(([bin, count]) => {
      const packed = [bin - last, count];
      last = bin;
      return packed;
    });
}

/** Whether this is the stored form of a histogram. */
export function isPacked(packed: unknown): packed is number[] {
  return Array.isArray(packed) && packed.length % 2 === 0 && packed.every(isCount);
}

/** Adds all times of a histogram in its stored form. */
export function addPacked(histogram: Histogram, packed: readonly number[]): void {
  let bin = 0;
  for (let at = 0; at < packed.length; at += 2) {
    bin += packed[at] ?? 0;
    histogram.set(bin, (histogram.get(bin) ?? 0) + (packed[at + 1] ?? 0));
  }
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0;
}
