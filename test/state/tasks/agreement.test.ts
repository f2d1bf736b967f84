// Whether answers agree: the comparison, the groups, and what follows from them, against a plain enumeration.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGREEMENT_MODES,
  type AgreementRule,
  agreementOf,
  agrees,
  largestGroup,
  needed,
  verdict,
} from '../../../src/state/tasks/agreement.ts';
import { pointed } from '../../../src/state/text/pointer.ts';

const MAJORITY: AgreementRule = { mode: 'majority' };
const RULES: readonly AgreementRule[] = [
  { mode: 'unanimous' },
  MAJORITY,
  ...[0, 0.3, 0.5, 0.6, 2 / 3, 0.8, 1].map((threshold) => ({ mode: 'threshold' as const, threshold })),
];

describe('two answers', () => {
  it('agree when they are the same JSON, whatever the order of names', () => {
    expect(agrees({ a: 1, b: [true, null] }, { b: [true, null], a: 1 }, {})).toBe(true);
    expect(agrees({ a: 1 }, { a: 1, b: null }, {})).toBe(false);
    expect(agrees([1, 2], [2, 1], {})).toBe(false);
    expect(agrees('yes', 'Yes', {})).toBe(false);
    expect(agrees(0, -0, {})).toBe(true);
  });

  it('agree on the named fields alone', () => {
    const fields = ['/label', '/box/0'];
    const one = { label: 'cat', box: [1, 2], note: 'at night' };
    expect(agrees(one, { label: 'cat', box: [1, 9] }, { fields })).toBe(true);
    expect(agrees(one, { label: 'dog', box: [1, 2] }, { fields })).toBe(false);
    expect(agrees(one, { label: 'cat', box: [] }, { fields })).toBe(false);
    expect(agrees({}, { note: 'x' }, { fields })).toBe(true);
    expect(agrees({}, { label: null }, { fields: ['/label'] })).toBe(false);
  });

  it('agree when their numbers are within the tolerance, at any depth', () => {
    const tolerance = 0.1;
    expect(agrees(1, 1.1, { tolerance })).toBe(true);
    expect(agrees(1, 1.11, { tolerance })).toBe(false);
    expect(agrees({ at: [1, { x: 5 }] }, { at: [1.05, { x: 4.9 }] }, { tolerance })).toBe(true);
    expect(agrees({ at: 1 }, { at: '1' }, { tolerance })).toBe(false);
    expect(agrees({ at: 1 }, { to: 1 }, { tolerance })).toBe(false);
    expect(agrees([1], [1, 1], { tolerance })).toBe(false);
    expect(agrees({ length: 1 }, [1], { tolerance })).toBe(false);
    expect(agrees(null, {}, { tolerance })).toBe(false);
    expect(agrees({ toString: 1 }, { valueOf: 1 }, { tolerance })).toBe(false);
  });

  it('agree in both directions, and each with itself', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (one, other, tolerance) => {
          for (const rule of [{}, { tolerance }, { tolerance, fields: ['', '/0', '/a'] }]) {
            expect(agrees(one, one, rule)).toBe(true);
            expect(agrees(one, other, rule)).toBe(agrees(other, one, rule));
          }
        },
      ),
    );
  });

  it('that agree exactly agree within every tolerance', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (one, other, tolerance) => {
          if (agrees(one, other, {})) expect(agrees(one, other, { tolerance })).toBe(true);
        },
      ),
    );
  });
});

describe('a pointer', () => {
  it('names a part by escaped tokens, and nothing beyond the JSON', () => {
    const value = { 'a/b': { '~': [10, 20] }, '': 1, length: 2 };
    expect(pointed(value, '')).toBe(value);
    expect(pointed(value, '/a~1b/~0/1')).toBe(20);
    expect(pointed(value, '/')).toBe(1);
    expect(pointed(value, '/length')).toBe(2);
    for (const none of ['/a~1b/~0/2', '/a~1b/~0/01', '/a~1b/~0/length', '/constructor', '/x/y', '/length/0'])
      expect(pointed(value, none)).toBeUndefined();
    expect(pointed('text', '/0')).toBeUndefined();
  });
});

describe('the largest group', () => {
  it('is that of the answer with which most agree; of equal ones the earliest', () => {
    expect(largestGroup([], {})).toBeNull();
    expect(largestGroup(['a', 'b', 'b'], {})).toEqual({ index: 1, size: 2 });
    expect(largestGroup(['a', 'b', 'b', 'a'], {})).toEqual({ index: 0, size: 2 });
    // 1.1 agrees with both, which do not agree with each other.
    expect(largestGroup([1, 1.2, 1.1], { tolerance: 0.1 })).toEqual({ index: 2, size: 3 });
  });

  it('has the same size in every order of the answers', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(numbers, fc.nat(4), (answers, tolerance) => {
        const size = largestGroup(answers, { tolerance })?.size;
        expect(largestGroup(answers.toReversed(), { tolerance })?.size).toBe(size);
        expect(largestGroup(answers.toSorted(), { tolerance })?.size).toBe(size);
      }),
    );
  });
});

describe('the number that must agree', () => {
  it('is all of them, more than half, or the share', () => {
    expect([1, 2, 3, 4, 5].map((copyCount) => needed({ mode: 'unanimous' }, copyCount))).toEqual([
      1, 2, 3, 4, 5,
    ]);
    expect([1, 2, 3, 4, 5].map((copyCount) => needed(MAJORITY, copyCount))).toEqual([1, 2, 2, 3, 3]);
    const share = (threshold: number) =>
      [2, 3, 5, 10, 25].map((copyCount) => needed({ mode: 'threshold', threshold }, copyCount));
    expect(share(0.6)).toEqual([2, 2, 3, 6, 15]);
    expect(share(2 / 3)).toEqual([2, 2, 4, 7, 17]);
    expect(share(1)).toEqual([2, 3, 5, 10, 25]);
    expect(share(0)).toEqual([1, 1, 1, 1, 1]);
  });
});

/** Every sequence of `length` of these. */
function sequences<T>(items: readonly T[], length: number): T[][] {
  if (length === 0) return [[]];
  return sequences(items, length - 1).flatMap((rest) => items.map((item) => [...rest, item]));
}

describe('the verdict', () => {
  it('is as every way in which the open copies can be answered shows', () => {
    // A lost copy brings no answer. Three values suffice: with two open copies at most, a third is as good as any other.
    const values = ['a', 'b', 'c'];
    let seen = 0;
    for (const rule of RULES)
      for (const copyCount of [2, 3, 4])
        for (let given = 0; given <= copyCount; given += 1)
          for (let open = 0; open <= Math.min(2, copyCount - given); open += 1)
            for (const answers of sequences(values, given)) {
              const agreedWith = (all: string[]) => {
                const sizes = values.map((one) => all.filter((other) => other === one).length);
                return Math.max(...sizes) >= needed(rule, copyCount);
              };
              const ends = sequences<string | null>([...values, null], open).map((more) =>
                agreedWith([...answers, ...more.filter((one) => one !== null)]),
              );
              const { kind } = verdict(rule, { answers, open, copyCount, maxCount: copyCount });
              const expected = ends.every(Boolean) ? 'agreed' : ends.some(Boolean) ? 'wait' : 'impossible';
              expect([rule, copyCount, answers, open, kind]).toEqual([
                rule,
                copyCount,
                answers,
                open,
                expected,
              ]);
              seen += 1;
            }
    expect(seen).toBe(2241);
  });

  it('asks for the fewest further answers that could decide, and for none beyond the most', () => {
    const distinct = { answers: ['a', 'b', 'c'], open: 0, copyCount: 3 };
    expect(verdict(MAJORITY, { ...distinct, maxCount: 3 })).toEqual({ kind: 'impossible', index: 0 });
    expect(verdict(MAJORITY, { ...distinct, maxCount: 4 })).toEqual({ kind: 'impossible', index: 0 });
    expect(verdict(MAJORITY, { ...distinct, maxCount: 5 })).toEqual({ kind: 'needs_more', more: 2 });
    const even = { answers: ['a', 'b'], open: 0, copyCount: 2, maxCount: 25 };
    expect(verdict(MAJORITY, even)).toEqual({ kind: 'needs_more', more: 1 });
    expect(verdict({ mode: 'unanimous' }, even)).toEqual({ kind: 'impossible', index: 0 });
    expect(verdict({ mode: 'threshold', threshold: 0.75 }, even)).toEqual({ kind: 'needs_more', more: 2 });
    // A lost copy counts like an answer that agrees with no other.
    const lost = { answers: ['a'], open: 0, copyCount: 2, maxCount: 3 };
    expect(verdict(MAJORITY, lost)).toEqual({ kind: 'needs_more', more: 1 });
    expect(verdict(MAJORITY, { answers: [], open: 0, copyCount: 2, maxCount: 2 })).toEqual({
      kind: 'impossible',
      index: null,
    });
  });

  it('asks so that the further answers can decide, and one fewer could not', () => {
    const rules = fc.constantFrom(...RULES);
    const values = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(rules, values, fc.nat(3), (rule, answers, lost) => {
        const copyCount = answers.length + lost;
        const found = verdict(rule, { answers, open: 0, copyCount, maxCount: 25 });
        if (found.kind !== 'needs_more') return;
        const best = answers[largestGroup(answers, rule)?.index ?? 0];
        const kindAfter = (more: number) =>
          verdict(rule, {
            answers: [...answers, ...Array.from({ length: more }, () => best)],
            open: 0,
            copyCount: copyCount + more,
            maxCount: copyCount + more,
          }).kind;
        expect(kindAfter(found.more)).toBe('agreed');
        expect(kindAfter(found.more - 1)).toBe('impossible');
      }),
    );
  });

  it('is reported with the number and the share of the answers that agree', () => {
    for (const mode of AGREEMENT_MODES) expect(agreementOf({ mode }, [], false).share).toBe(0);
    expect(agreementOf(MAJORITY, ['a', 'b', 'a'], true)).toEqual({
      mode: 'majority',
      agreed: true,
      count: 3,
      agreeing: 2,
      share: 0.667,
    });
  });
});
