import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countOf,
  type Histogram,
  histogramOf,
  isHistogram,
  quantiles,
  RELATIVE_ERROR,
  sumOf,
} from '../../../src/state/stats/histogram.ts';

const YEAR = 365 * 24 * 3600_000;
const times = fc.array(fc.integer({ min: 1, max: YEAR }), { minLength: 1, maxLength: 300 });

function histogramOfAll(values: readonly number[]): Histogram {
  return sumOf(values.map(histogramOf));
}

describe('histogram', () => {
  it('gives every quantile within the relative error', () => {
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const exact = values.toSorted((one, other) => one - other)[Math.floor(q * (values.length - 1))] ?? 0;
        const found = quantiles(histogramOfAll(values), [q])[0] ?? 0;
        expect(Math.abs(found - exact) / exact).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-9);
      }),
    );
  });

  it('is the same merged from parts as made at once', () => {
    fc.assert(
      fc.property(fc.array(times, { maxLength: 5 }), (parts) => {
        const merged = sumOf(parts.map(histogramOfAll));
        expect(merged).toEqual(histogramOfAll(parts.flat()));
        expect(countOf(merged)).toBe(parts.flat().length);
        expect(isHistogram(JSON.parse(JSON.stringify(merged)))).toBe(true);
      }),
    );
  });

  it('does not change the parts of a sum', () => {
    const [one, other] = [histogramOfAll([5, 900]), histogramOfAll([5])];
    const copies = structuredClone([one, other]);
    sumOf([one, other]);
    expect([one, other]).toEqual(copies);
  });

  it('has fewer than 500 bins for all times up to a year', () => {
    const values: number[] = [];
    for (let ms = 1; ms <= YEAR; ms *= 1.001) values.push(ms);
    expect(histogramOfAll(values).length / 2).toBeLessThan(500);
  });

  it('counts a time of less than a millisecond as one, and one beyond all dates in the last bin', () => {
    expect(quantiles(histogramOfAll([0, 0.2, 1]), [1])[0]).toBeCloseTo(1, 1);
    expect(countOf(histogramOfAll([0, 0.2, 1]))).toBe(3);
    expect(histogramOf(Number.MAX_VALUE)).toEqual(histogramOf(Number.MAX_SAFE_INTEGER));
  });

  it('has no quantiles without times', () => {
    expect(quantiles(sumOf([]), [0.5, 1])).toEqual([null, null]);
    expect(sumOf([[], []])).toEqual([]);
  });

  it.each([[[1]], [[1, -1]], [[0.5, 1]], ['1,1'], [[1, null]], [[1_000_000, 1]]])(
    'does not read %j',
    (value) => {
      expect(isHistogram(value)).toBe(false);
    },
  );
});
