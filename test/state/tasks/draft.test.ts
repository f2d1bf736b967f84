// When a draft ends with the task's assignment, and when it is kept for the same worker.
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import { endsDraft } from '../../../src/state/tasks/draft.ts';
import { startTime, type Task } from '../../../src/state/tasks/task.ts';
import { ACCEPTED, contextAt, sampleInput, taskAfter, taskIn, WORKER } from '../../support/tasks.ts';

const manual = sampleInput({ review: { mode: 'manual' } });

function ends(before: Task, command: Command, now = ACCEPTED): boolean {
  const decision = decide(before, [command], contextAt(now));
  if (!decision.ok) throw new Error(decision.refusal.message);
  return endsDraft(before, decision.task, decision.events);
}

describe('a draft', () => {
  const ended: [string, Task, Command][] = [
    ['the release', taskIn('started'), { name: 'release', worker_id: WORKER, reason: null }],
    ['the removal of the worker', taskIn('started'), { name: 'remove_worker', worker_id: WORKER }],
    ['the removal of the pool', taskIn('accepted'), { name: 'remove_pool' }],
    ['a cancellation', taskIn('started'), { name: 'cancel', reason: null }],
    ['a reassignment', taskIn('submitted', manual), { name: 'reassign', feedback: 'no' }],
    ['a rejection', taskIn('submitted', manual), { name: 'reject', feedback: 'no' }],
    ['the end of a task that is queued', taskIn('queued'), { name: 'cancel', reason: null }],
  ];
  it.each(ended)('ends with %s', (_what, task, command) => {
    expect(ends(task, command)).toBe(true);
  });

  const kept: [string, Task, Command][] = [
    ['the start', taskIn('accepted'), { name: 'start', worker_id: WORKER }],
    [
      'the submission',
      taskIn('started'),
      { name: 'submit', worker_id: WORKER, submission: { output: 1, evidence: [], notes: null } },
    ],
    ['a rework', taskIn('submitted', manual), { name: 'rework', feedback: 'again' }],
    [
      'a rework that its worker has no capacity for',
      taskIn('submitted', manual),
      { name: 'reassign', is_rework: true, feedback: 'again' },
    ],
    ['a match', taskIn('queued'), { name: 'match', worker_ids: [WORKER] }],
  ];
  it.each(kept)('is kept over %s', (_what, task, command) => {
    expect(ends(task, command)).toBe(false);
  });

  it('is kept when the task was not started in time', () => {
    const due = ACCEPTED + startTime('normal');
    expect(ends(taskIn('accepted'), { name: 'start_timeout', accepted_at: ACCEPTED }, due)).toBe(false);
  });

  it('ends when the task passes from one worker to another without a reason to keep it', () => {
    const before = taskIn('started');
    const { assignment } = before;
    if (assignment === null) throw new Error('not assigned');
    const after = {
      ...taskAfter(taskIn('accepted'), [], ACCEPTED),
      assignment: { ...assignment, worker_id: 'other' },
    };
    expect(endsDraft(before, after, [])).toBe(true);
  });
});
