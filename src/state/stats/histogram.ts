// Distributions of times in a few hundred bins at most: the core of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and
// fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019). Bin i holds the times in (g^(i-1), g^i], so
// each quantile has a bounded relative error, and two histograms are merged by adding their bins.

/** Largest relative error of a quantile. Part of the stored form: the bins of existing data depend on it. */
export const RELATIVE_ERROR = 0.025;

const GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GROWTH = Math.log(GROWTH);
/** The last bin; it holds all times beyond the largest exact integer too. */
const LAST_BIN = Math.ceil(Math.log(Number.MAX_SAFE_INTEGER) / LOG_GROWTH);
/** The value whose relative distance from both ends of the bin is the same, of each bin. */
const MIDDLES = Array.from({ length: LAST_BIN + 1 }, (_, bin) => (2 * GROWTH ** bin) / (GROWTH + 1));

/** The bins that have times, in ascending order: the distance of each from the bin before, and its count. */
export type Histogram = readonly number[];

/** The histogram of one time. @param ms a time of less than a millisecond counts as one. */
export function histogramOf(ms: number): Histogram {
  return [ms <= 1 ? 0 : Math.min(LAST_BIN, Math.ceil(Math.log(ms) / LOG_GROWTH)), 1];
}

/** The bins of a sum while it is made; otherwise 0. One array for all sums, because it is larger than most histograms. */
const bins = new Float64Array(LAST_BIN + 1);

/** The histogram of the times in all of these. */
export function sumOf(histograms: readonly Histogram[]): Histogram {
  if (histograms.length === 1) return histograms[0] ?? [];
  let [first, last] = [LAST_BIN, 0];
  for (const histogram of histograms) {
    let bin = 0;
    for (let at = 0; at < histogram.length; at += 2) {
      bin += histogram[at] ?? 0;
      bins[bin] = (bins[bin] ?? 0) + (histogram[at + 1] ?? 0);
    }
    if (histogram.length > 0) [first, last] = [Math.min(first, histogram[0] ?? 0), Math.max(last, bin)];
  }
  const sum: number[] = [];
  let before = 0;
  for (let bin = first; bin <= last; bin += 1) {
    const count = bins[bin] ?? 0;
    if (count === 0) continue;
    sum.push(bin - before, count);
    before = bin;
    bins[bin] = 0;
  }
  return sum;
}

/** Number of times in the histogram. */
export function countOf(histogram: Histogram): number {
  let sum = 0;
  for (let at = 1; at < histogram.length; at += 2) sum += histogram[at] ?? 0;
  return sum;
}

/**
 * The times, ms, that each of the shares (0–1, ascending) of all times does not exceed, within `RELATIVE_ERROR`; null for
 * each without times.
 */
export function quantiles(histogram: Histogram, shares: readonly number[]): (number | null)[] {
  if (histogram.length === 0) return shares.map(() => null);
  const last = countOf(histogram) - 1;
  let [seen, next, bin] = [0, 0, 0];
  return shares.map((share) => {
    for (; seen <= share * last && next < histogram.length; next += 2) {
      bin += histogram[next] ?? 0;
      seen += histogram[next + 1] ?? 0;
    }
    return MIDDLES[bin] ?? null;
  });
}

/** Whether this is a histogram. */
export function isHistogram(value: unknown): value is Histogram {
  if (!Array.isArray(value) || value.length % 2 !== 0) return false;
  let bin = 0;
  for (let at = 0; at < value.length; at += 2) {
    const [distance, count]: unknown[] = [value[at], value[at + 1]];
    if (!isCount(distance) || !isCount(count)) return false;
    bin += distance;
  }
  return bin <= LAST_BIN;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isInteger(value);
}
