// The comparison of two results of the benchmark, and the rounds that they are made of.
import { expect, it } from 'vitest';
import { compareResults, type Result } from '../../bench/compare.ts';
import { inRounds, type Row, row } from '../../bench/rounds.ts';

function result(...rows: Row[]): Result {
  const machine = { node: 'v20', cpus: 2, redis: '7', load: 0 };
  return { machine, at: '2026-01-01T00:00:00.000Z', is_quick: false, parts: { part: { rows } } };
}

const rate = (ours: number[], base: number[]) =>
  result(row(['creates', '/s', 'higher'], ours, { what: 'bare', values: base }));
const latency = (ours: number[]) => result(row(['p99', 'ms', 'lower'], ours));
const verdicts = (before: Result, after: Result) =>
  compareResults(before, after).map(({ by, verdict }) => `${by} ${verdict}`);

it('compares ratios, so that a slower machine is not worse', () => {
  expect(verdicts(rate([80, 80, 80], [100, 100, 100]), rate([40, 40, 40], [50, 50, 50]))).toEqual([
    'ratio same',
  ]);
  expect(verdicts(rate([80, 80, 80], [100, 100, 100]), rate([60, 60, 60], [100, 100, 100]))).toEqual([
    'ratio worse',
  ]);
});

it('takes an overlap of the spreads as noise', () => {
  expect(verdicts(latency([9, 10, 11]), latency([10, 11, 12]))).toEqual(['value same']);
  expect(verdicts(latency([9, 10, 11]), latency([12, 13, 14]))).toEqual(['value worse']);
  expect(verdicts(latency([9, 10, 11]), latency([6, 7, 8]))).toEqual(['value better']);
});

it('leaves out rows that the earlier result has not', () => {
  expect(verdicts(latency([1]), rate([1], [1]))).toEqual([]);
});

it('measures the variants in turns, in reverse order in every second round', async () => {
  const order: string[] = [];
  const note = (name: string) => async (round: number) => {
    order.push(`${name}${round}`);
    return round;
  };
  const found = await inRounds(2, { a: note('a'), b: note('b') }, true);
  expect(order).toEqual(['b-1', 'a-1', 'a0', 'b0', 'b1', 'a1']);
  expect(found).toEqual({ a: [0, 1], b: [0, 1] });
});
