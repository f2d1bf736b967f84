// Durations as people write and read them, such as `10m` and `2h 5m`.

import { InvalidArgumentError } from 'commander';

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** Parses `90`, `90s`, `10m`, `2h` or `1d`. @returns seconds. @throws InvalidArgumentError */
export function asSeconds(text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,9})([dhms]?)$/.exec(text.trim()) ?? [];
  const [, seconds] = UNITS.find(([name]) => name === (unit || 's')) ?? [];
  if (amount === undefined || seconds === undefined)
    throw new InvalidArgumentError('It must be a duration, such as 90s, 10m, 2h or 1d.');
  return Number(amount) * seconds;
}

/** A duration in its two largest units, such as `2h 5m`; tenths of a second below ten seconds. @param seconds not negative. */
export function showDuration(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))}s`;
  const whole = Math.round(seconds);
  const first = UNITS.findIndex(([, length]) => whole >= length);
  const parts = UNITS.slice(first, first + 2).map(([name, length], index) => {
    const before = UNITS[first + index - 1]?.[1];
    return [
      Math.floor((index === 0 || before === undefined ? whole : whole % before) / length),
      name,
    ] as const;
  });
  return parts.flatMap(([amount, name]) => (amount > 0 ? [`${amount}${name}`] : [])).join(' ');
}
