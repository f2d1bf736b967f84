// The formats of output schemas, for texts on which lax and strict implementations differ.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Type } from 'typebox';
import { expect, test } from 'vitest';
import { bodyCheck } from '../../src/api/http/validation.ts';
import { addFormats } from '../../src/output-schema/formats.ts';

const ajv = new Ajv2020();
addFormats(ajv);

const schemas = new Map<string, object>();
function schemaOf(format: string): object {
  const schema = schemas.get(format) ?? { type: 'string', format };
  schemas.set(format, schema);
  return schema;
}

function accepts(format: string, text: string): boolean {
  return ajv.validate(schemaOf(format), text) === true;
}

const CASES: Record<string, { right: string[]; wrong: string[] }> = {
  'date-time': {
    right: [
      '2026-01-01T00:00:00Z',
      '2026-01-01t00:00:00.123456789z',
      '2026-01-01T00:00:00+05:30',
      '2026-01-01T00:00:00-00:00',
      '0000-02-29T00:00:00Z',
      '1998-12-31T23:59:60Z',
      '1998-12-31T15:59:60.123-08:00',
      '1999-01-01T08:59:60+09:00',
      '2016-06-30T23:59:60Z',
    ],
    wrong: [
      '2026-01-01T00:00:00+0530',
      '2026-01-01T00:00:00+05',
      '2026-01-01T00:00:00',
      '2026-01-01 00:00:00Z',
      '2026-01-01\n00:00:00Z',
      '2026-01-01T24:00:00Z',
      '2026-01-01T00:00:61Z',
      '2026-01-01T00:00:00.Z',
      '2026-01-01T00:00:00+24:00',
      '2026-01-01T00:00:00+05:60',
      '2026-02-29T00:00:00Z',
      '1998-12-31T23:58:60Z',
      '1998-12-31T22:59:60Z',
      '1998-12-30T23:59:60Z',
      '1998-12-31T23:59:60-08:00',
      '10000-01-01T00:00:00Z',
      '+002026-01-01T00:00:00Z',
      '2026-01-01T00:00:00Z\n',
      '২০২৬-01-01T00:00:00Z',
    ],
  },
  date: {
    right: ['2024-02-29'],
    wrong: ['2023-02-29', '2023-04-31', '2023-1-01', '2023-01-01Z', '2023-00-01'],
  },
  time: {
    right: ['23:59:60Z', '08:30:06.283185Z', '15:59:60-08:00', '01:29:60+01:30', '00:00:00z'],
    wrong: ['08:30:06', '08:30:06+0530', '08:30:06 Z', '22:59:60Z', '23:59:60+01:00', '24:00:00Z'],
  },
  duration: {
    right: ['P4DT12H30M5S', 'P4Y', 'PT0S', 'P0D', 'P1M', 'PT1M', 'PT36H', 'P2W', 'P1Y2M3D'],
    wrong: ['P', 'PT', 'P1YT', 'PT1D', 'P2D1Y', 'P1Y2D', 'PT1H5S', 'P1Y2W', 'P1.5D', 'p1d', 'P-1D', 'PT0S\n'],
  },
  email: {
    right: [
      'joe@example.com',
      'te~st@example.com',
      '"joe bloggs"@example.com',
      'joe@localhost',
      'joe@[127.0.0.1]',
      'joe@[IPv6:::1]',
    ],
    wrong: [
      'joe',
      '@example.com',
      'joe@',
      '.joe@example.com',
      'joe.@example.com',
      'jo..e@example.com',
      'joe@-a.com',
      'joe@a_b.com',
      'joe bloggs@example.com',
      'joe@[127.0.0.300]',
      `joe@${'a'.repeat(64)}.com`,
      `${'a'.repeat(65)}@example.com`,
      'joé@example.com',
    ],
  },
  hostname: {
    right: ['example.com', 'a', '1a.2b', 'xn--4gbwdl.xn--wgbh1c', 'a'.repeat(63)],
    wrong: ['', '.', 'example.com.', '-a', 'a-', 'a_b', 'a..b', 'a'.repeat(64), `${'a.'.repeat(127)}a`],
  },
  ipv4: {
    right: ['192.168.0.1', '0.0.0.0'],
    wrong: ['127.1', '01.2.3.4', '0x7f.0.0.1', '1.2.3.4/8', '256.1.1.1'],
  },
  ipv6: {
    right: ['::', '::ffff:1.2.3.4', '1:2:3:4:5:6:7::'],
    wrong: ['::1%eth0', '[::1]', '12345::', '1::2::3', '::1.2.3'],
  },
  uri: {
    right: [
      'https://example.org/a?b#c',
      'urn:a:b',
      'mailto:a@b',
      'http://[::1]:80/',
      'a:',
      'x://u:p@h:/',
      'http://a/%20',
    ],
    wrong: [
      '/a',
      'a',
      'http://a b',
      'http://a/"',
      'http://a/%2',
      'http://[::1',
      'http://[::1%25a]',
      'http://a:x',
      '1a:b',
      'http://a/é',
      'http://a\\b',
      'http://a/<>',
    ],
  },
  'uri-reference': {
    right: ['/a', 'a', '', '#a', '?q', '//h/p', './a:b'],
    wrong: ['a"b', '1a:b', 'a b', '\\a', '%', 'a/é', '#a#b'],
  },
  'uri-template': {
    right: ['http://a/{b}', '{a.b}', '{+a,b*,c:30}', 'é'],
    wrong: ['{', '{}', '{a', 'a}', '{a:0}', '{a b}', '<a>', '{.}', '{a.}'],
  },
  uuid: {
    right: ['2EB8AA08-aa98-11EA-B4AA-73B441D16380', '00000000-0000-0000-0000-000000000000'],
    wrong: [
      'urn:uuid:2eb8aa08-aa98-11ea-b4aa-73b441d16380',
      '2eb8aa08aa9811eab4aa73b441d16380',
      '{2eb8aa08-aa98-11ea-b4aa-73b441d16380}',
    ],
  },
  'json-pointer': { right: ['', '/', '/a~0~1/ü'], wrong: ['a', '/~', '/~2', '#/a'] },
  'relative-json-pointer': {
    right: ['0', '1/a', '2#', '0+1', '1-2/a', '0-3#'],
    wrong: ['', '01', '-1', '0+0', '1a', '/a', '0##'],
  },
  regex: { right: ['^[a-z]+$', '\\p{L}', '(?<=a)b'], wrong: ['^(abc]', '\\Z', '\\a', '(?<n>a)(?<n>b', '{'] },
};

test.each(Object.entries(CASES))('%s', (format, { right, wrong }) => {
  expect(right.filter((text) => !accepts(format, text))).toEqual([]);
  expect(wrong.filter((text) => accepts(format, text))).toEqual([]);
});

test('formats take at most linear time for long texts', () => {
  const long = ['a', '1', 'a@', '.', '%20', '{a}', '/', '~0', ':', 'a.', '\\', '"', '[', '(', 'T'];
  for (const format of Object.keys(CASES))
    for (const part of long) expect(typeof accepts(format, `${part.repeat(100_000)}\u0000`)).toBe('boolean');
});

test('date-time of request bodies is as strict, and limited to years of four digits', () => {
  const check = bodyCheck(Type.String({ format: 'date-time' }));
  const isAccepted = (text: string) => check(text).length === 0;
  // A leap second after the last second of any day is accepted, and stored as the first second of the next day.
  expect(CASES['date-time']?.wrong.filter(isAccepted)).toEqual(['1998-12-30T23:59:60Z']);
  expect(['2035-12-31T23:59:59Z', '9999-12-31T23:59:59-08:00'].map(isAccepted)).toEqual([true, false]);
});
