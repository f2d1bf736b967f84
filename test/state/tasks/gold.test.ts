// Gold tasks of a type: how often which is drawn, and what is made of it.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { comparisonOf, copyInput } from '../../../src/state/tasks/copies.ts';
import { create, decide } from '../../../src/state/tasks/decide.ts';
import { drawGold, goldInput, goldMark } from '../../../src/state/tasks/gold.ts';
import type { TaskInput } from '../../../src/state/tasks/task.ts';
import { workerTaskView } from '../../../src/state/tasks/view.ts';
import { contextAt, NOW, queuedTask, sampleInput } from '../../support/tasks.ts';

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
  const real: TaskInput = {
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

describe('with a task that has copies', () => {
  const input = sampleInput({
    sla: { urgency: 'high', target_latency_seconds: 60 },
    review: { mode: 'manual' },
    more: { metadata: { a: 'b' } },
  });
  const agreement = { mode: 'majority' as const, tolerance: 0.5 };
  const output = { ...input.output, copies: { count: 3, agreement } };
  const real = queuedTask({ ...input, output });
  const defaults = { output: { expected_format: 'text' } };
  const item = { title: input.title, output: '1' };
  const ids = () => ({ task_id: randomUUID(), org_id: real.org_id });
  const made = (from: TaskInput, marks: Parameters<typeof create>[3]) =>
    create(from, ids(), contextAt(NOW), marks).task;
  const copy = made(copyInput(real.input), { copy_of: real.task_id });
  const gold = made(goldInput(real.input, defaults, item), { gold: goldMark(real) });

  it('it looks like one of the copies', () => {
    const { task_id: _id, ...shown } = workerTaskView(gold);
    const { task_id: _other, ...shownOfCopy } = workerTaskView(copy);
    expect(shown).toEqual(shownOfCopy);
    const message = { text: 'x', is_question: false, answers: null, message_id: 'm' };
    for (const [of, task] of Object.entries({ copy, gold })) {
      const at = { ...task, status: 'started' as const };
      const author = { kind: 'worker' as const, id: 'w' };
      const told = decide(at, [{ name: 'message', author, ...message }], contextAt(NOW));
      const reported = decide(
        at,
        [{ name: 'report', worker_id: 'w', reason: 'other', text: null }],
        contextAt(NOW),
      );
      expect([of, told.ok, reported.ok]).toEqual([of, false, false]);
    }
  });

  it('it is compared with the tolerance of the copies, unless the item has one', () => {
    expect(gold.input.output.gold).toEqual({ output: '1', tolerance: 0.5 });
    const exact = goldInput(real.input, defaults, { ...item, tolerance: 0 });
    expect(comparisonOf(exact)).toEqual({ tolerance: 0 });
    const known = copyInput({ ...real.input, output: { ...output, gold: { output: '1' } } });
    expect(comparisonOf(known)).toEqual({ tolerance: 0.5 });
  });
});
