// The time limit of an attempt: told once to what is under way, and to sockets that are being opened.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadline } from '../../../src/processors/webhooks/deadline.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('tells what is under way, aborts its signal, and is passed from then on', () => {
  const reason = new Error('too late');
  const deadline = new Deadline(100, () => reason);
  const told = vi.fn();
  deadline.onPassed = told;
  const { signal } = deadline;
  vi.advanceTimersByTime(99);
  expect(signal.aborted).toBe(false);
  expect(deadline.hasPassed).toBe(false);
  deadline.throwIfPassed();
  vi.advanceTimersByTime(1);
  expect(told.mock.calls).toEqual([[reason]]);
  expect(signal.reason).toBe(reason);
  expect(deadline.hasPassed).toBe(true);
  expect(() => deadline.throwIfPassed()).toThrow(reason);
});

test('a signal that is asked for afterwards is aborted', () => {
  const reason = new Error('too late');
  const deadline = new Deadline(100, () => reason);
  vi.advanceTimersByTime(100);
  expect(deadline.signal.reason).toBe(reason);
});

test('does not pass once it is stopped', () => {
  const deadline = new Deadline(100, () => new Error('too late'));
  const told = vi.fn();
  deadline.onPassed = told;
  deadline.stop();
  vi.advanceTimersByTime(200);
  expect(told).not.toHaveBeenCalled();
  expect(deadline.signal.aborted).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});
