// The forms in which an entry of the feed refers to events.
import { expect, it } from 'vitest';
import { EVENT_TYPES } from '../../../src/state/tasks/lifecycle.ts';
import { readReference, referenceFields } from '../../../src/store/tasks/feed-reference.ts';

const TASK_ID = '01a22f25-c6d1-70b7-9682-862582e72db7';

it('reads what it wrote, in the short form', () => {
  for (const [index, type] of EVENT_TYPES.entries()) {
    const types = [type, ...EVENT_TYPES.slice(0, index)];
    const fields = referenceFields(TASK_ID, 10 * index, types).map(String);
    expect(fields).toHaveLength(2);
    expect(readReference([...fields, 'pool', ''])).toEqual({
      task_id: TASK_ID,
      first: 10 * index,
      types,
      pool: null,
    });
  }
  expect(referenceFields(TASK_ID, 1, ['task.created', 'task.queued'])[1]).toHaveLength(25);
});

it('reads the form of earlier versions, and writes it for an id that is no UUID', () => {
  const read = { task_id: 'x', first: 3, types: ['task.matched', 'task.offered'] };
  const fields = ['task', 'x', 'sequence', '3', 'events', 'matched,offered'];
  expect(readReference(fields)).toEqual(read);
  expect(readReference([...fields, 'pool', 'north'])).toEqual({ ...read, pool: 'north' });
  expect(referenceFields('x', 3, ['task.matched', 'task.offered']).map(String)).toEqual(fields);
});

it.each([
  ['another field', ['o', '{"half']],
  ['a sequence that is no number', ['task', 'x', 'sequence', 'none', 'events', 'created']],
  ['an unknown letter', ['r', 'AaIvJcbRcLeWgoYlguctdw1c?']],
  ['no events', ['r', 'AaIvJcbRcLeWgoYlguctdw1']],
])('takes %s for no reference', (_name, fields) => {
  expect(readReference(fields)).toBeNull();
});
