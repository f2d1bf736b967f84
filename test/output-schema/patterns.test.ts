// Untrusted regular expressions: which are refused, which common ones are accepted, and that RE2 matches the same texts as
// ECMAScript.
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compilePattern } from '../../src/output-schema/patterns.ts';
import { ambiguityOf } from '../../src/output-schema/regex-ambiguity.ts';
import { PatternError, parseRegex, toRe2 } from '../../src/output-schema/regex-syntax.ts';

describe('patterns that can backtrack catastrophically', () => {
  it.each([
    '^(a+)+$',
    '(a|a)*$',
    '(a|aa)+$',
    '(.*)*x',
    '(a*)*b',
    '(a*)+b',
    '(a+)*b',
    '(x+x+)+y',
    '([a-z]+)*=',
    '(a?b?)*c',
    '(a|b|ab)*c',
    '(?:\\d|\\d\\d)*$',
    '(\\w+\\s?)*$',
    '^(\\s*\\w+\\s*)*$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '^(.*?,){11}P',
    '(.*)(.*)(.*)(.*)=',
    '.*a.*b.*c.*d.*e',
    '^(a+){10}$',
    '(a|aa){30}$',
    '(.|.){20}$',
    '(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)$',
    `${'a?'.repeat(30)}${'a'.repeat(30)}$`,
    '^(((a[ab]|.)){0,4}){0,4}$',
    '^((\\p{L}|\\p{Lu})+ ?)+$',
    '^(https?:\\/\\/)?([\\da-z\\.-]+)\\.([a-z\\.]{2,6})([\\/\\w \\.-]*)*\\/?$',
    '^\\w+([.-]?\\w+)*@\\w+([.-]?\\w+)*(\\.\\w{2,3})+$',
    '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
  ])('refuses %s', (source) => {
    expect(() => compilePattern(source)).toThrow(/^can backtrack catastrophically: /);
  });

  it('are refused in bounded time', () => {
    const worst = [
      `(${Array.from({ length: 400 }, (_, at) => `[a${at % 7}]?`).join('')})*`,
      `(${'(a|b|c|d)?'.repeat(180)})+$`,
      `${'[a-z]{0,60}'.repeat(80)}`,
      `(${Array.from({ length: 300 }, () => 'ab*').join('|')})+`,
    ];
    for (const source of worst) {
      const started = performance.now();
      expect(() => compilePattern(source)).toThrow(PatternError);
      expect(performance.now() - started).toBeLessThan(3_000);
    }
  });
});

describe('common patterns', () => {
  it.each<[string, string, string]>([
    ['^\\d{3}-\\d{4}$', '555-0199', '5550199'],
    ['^\\d{3}\\-\\d{4}$', '555-0199', '5550199'],
    ['^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$', 'a.b@example.com', 'a.b@example'],
    ['^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$', 'a@b.c', 'a @b.c'],
    ['^[\\w-\\.]+@([\\w-]+\\.)+[\\w-]{2,4}$', 'a-b@c.de', 'a@b'],
    [
      "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
      'a@b-c.d',
      'a@-b',
    ],
    [
      '^[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
      '0190163d-8694-739b-aea5-966c26f8ad91',
      '0190163d',
    ],
    ['^\\d{4}-\\d{2}-\\d{2}$', '2026-02-04', '2026-2-4'],
    [
      '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?(Z|[+-]\\d{2}:\\d{2})$',
      '2026-02-04T19:21:00.5Z',
      '2026-02-04',
    ],
    [
      '^((25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$',
      '192.0.2.255',
      '192.0.2.256',
    ],
    ['^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$', '00:00:5e:00:53:af', '00:00:5e'],
    [
      '^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(?:-((?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\\.(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$',
      '1.2.3-rc.1',
      '1.02.3',
    ],
    [
      '^https?:\\/\\/(?:www\\.)?[-a-zA-Z0-9@:%._+~#=]{1,256}\\.[a-zA-Z0-9()]{1,6}\\b(?:[-a-zA-Z0-9()@:%_+.~#?&/=]*)$',
      'https://a.test/b?c',
      'ftp://a',
    ],
    ['^[a-z0-9]+(?:-[a-z0-9]+)*$', 'a-slug-2', 'a--b'],
    ['^\\+[1-9]\\d{1,14}$', '+14155550199', '4155550199'],
    ['^-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?$', '-1.5e9', '1.'],
    ['^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$', 'aGk=', 'aGk'],
    ['^CVE-\\d{4}-\\d{4,}$', 'CVE-2026-12345', 'CVE-26-1'],
    ['^[A-Z]{2}\\d{2}[A-Z0-9]{11,30}$', 'DE89370400440532013000', 'DE'],
    ['^(mon|tue|wed)(,(mon|tue|wed))*$', 'mon,wed', 'mon,'],
    ['^\\p{Lu}\\p{L}*( \\p{Lu}\\p{L}*)*$', 'Élan Żak', 'élan'],
    ['^.{8,64}$', 'password', 'pass'],
    ['^\\s*(.*?)\\s*$', ' x ', '\n\ny\n z'],
    ['.*foo.*bar.*', 'a foo b bar', 'bar foo'],
    ['\\s+$', 'x ', 'x'],
    ['^(a)(b)?$', 'ab', 'b'],
    ['', 'anything', ''],
    ['^$', '', ' '],
  ])('runs %s', (source, match, other) => {
    const pattern = compilePattern(source);
    expect(pattern.test(match)).toBe(true);
    if (source !== '') expect(pattern.test(other)).toBe(false);
  });

  it('have different toString() results, so that Ajv does not merge them', () => {
    expect(String(compilePattern('a'))).not.toBe(String(compilePattern('b')));
  });
});

describe('patterns that are not supported', () => {
  it.each<[string, RegExp]>([
    ['(', /is not a regular expression/],
    ['a**', /is not a regular expression/],
    ['(?i)a', /is not a regular expression/],
    ['a{2,1}', /is not a regular expression/],
    ['(?=a)', /look-around/],
    ['(?!a)', /look-around/],
    ['(?<=a)b', /look-around/],
    ['(?<!a)b', /look-around/],
    ['(a)\\1', /back reference/],
    ['(?<x>a)\\k<x>', /back reference/],
    ['\\Aa\\z', /escape \\A/],
    ['\\p{Nonsense}', /escape \\p/],
    ['\\pL', /escape \\p/],
    ['a{1001}', /more than 1000 times/],
    ['(a{100}){100}', /more than 5000 times/],
    ['(a{40}b){30}', /multiply to more than 1000/],
    ['a'.repeat(2_001), /longer than 2000/],
  ])('refuses %s', (source, reason) => {
    expect(() => compilePattern(source)).toThrow(reason);
  });
});

describe('the translation to RE2', () => {
  const atom = fc.constantFrom(
    ...[
      'a',
      'b',
      '-',
      ' ',
      '.',
      '\\d',
      '\\D',
      '\\w',
      '\\W',
      '\\s',
      '\\S',
      '\\n',
      '\\t',
      '\\x61',
      '\\u0062',
      '\\u{63}',
    ],
    ...[
      '\\cJ',
      '\\0',
      '\\.',
      '\\/',
      '[ab]',
      '[^ab]',
      '[a-c-]',
      '[\\s\\d]',
      '[^\\W]',
      '[\\b]',
      '[]',
      '[^]',
      'é',
      '😀',
    ],
    ...[
      '[😀-😎]',
      '\\ud83d\\ude00',
      '\\p{L}',
      '\\P{L}',
      '\\p{Lu}',
      '\\p{Script=Greek}',
      '[^\\p{L}\\s]',
      '\\p{Any}',
    ],
    ...['^', '$', '\\b', '\\B', '(?<n>a|b)', '(?:)'],
  );
  const { regex } = fc.letrec<{ regex: string }>((tie) => ({
    regex: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      atom,
      fc.tuple(tie('regex'), tie('regex')).map(([a, b]) => a + b),
      fc.tuple(tie('regex'), tie('regex')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('regex'), fc.constantFrom('*', '+', '?', '*?', '{2}', '{0,2}', '{1,}', '{2,3}?'))
        .map(([a, quantifier]) => `(?:${a})${quantifier}`),
    ),
  }));
  const text = fc
    .array(fc.constantFrom(...'ab c-.\n\r\t1_Aé😀😎ΩБ\u00a0\u2028\u0000\b/'), { maxLength: 8 })
    .map((letters) => letters.join(''));

  /** Whether a sticky expression matches. V8's own search also tries between the halves of a surrogate pair, where `\\B` matches. */
  const matchesSomewhere = (sticky: RegExp, subject: string) => {
    let start = 0;
    for (const letter of [...subject, '']) {
      sticky.lastIndex = start;
      if (sticky.test(subject)) return true;
      start += letter.length;
    }
    return false;
  };

  it('matches what ECMAScript matches', () => {
    fc.assert(
      fc.property(regex, fc.array(text, { minLength: 4, maxLength: 4 }), (source, texts) => {
        // Two groups with the same name are refused before the translation.
        fc.pre(source.split('(?<n>').length <= 2);
        const native = new RegExp(source, 'uy');
        const re2 = RE2JS.compile(toRe2(parseRegex(source)));
        for (const each of texts) {
          expect({ source, each, matches: re2.test(each) }).toEqual({
            source,
            each,
            matches: matchesSomewhere(native, each),
          });
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ...['^(?:[01]?){80}#$', '^(?:[01]?){65}#$', '^(?:[01]?){1000}#$', '^(?:a?){80,}#$', '^(?:a?){0,80}#$'],
    ...[
      '(?:a*){70}#',
      '(?:a|){100}#',
      '(?:|a){100}$',
      '(?:a?b?){50}#',
      '(?:(?:a?){20}){20}#',
      '(?:^|a){90}#',
    ],
    ...['^(?:[01]?){30}#$', '^(?:a?){40,}#$', '^a(?:||||){10}$', '^(?:||||||||a){10}#$', '(?:a|b|ab){30}$'],
    '^(?:(?:b|b)z|(?:d|d)z|(?:e|e)z|(?:f|f)z|c(?:a?){60})#$',
    `^${'(?:(?:b|b)(?:b|b)(?:b|b)[^\\s\\S]|(?:d|d)(?:d|d)(?:d|d)[^\\s\\S]|(?:e|e)(?:e|e)(?:e|e)[^\\s\\S]|c(?:a|a))'.repeat(16)}#$`,
    `${'(?:a|a)'.repeat(20)}#`,
    `${'(?:ab|a)(?:c|bc)'.repeat(20)}#`,
  ])('refuses %s', (source) => {
    expect(() => compilePattern(source)).toThrow(/catastrophically/);
  });

  it.each([
    '^(?:[01]?){8}$',
    '^(?:a?)*$',
    '^\\d{2,}$',
    '^(?:\\+\\d{1,3})?(?:\\s?\\d{2}){4,7}$',
    '^(?:[0-9a-f]{0,4}:){1,7}$',
  ])('accepts %s', (source) => {
    expect(() => compilePattern(source)).not.toThrow();
  });

  it('never accepts a pattern that has very many readings', () => {
    // Runs a backtracking matcher that counts its steps, on texts that fail at their end.
    fc.assert(
      fc.property(simpleRegex, fc.constantFrom('a', 'b', 'ab', 'aab', 'abb'), (source, unit) => {
        const regex = parseRegex(`^${source}$`);
        fc.pre(ambiguityOf(regex).danger === 'none');
        const steps = [8, 16].map((times) => backtrackingSteps(regex, `${unit.repeat(times)}!`));
        // Twice the text may cost eight times the steps (three loops sharing it), with room for small numbers.
        expect({
          source,
          unit,
          steps,
          isWild: (steps[1] ?? 0) > 60_000 && (steps[1] ?? 0) > 40 * (steps[0] ?? 0),
        }).toMatchObject({ isWild: false });
      }),
      { numRuns: 300 },
    );
  });
});

const { simpleRegex } = fc.letrec<{ simpleRegex: string }>((tie) => ({
  simpleRegex: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('a', 'b', '.', '[ab]'),
    fc.tuple(tie('simpleRegex'), tie('simpleRegex')).map(([a, b]) => a + b),
    fc.tuple(tie('simpleRegex'), tie('simpleRegex')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie('simpleRegex'), fc.constantFrom('*', '+', '?', '{2}', '{2,3}'))
      .map(([a, quantifier]) => `(?:${a})${quantifier}`),
  ),
}));

type Regex = ReturnType<typeof parseRegex>;

/** Steps that a simple backtracking matcher needs to fail on `text`, at most 200 000. */
function backtrackingSteps(regex: Regex, text: string): number {
  const limit = 200_000;
  let steps = 0;
  const match = (node: Regex, at: number, then: (at: number) => boolean): boolean => {
    steps += 1;
    if (steps >= limit) return true;
    switch (node.kind) {
      case 'set': {
        const code = text.charCodeAt(at);
        return (
          at < text.length && node.set.some(([low, high]) => low <= code && code <= high) && then(at + 1)
        );
      }
      case 'sequence': {
        const part = (number: number, from: number): boolean => {
          const next = node.parts[number];
          return next === undefined ? then(from) : match(next, from, (to) => part(number + 1, to));
        };
        return part(0, at);
      }
      case 'choice':
        return node.branches.some((branch) => match(branch, at, then));
      case 'repeat': {
        const turn = (count: number, from: number): boolean => {
          const again = (to: number): boolean => (to !== from || count < node.min) && turn(count + 1, to);
          return (count < node.max && match(node.body, from, again)) || (count >= node.min && then(from));
        };
        return turn(0, at);
      }
      case 'start':
        return at === 0 && then(at);
      case 'end':
        return at === text.length && then(at);
      default:
        return then(at);
    }
  };
  match(regex, 0, () => true);
  return steps;
}
