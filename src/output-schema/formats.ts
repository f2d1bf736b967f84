// The formats of JSON Schema 2020-12 (validation, section 7.3), each as strict as the document that defines it. See
// docs/output-schemas.md for the consequences.

import { isIPv4, isIPv6 } from 'node:net';
import type { Ajv2020 } from 'ajv/dist/2020.js';

type Test = (text: string) => boolean;

const matches =
  (form: RegExp): Test =>
  (text) =>
    form.test(text);

const TIME = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:z|([+-])(\d\d):(\d\d))$/i;
const MINUTES_A_DAY = 24 * 60;

/** RFC 3339 `full-date`: an existing day. */
function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return false;
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/**
 * RFC 3339 `full-time`. A leap second is the last second of a UTC day.
 * @returns the time in minutes of UTC since the start of the named day, and whether it is a leap second; null when the
 *   text is not a time.
 */
function timeOf(text: string): { minute: number; isLeap: boolean } | null {
  const [, hour = '', minute = '', second = '', sign, ahead = '0', by = '0'] = TIME.exec(text) ?? [];
  if (hour === '' || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null;
  if (Number(ahead) > 23 || Number(by) > 59) return null;
  const offset = (Number(ahead) * 60 + Number(by)) * (sign === '-' ? -1 : 1);
  const at = Number(hour) * 60 + Number(minute) - offset;
  const isLeap = Number(second) === 60;
  const isLast = (at + MINUTES_A_DAY) % MINUTES_A_DAY === MINUTES_A_DAY - 1;
  return isLeap && !isLast ? null : { minute: at, isLeap };
}

/** RFC 3339 `date-time`, separated by `T`. A leap second is the last second of a UTC month (appendix D). */
function isDateTime(text: string): boolean {
  const date = text.slice(0, 10);
  const time = /^t$/i.test(text.charAt(10)) ? timeOf(text.slice(11)) : null;
  if (time === null || !isDate(date)) return false;
  if (!time.isLeap) return true;
  // The UTC day after the leap second.
  const next = new Date(Date.parse(date) + (time.minute + 1) * 60_000);
  return next.getUTCDate() === 1;
}

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const HOSTNAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'i');

/** RFC 1123, section 2.1: labels of letters, digits and hyphens, without a trailing dot. */
function isHostname(text: string): boolean {
  return text.length <= 253 && HOSTNAME.test(text);
}

const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LOCAL = new RegExp(
  `^(?:${ATOM}(?:\\.${ATOM})*|"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\x20-\\x7e])*")$`,
  'i',
);

/** RFC 5321, section 4.1.2, `Mailbox`. */
function isMailbox(text: string): boolean {
  const at = text.lastIndexOf('@');
  if (at < 1 || at > 64 || text.length > 254 || !LOCAL.test(text.slice(0, at))) return false;
  const domain = text.slice(at + 1);
  const literal = /^\[(?:ipv6:(.*)|(.*))\]$/i.exec(domain);
  if (literal === null) return isHostname(domain);
  return literal[1] === undefined ? isIPv4(literal[2] ?? '') : isPlainIPv6(literal[1]);
}

/** RFC 4291, section 2.2, without a zone. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

const ESCAPE = '%[0-9a-f]{2}';
const URI_PARTS = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is;
const USER = new RegExp(`^(?:[a-z0-9._~!$&'()*+,;=:-]|${ESCAPE})*$`, 'i');
const HOST = new RegExp(`^(?:[a-z0-9._~!$&'()*+,;=-]|${ESCAPE})*$`, 'i');
const PATH = new RegExp(`^(?:[a-z0-9._~!$&'()*+,;=:@/-]|${ESCAPE})*$`, 'i');
const QUERY = new RegExp(`^(?:[a-z0-9._~!$&'()*+,;=:@/?-]|${ESCAPE})*$`, 'i');

/** RFC 3986: a `URI`, or with `relative` a `URI-reference`. */
function isUri(text: string, relative: boolean): boolean {
  const [whole, scheme, authority, path = '', query = '', fragment = ''] = URI_PARTS.exec(text) ?? [];
  if (whole === undefined || (scheme === undefined && !relative)) return false;
  if (!PATH.test(path) || !QUERY.test(query) || !QUERY.test(fragment)) return false;
  if (authority !== undefined) return isAuthority(authority) && (path === '' || path.startsWith('/'));
  // With a colon, the first segment would be read as a scheme.
  return scheme !== undefined || !path.split('/', 1).join().includes(':');
}

function isAuthority(text: string): boolean {
  const at = text.lastIndexOf('@');
  const [, host = '', port] = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/s.exec(text.slice(at + 1)) ?? [];
  if (text.slice(at + 1) !== host + (port === undefined ? '' : `:${port}`)) return false;
  if (!/^\d*$/.test(port ?? '') || (at >= 0 && !USER.test(text.slice(0, at)))) return false;
  if (!host.startsWith('[')) return HOST.test(host);
  const literal = host.slice(1, -1);
  return isPlainIPv6(literal) || /^v[0-9a-f]+\.[a-z0-9._~!$&'()*+,;=:-]+$/i.test(literal);
}

const VARNAME = `(?:[a-z0-9_]|${ESCAPE})(?:\\.?(?:[a-z0-9_]|${ESCAPE}))*`;
const VARSPEC = `${VARNAME}(?::[1-9][0-9]{0,3}|\\*)?`;
const LITERAL = `[^\\x00-\\x20"'<>%\\\\^\`{|}\\x7f]|${ESCAPE}`;
/** RFC 6570, section 2. */
const URI_TEMPLATE = new RegExp(`^(?:${LITERAL}|\\{[+#./;?&=,!@|]?${VARSPEC}(?:,${VARSPEC})*\\})*$`, 'iu');

const POINTER = '(?:/(?:[^~/]|~0|~1)*)*';
const CLOCK_PART = '(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)';
const DAY_PART = '(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)';
/** RFC 3339, appendix A: no unit between two others is omitted, and weeks stand alone. */
const DURATION = new RegExp(`^P(?:\\d+W|${DAY_PART}(?:T${CLOCK_PART})?|T${CLOCK_PART})$`);

/** ECMA-262 with the u flag. The expression is compiled but never executed. */
function isRegex(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

const FORMATS: Record<string, Test> = {
  'date-time': isDateTime,
  date: isDate,
  time: (text) => timeOf(text) !== null,
  duration: matches(DURATION),
  email: isMailbox,
  hostname: isHostname,
  ipv4: isIPv4,
  ipv6: isPlainIPv6,
  uri: (text) => isUri(text, false),
  'uri-reference': (text) => isUri(text, true),
  'uri-template': matches(URI_TEMPLATE),
  // RFC 9562, section 4; not the URN form.
  uuid: matches(/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i),
  // RFC 6901.
  'json-pointer': matches(new RegExp(`^${POINTER}$`)),
  // draft-bhutton-relative-json-pointer-00.
  'relative-json-pointer': matches(new RegExp(`^(?:0|[1-9]\\d*)(?:[+-][1-9]\\d*)?(?:#|${POINTER})$`)),
  regex: isRegex,
};

const EXAMPLES: Readonly<Record<string, string>> = {
  'date-time': '2026-03-01T09:30:00Z',
  date: '2026-03-01',
  time: '09:30:00Z',
  duration: 'PT15M',
  email: 'ann@example.com',
  hostname: 'www.example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/a',
  'uri-reference': '/a?b=c',
  'uri-template': 'https://example.com/{id}',
  uuid: '019bd3a5-1c80-7b5e-8c5e-2f1f3c9a7d10',
  'json-pointer': '/address/city',
  'relative-json-pointer': '1/city',
  regex: '^[a-z]+$',
};

/** The message for a text that does not have a format, with an example of one that has. */
export function formatFault(name: string): string {
  const example = EXAMPLES[name];
  return `must match format "${name}"${example === undefined ? '' : `, such as ${example}`}`;
}

/** Adds the formats of 2020-12 to `ajv`, as assertions. */
export function addFormats(ajv: Ajv2020): void {
  for (const [name, validate] of Object.entries(FORMATS)) ajv.addFormat(name, { type: 'string', validate });
}
