// The comparison of measured costs with the budget.
import { describe, expect, it } from 'vitest';
import { type Budget, compareWithBudget, usualCosts } from '../../bench/budget.ts';
import type { Life, StepCost } from '../../bench/life-steps.ts';

const cost = { commands: 100, round_trips: 10, bytes_in: 10_000, bytes_out: 10_000 };
const stored = { stored_bytes: 3000 };
const budget: Budget = {
  ...{ create: cost, life: cost, life_with_webhooks: cost },
  ...{ finished_task: stored, pending_timer: stored },
};

function verdict(row: keyof Budget, change: Partial<typeof cost & typeof stored>): string[] {
  const lines = compareWithBudget({ ...budget, [row]: { ...budget[row], ...change } }, budget);
  return lines.filter((line) => line.verdict !== 'met').map((line) => `${line.field} ${line.verdict}`);
}

function life(create: number, rest: number): Life {
  const step = (commands: number): StepCost => ({ ...cost, commands, cpu_us: 0, web_us: 0, worker_us: 0 });
  return new Map([
    ['create', step(create)],
    ['rest', step(rest)],
  ]);
}

describe('compareWithBudget', () => {
  it('finds a single needless command or round trip of a life', () => {
    expect(verdict('life', { commands: 101 })).toEqual(['commands exceeded']);
    expect(verdict('create', { round_trips: 11 })).toEqual(['round_trips exceeded']);
  });

  it('allows bytes to differ by a hundredth', () => {
    expect(verdict('life', { bytes_in: 10_100, bytes_out: 9900 })).toEqual([]);
    expect(verdict('life', { bytes_in: 10_101 })).toEqual(['bytes_in exceeded']);
  });

  it('allows stored bytes to differ by two hundredths', () => {
    expect(verdict('finished_task', { stored_bytes: 3060 })).toEqual([]);
    expect(verdict('finished_task', { stored_bytes: 3061 })).toEqual(['stored_bytes exceeded']);
    expect(verdict('pending_timer', { stored_bytes: 2939 })).toEqual(['stored_bytes could be lowered']);
  });

  it('finds more than a few needless commands of a life with webhooks', () => {
    expect(verdict('life_with_webhooks', { commands: 101 })).toEqual([]);
    expect(verdict('life_with_webhooks', { commands: 109 })).toEqual(['commands exceeded']);
  });

  it('says which budget could be lowered', () => {
    expect(verdict('create', { commands: 99 })).toEqual(['commands could be lowered']);
  });
});

describe('usualCosts', () => {
  it('leaves out what ran beside some of the lives', () => {
    const lives = [life(20, 80), life(20, 300), life(90, 80), life(20, 80)];
    const usual = usualCosts({ without: lives, hooked: lives });
    expect(usual.create.commands).toBe(20);
    expect(usual.life.commands).toBe(100);
  });
});
