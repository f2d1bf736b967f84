// Gold tasks of a type: how often which is drawn, and what is made of it.
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { drawGold, goldInput } from '../../../src/state/tasks/gold.ts';
import { sampleInput } from '../../support/tasks.ts';

const TASKS = [{ output: 'a' }, { output: 'b' }, { output: 'c' }, { output: 'd' }];
const SEEDS = Array.from({ length: 10_000 }, () => randomUUID());

it.each([0, 0.05, 0.5, 1])('is drawn with the rate %d, each item as often as the others', (rate) => {
  const drawn = SEEDS.flatMap((seed) => drawGold({ rate, tasks: TASKS }, seed) ?? []);
  // More than four standard deviations.
  expect(Math.abs(drawn.length / SEEDS.length - rate)).toBeLessThan(0.025);
  if (rate === 0 || rate === 1) expect(drawn).toHaveLength(rate * SEEDS.length);
  for (const item of TASKS) {
    const share = drawn.filter((one) => one === item).length / SEEDS.length;
    expect(Math.abs(share - rate / TASKS.length)).toBeLessThan(0.025);
  }
});

it('follows from the seed alone', () => {
  for (const seed of SEEDS.slice(0, 100))
    expect(drawGold({ rate: 0.5, tasks: TASKS }, seed)).toBe(drawGold({ rate: 0.5, tasks: TASKS }, seed));
});

it('is done by those who may do the real task until the same time, and asks what its type and item say', () => {
  const sla = { urgency: 'high', deadline: '2099-01-01T00:00:00.000Z', target_latency_seconds: 60 } as const;
  const requirements = { worker_pool_id: 'night', skills: ['de'] };
  const input = sampleInput({ requirements, handoff: { callback_url: 'https://example.org' } });
  const real = {
    ...input,
    context: { background: 'of the real task' },
    metadata: { a: 'b' },
    sla: {
      ...sla,
      on_deadline: { action: 'complete' as const, output: 'none' },
      escalations: [
        {
          after_seconds: 1,
          while: 'unassigned' as const,
          urgency: 'critical' as const,
          notify_members: ['m'],
        },
      ],
    },
    output: {
      ...input.output,
      review: { mode: 'manual' as const },
      copies: { count: 2, agreement: { mode: 'majority' as const } },
    },
  };
  const defaults = {
    title: 'Of the type',
    instructions: 'Of the type.',
    output: { expected_format: 'structured_json', schema: { seen: 'boolean' } },
  };
  const gold = goldInput(real, defaults, { title: 'Of the item', output: { seen: true } });
  const { handoff: _handoff, metadata: _metadata, context: _context, ...rest } = real;
  expect(gold).toEqual({
    ...rest,
    title: 'Of the item',
    instructions: 'Of the type.',
    sla: { ...sla, escalations: [{ after_seconds: 1, while: 'unassigned', urgency: 'critical' }] },
    output: {
      ...defaults.output,
      evidence_required: false,
      review: { mode: 'auto' },
      gold: { output: { seen: true } },
    },
  });
  expect(goldInput(real, { ...defaults, context: { background: 'x' } }, { output: 1 })).toMatchObject({
    title: 'Of the type',
    context: { background: 'x' },
  });
});
