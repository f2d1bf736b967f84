// Times as text. RFC 3339 (section 5.6) is stricter than `Date.parse` and, with leap seconds, wider.

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const MINUTE = 60_000;
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const EARLIEST = new Date(0).setUTCFullYear(0, 0, 1);

/** The message for a text that is not a time. */
export const TIME_FAULT = 'must be an RFC 3339 time with its offset, such as 2026-03-01T09:30:00Z';

/**
 * Reads a time.
 * @param text RFC 3339, section 5.6. A leap second counts as the first moment after it, as in Unix time.
 * @returns milliseconds since 1970; null when the text is not a time, or its year in UTC does not have four digits.
 */
export function parseTime(text: string): number | null {
  if (text !== parsed.text) parsed = { text, at: readTime(text) };
  return parsed.at;
}

/** Caches the last text: the same deadline is read several times for one change. */
let parsed: { text: string; at: number | null } = { text: '', at: null };

function readTime(text: string): number | null {
  const [whole, year, month, day, hour, minute, second, fraction = '', offset = ''] = FORM.exec(text) ?? [];
  if (whole === undefined) return null;
  const isLeapSecond = second === '60';
  const plain = `${year}-${month}-${day}T${hour}:${minute}:${isLeapSecond ? '59' : second}`;
  const local = Date.parse(`${plain}Z`);
  // Date.parse reads the 31st of a month with 30 days, and the hour 24, as the next day.
  if (Number.isNaN(local) || new Date(local).getUTCDate() !== Number(day)) return null;
  const shift = offsetOf(offset);
  if (shift === null) return null;
  const at = local - shift + Math.floor(Number(`0${fraction}`) * 1000);
  if (at < EARLIEST || at > LATEST) return null;
  if (!isLeapSecond) return at;
  const isEndOfDay = Math.floor((local - shift) / MINUTE) % 1440 === 1439;
  const next = local - shift + 1000;
  return isEndOfDay && next <= LATEST ? next : null;
}

/** Milliseconds of `Z` or `+hh:mm`; null when hours or minutes are out of range. */
function offsetOf(offset: string): number | null {
  if (offset === 'Z' || offset === 'z') return 0;
  const [hours, minutes] = [Number(offset.slice(1, 3)), Number(offset.slice(4, 6))];
  if (hours > 23 || minutes > 59) return null;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * MINUTE;
}

/** The time, ms, of a text that was validated before. @throws RangeError when it is not a time. */
export function timeOf(text: string): number {
  const at = parseTime(text);
  if (at === null) throw new RangeError(`${text} is not an RFC 3339 time`);
  return at;
}

let last = { ms: 0, text: new Date(0).toISOString() };

/** RFC 3339 UTC with milliseconds. Caches the last value: all times in one change are equal. */
export function timestamp(ms: number): string {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() };
  return last.text;
}
