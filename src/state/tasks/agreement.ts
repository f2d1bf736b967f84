// Whether several answers to one task agree. Pure: it compares JSON values and counts.
//
// An answer agrees with another when the compared fields are the same JSON, numbers within `tolerance`. Because of the
// tolerance this is not transitive, so the group of an answer is every answer that agrees with it, and the largest group
// decides; of groups with the same size, the one of the earliest answer.

import { canonicalText } from '../text/canonical.ts';
import { pointed } from '../text/pointer.ts';

export const AGREEMENT_MODES = ['unanimous', 'majority', 'threshold'] as const;

/** How answers are compared. */
export interface Comparison {
  /** JSON pointers into the output; absent: the whole output. */
  fields?: string[];
  /** How far two numbers may be apart, at least 0; absent: not at all. */
  tolerance?: number;
}

export interface AgreementRule extends Comparison {
  mode: (typeof AGREEMENT_MODES)[number];
  /** Mode `threshold`: the share of the answers that must agree, 0–1. */
  threshold?: number;
}

/** How far the answers agree. */
export interface Agreement {
  mode: AgreementRule['mode'];
  agreed: boolean;
  /** Number of answers, and of those in the largest group. */
  count: number;
  agreeing: number;
  /** `agreeing` of `count`, to three decimals; 0 without answers. */
  share: number;
}

/** Whether two answers agree. */
export function agrees(one: unknown, other: unknown, { fields, tolerance = 0 }: Comparison): boolean {
  const parts = (value: unknown) => (fields === undefined ? [value] : fields.map((at) => pointed(value, at)));
  const others = parts(other);
  return parts(one).every((part, index) => isNear(part, others[index], tolerance));
}

function isNear(one: unknown, other: unknown, tolerance: number): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (tolerance === 0) return canonicalText(one) === canonicalText(other);
  if (typeof one === 'number' && typeof other === 'number') {
    // The difference of two decimals such as 1.1 and 1 may come out slightly too large.
    const rounding = 2 * Number.EPSILON * Math.max(1, Math.abs(one), Math.abs(other));
    return Math.abs(one - other) <= tolerance + rounding;
  }
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isNear(item, other[index], tolerance));
  if (isRecord(one) && isRecord(other)) {
    const names = Object.keys(one);
    return (
      names.length === Object.keys(other).length &&
      names.every((name) => Object.hasOwn(other, name) && isNear(one[name], other[name], tolerance))
    );
  }
  return one === other;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The largest group: the index of the answer it belongs to, and its size; null without answers. */
export function largestGroup(
  answers: readonly unknown[],
  rule: Comparison,
): { index: number; size: number } | null {
  let best: { index: number; size: number } | null = null;
  for (const [index, answer] of answers.entries()) {
    const size = answers.filter((other) => agrees(answer, other, rule)).length;
    if (best === null || size > best.size) best = { index, size };
  }
  return best;
}

/** How many of `copyCount` answers must agree; at least 1. */
export function needed({ mode, threshold = 1 }: AgreementRule, copyCount: number): number {
  switch (mode) {
    case 'unanimous':
      return Math.max(1, copyCount);
    case 'majority':
      return Math.floor(copyCount / 2) + 1;
    case 'threshold':
      // Without the subtraction, 0.6 of 5 would need 4, because the product comes out above 3.
      return Math.max(1, Math.ceil(threshold * copyCount - 1e-9));
  }
}

/** What follows from the answers so far. `index` is that of the answer that most agree with. */
export type Verdict =
  /** Enough agree, whatever the open copies bring. */
  | { kind: 'agreed'; index: number }
  /** It depends on the open copies. */
  | { kind: 'wait' }
  /** Agreement needs so many further answers, at least. */
  | { kind: 'needs_more'; more: number }
  /** No further answer can bring agreement; `index` is null without answers. */
  | { kind: 'impossible'; index: number | null };

/**
 * @param answers the outputs so far, earliest first.
 * @param copyCount number of copies, including `open` ones that may still bring an answer; the rest brings none.
 * @param maxCount number of copies that may be asked for in all.
 */
export function verdict(
  rule: AgreementRule,
  {
    answers,
    open,
    copyCount,
    maxCount,
  }: { answers: readonly unknown[]; open: number; copyCount: number; maxCount: number },
): Verdict {
  const largest = largestGroup(answers, rule);
  const size = largest?.size ?? 0;
  if (largest !== null && size >= needed(rule, copyCount)) return { kind: 'agreed', index: largest.index };
  if (size + open >= needed(rule, copyCount)) return { kind: 'wait' };
  for (let more = 1; copyCount + more <= maxCount; more += 1)
    if (size + open + more >= needed(rule, copyCount + more)) return { kind: 'needs_more', more };
  return { kind: 'impossible', index: largest?.index ?? null };
}

/** The report about the answers. */
export function agreementOf(rule: AgreementRule, answers: readonly unknown[], agreed: boolean): Agreement {
  const agreeing = largestGroup(answers, rule)?.size ?? 0;
  const share = answers.length === 0 ? 0 : Math.round((agreeing / answers.length) * 1000) / 1000;
  return { mode: rule.mode, agreed, count: answers.length, agreeing, share };
}
