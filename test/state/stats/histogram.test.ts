import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addPacked,
  addTime,
  addTimes,
  countOf,
  type Histogram,
  isPacked,
  packHistogram,
  quantiles,
  RELATIVE_ERROR,
} from '../../../src/state/stats/histogram.ts';

const YEAR = 365 * 24 * 3600_000;
const times = fc.array(fc.integer({ min: 1, max: YEAR }), { minLength: 1, maxLength: 300 });

function histogramOf(values: readonly number[]): Histogram {
  const histogram: Histogram = new Map();
  for (const ms of values) addTime(histogram, ms);
  return histogram;
}

describe('histogram', () => {
  it('gives every quantile within the relative error', () => {
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const exact = values.toSorted((one, other) => one - other)[Math.floor(q * (values.length - 1))] ?? 0;
        const found = quantiles(histogramOf(values), [q])[0] ?? 0;
        expect(Math.abs(found - exact) / exact).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-9);
      }),
    );
  });

  it('is the same merged from parts as made at once', () => {
    fc.assert(
      fc.property(times, times, (some, others) => {
        const merged = histogramOf(some);
        addTimes(merged, histogramOf(others));
        expect(packHistogram(merged)).toEqual(packHistogram(histogramOf([...some, ...others])));
      }),
    );
  });

  it('is read from its stored form', () => {
    fc.assert(
      fc.property(times, (values) => {
        const packed = packHistogram(histogramOf(values));
        const read: Histogram = new Map();
        addPacked(read, JSON.parse(JSON.stringify(packed)));
        expect(packHistogram(read)).toEqual(packed);
        expect(isPacked(packed)).toBe(true);
      }),
    );
  });

  it('has fewer than 500 bins for all times up to a year', () => {
    const histogram: Histogram = new Map();
    for (let ms = 1; ms <= YEAR; ms *= 1.001) addTime(histogram, ms);
    expect(histogram.size).toBeLessThan(500);
  });

  it('counts a time of less than a millisecond as one', () => {
    expect(quantiles(histogramOf([0, 0.2, 1]), [1])[0]).toBeCloseTo(1, 1);
    expect(countOf(histogramOf([0, 0.2, 1]))).toBe(3);
  });

  it('has no quantiles without times', () => {
    expect(quantiles(new Map(), [0.5, 1])).toEqual([null, null]);
  });

  it.each([[[1]], [[1, -1]], [[0.5, 1]], ['1,1'], [[1, null]]])('does not read %j', (packed) => {
    expect(isPacked(packed)).toBe(false);
  });
});
