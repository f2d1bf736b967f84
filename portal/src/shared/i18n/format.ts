// Dates, numbers, plurals and lists in the language of the page (Intl).

import { serverNow } from '../time/now.ts';

/** Functions that write values in one language. Times are RFC 3339 or ms since 1970. */
export interface Format {
  number(value: number, options?: Intl.NumberFormatOptions): string;
  /** 0.25 → "25 %". */
  percent(share: number): string;
  bytes(bytes: number): string;
  dateTime(time: string | number): string;
  date(time: string | number): string;
  time(time: string | number): string;
  /** "in 5 minutes", "3 days ago". */
  relative(time: string | number): string;
  /** The time that is left, as "1:05" or "2 h 5 min". @param ms not negative */
  countdown(ms: number): string;
  /** A length of time in its two largest units, such as "1 h 5 min". */
  duration(ms: number): string;
  list(items: readonly string[]): string;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: readonly [unit: 'day' | 'hour' | 'minute' | 'second', ms: number][] = [
  ['day', DAY],
  ['hour', HOUR],
  ['minute', MINUTE],
  ['second', SECOND],
];

/** Remembers what `make` returns for a key. A formatter takes most of a millisecond to make, on a phone several. */
function remembered<Value>(make: (key: string) => Value): (key: string) => Value {
  const known = new Map<string, Value>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

const rulesOf = remembered((language) => new Intl.PluralRules(language));
const relativeOf = remembered((language) => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }));
const numbersOf = remembered((language) => new Intl.NumberFormat(language));

const DATES: Readonly<Record<string, Intl.DateTimeFormatOptions>> = {
  dateTime: { dateStyle: 'medium', timeStyle: 'short' },
  date: { dateStyle: 'medium' },
  time: { timeStyle: 'short' },
};

export function formatOf(language: string): Format {
  const dates = remembered((name) => new Intl.DateTimeFormat(language, DATES[name]));
  const units = remembered(
    (unit) =>
      new Intl.NumberFormat(language, {
        style: 'unit',
        unit,
        unitDisplay: 'short',
        maximumFractionDigits: 1,
      }),
  );
  const unit = (value: number, name: string) => units(name).format(value);
  const duration = (ms: number) => {
    const at = UNITS.findIndex(([, size]) => ms >= size);
    if (at < 0) return unit(0, 'second');
    const [first, second] = UNITS.slice(at, at + 2);
    if (first === undefined) return '';
    const [name, size] = first;
    const whole = Math.floor(ms / size);
    const rest = second === undefined ? 0 : Math.floor((ms - whole * size) / second[1]);
    return rest === 0 || second === undefined
      ? unit(whole, name)
      : `${unit(whole, name)} ${unit(rest, second[0])}`;
  };
  return {
    number: (value, options) =>
      (options === undefined ? numbersOf(language) : new Intl.NumberFormat(language, options)).format(value),
    percent: (share) =>
      new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 }).format(share),
    bytes: (bytes) =>
      bytes < 1000
        ? unit(bytes, 'byte')
        : bytes < 1_000_000
          ? unit(bytes / 1000, 'kilobyte')
          : unit(bytes / 1_000_000, 'megabyte'),
    dateTime: (at) => dates('dateTime').format(new Date(at)),
    date: (at) => dates('date').format(new Date(at)),
    time: (at) => dates('time').format(new Date(at)),
    relative: (at) => {
      const difference = new Date(at).getTime() - serverNow();
      const [name, size] = UNITS.find(([, ms]) => Math.abs(difference) >= ms) ?? ['second', SECOND];
      return relativeOf(language).format(Math.round(difference / size), name);
    },
    countdown: (ms) => {
      if (ms >= HOUR) return duration(ms);
      const seconds = Math.ceil(ms / SECOND);
      return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    },
    duration,
    list: (items) => new Intl.ListFormat(language).format(items),
  };
}

/**
 * A message that depends on a number, by the plural rules of the language. `#` stands for the number.
 * @returns a function from the number to the message
 */
export function plural(
  language: string,
  forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string },
): (count: number) => string {
  return (count) => {
    const form = forms[rulesOf(language).select(count)] ?? forms.other;
    return form.replaceAll('#', numbersOf(language).format(count));
  };
}
