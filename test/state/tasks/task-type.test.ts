// Filling in defaults: what the body has wins, one level deep.
import { expect, it } from 'vitest';
import { isDefault, withDefaults } from '../../../src/state/tasks/task-type.ts';

const defaults = {
  title: 'T',
  sla: { urgency: 'high', target_latency_seconds: 60 },
  requirements: { skills: ['a', 'b'], trust_level: 2 },
  output: { expected_format: 'structured_json', schema: { a: 'string', b: 'string' } },
  metadata: { team: 'x' },
};

it('keeps what the body has, merges its objects by member, and replaces arrays and deeper objects', () => {
  const body = {
    task_type: 't',
    sla: { urgency: 'low' },
    requirements: { skills: ['c'] },
    output: { schema: { c: 'string' } },
    metadata: null,
  };
  expect(withDefaults(body, defaults)).toEqual({
    task_type: 't',
    title: 'T',
    sla: { urgency: 'low', target_latency_seconds: 60 },
    requirements: { skills: ['c'], trust_level: 2 },
    output: { expected_format: 'structured_json', schema: { c: 'string' } },
    metadata: null,
  });
});

it('shares nothing with the defaults, which other tasks use too', () => {
  const filled = withDefaults({ sla: {} }, defaults);
  expect(filled.output).not.toBe(defaults.output);
  expect(filled.requirements).not.toBe(defaults.requirements);
  (filled.output as { schema: object }).schema = {};
  (filled.sla as { urgency: string }).urgency = 'low';
  expect(defaults.output.schema).toEqual({ a: 'string', b: 'string' });
  expect(defaults.sla.urgency).toBe('high');
});

it('tells values that were not sent from those that were, and from missing ones', () => {
  const sent = { sla: { urgency: 'low' }, 'a/b': { 'c~': 1 } };
  const filled = withDefaults(sent, defaults);
  const pointers = [
    '/sla/urgency',
    '/sla/target_latency_seconds',
    '/output/schema/a',
    '/origin',
    '/a~1b/c~0',
  ];
  expect(pointers.map((one) => isDefault(sent, filled, one))).toEqual([false, true, true, false, false]);
});
