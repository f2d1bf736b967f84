// Scanning JSON as text, to find what different readers may understand differently.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ambiguityOf, type JsonPath, scanJson } from '../../../src/state/text/json-scan.ts';

function numbersIn(json: string): [path: JsonPath, text: string][] {
  const found: [JsonPath, string][] = [];
  scanJson(json, {
    number(text, path) {
      found.push([path(), text]);
      return false;
    },
  });
  return found;
}

describe('a scan for numbers', () => {
  it('finds each number with its path, exactly as written', () => {
    const json = '{"a\\"b": [1.0, {"__proto__": -2e+3}, "3", [], {}, true], "\\\\": 4,"c":{"d":[[5]]}}';
    expect(numbersIn(json)).toEqual([
      [['a"b', 0], '1.0'],
      [['a"b', 1, '__proto__'], '-2e+3'],
      [['\\'], '4'],
      [['c', 'd', 0, 0], '5'],
    ]);
    expect(numbersIn(' -0 ')).toEqual([[[], '-0']]);
  });

  it('finds all numbers of any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        const json = JSON.stringify(value, null, indent);
        const parsed: unknown = JSON.parse(json);
        for (const [path, text] of numbersIn(json)) {
          const at = path.reduce<unknown>(
            (inner, name) => Object.getOwnPropertyDescriptor(inner, name)?.value as unknown,
            parsed,
          );
          if (at !== Number(text)) return false;
        }
        return numbersIn(json).length === countNumbers(parsed) && ambiguityOf(json) === null;
      }),
    );
  });
});

function countNumbers(value: unknown): number {
  if (typeof value === 'number') return 1;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce<number>((sum, one) => sum + countNumbers(one), 0);
}

describe('a duplicate name', () => {
  it.each([
    ['{"a":1,"b":2,"a":1}', 'the member "a" comes twice in one object'],
    ['[{"a":{"b":{},"b":[]}}]', 'the member "b" comes twice in one object'],
    ['{"a":"x","\\u0061":"x"}', 'the member "a" comes twice in one object'],
    ['{"__proto__":{},"__proto__":{}}', 'the member "__proto__" comes twice in one object'],
    ['{"a":1.0}', 'the number 1.0 is not in its one form'],
    ['[9007199254740993]', 'the number 9007199254740993 is not in its one form'],
    ['-0', 'the number -0 is not in its one form'],
  ])('of %s', (json, found) => {
    expect(ambiguityOf(json)).toBe(found);
  });

  it('is not reported for a name in several objects or inside a string', () => {
    expect(ambiguityOf('{"a":{"a":[{"a":1},{"a":"\\"a\\":1,\\"a\\":1.0"}]},"b":1e+21}')).toBeNull();
  });
});
