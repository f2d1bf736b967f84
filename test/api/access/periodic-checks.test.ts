// Checks that long requests share: one in each interval for all that depend on the same, and none after the last has ended.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PeriodicChecks } from '../../../src/api/access/periodic-checks.ts';

/** Time within which each group is checked at least once, and at most twice, ms. */
const INTERVAL = 850;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A request that counts its checks. @param admitted whether its caller is still admitted */
function request(admitted = true) {
  const isAdmitted = vi.fn(async () => admitted);
  return { isAdmitted, recheck: vi.fn() };
}

test('requests with the same key are checked once for all, those with another by themselves', async () => {
  const checks = new PeriodicChecks();
  const same = Array.from({ length: 100 }, () => request());
  const other = request();
  for (const one of same) checks.join('a', one);
  checks.join('b', other);
  await vi.advanceTimersByTimeAsync(INTERVAL);
  expect(same.filter((one) => one.isAdmitted.mock.calls.length > 0)).toEqual([same[0]]);
  expect(same[0]?.isAdmitted).toHaveBeenCalledOnce();
  expect(other.isAdmitted).toHaveBeenCalledOnce();
  expect(same.flatMap((one) => one.recheck.mock.calls)).toEqual([]);
});

test('when the checked one is not admitted, each of its group decides for itself', async () => {
  const checks = new PeriodicChecks();
  const [closed, open, other] = [request(false), request(), request()];
  checks.join('a', closed);
  checks.join('a', open);
  checks.join('b', other);
  await vi.advanceTimersByTimeAsync(INTERVAL);
  expect(closed.recheck).toHaveBeenCalledOnce();
  expect(open.recheck).toHaveBeenCalledOnce();
  expect(other.recheck).not.toHaveBeenCalled();
});

test('the others go on when the checked one ends, and nothing is checked after the last has ended', async () => {
  const checks = new PeriodicChecks();
  const [first, second] = [request(), request()];
  const [endFirst, endSecond] = [checks.join('a', first), checks.join('a', second)];
  endFirst();
  await vi.advanceTimersByTimeAsync(INTERVAL);
  expect(first.isAdmitted).not.toHaveBeenCalled();
  expect(second.isAdmitted).toHaveBeenCalledOnce();
  endSecond();
  endSecond();
  expect(vi.getTimerCount()).toBe(0);
  checks.join('a', first);
  await vi.advanceTimersByTimeAsync(INTERVAL);
  expect(first.isAdmitted).toHaveBeenCalledOnce();
});
