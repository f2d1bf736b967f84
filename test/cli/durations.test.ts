import { describe, expect, it } from 'vitest';
import { asSeconds, showDuration } from '../../src/cli/durations.ts';

describe('a duration', () => {
  it.each([
    ['90', 90],
    ['90s', 90],
    ['10m', 600],
    ['2h', 7200],
    ['1d', 86_400],
  ])('%s is read as %d seconds', (text, seconds) => {
    expect(asSeconds(text)).toBe(seconds);
  });

  it.each(['', 'm', '10 m', '1.5h', '-1m', '10w', '1h5m'])('%j is refused', (text) => {
    expect(() => asSeconds(text)).toThrow('must be a duration');
  });

  it.each([
    [0, '0s'],
    [0.04, '0s'],
    [1.25, '1.3s'],
    [10.4, '10s'],
    [59.6, '1m'],
    [125, '2m 5s'],
    [3600, '1h'],
    [3605, '1h'],
    [7500, '2h 5m'],
    [86_400 + 3600, '1d 1h'],
  ])('of %d seconds is shown as %s', (seconds, text) => {
    expect(showDuration(seconds)).toBe(text);
  });
});
