// Updates of a task's input: the merge of the patch, the list of changes, breached clocks, and the metadata of the past.
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { TaskEvent } from '../../../src/state/tasks/event.ts';
import { changesBetween, inputAt, patched, type TaskPatch } from '../../../src/state/tasks/patch.ts';
import { requirementsOf } from '../../../src/state/tasks/relaxation.ts';
import { checkKey, checksOf } from '../../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { MAX_UPDATES } from '../../../src/state/tasks/update.ts';
import {
  ACCEPTED,
  contextAt,
  NOW,
  queuedTask,
  rfc3339,
  sampleInput,
  taskAfter,
  taskIn,
} from '../../support/tasks.ts';

const MINUTE = 60_000;

function updated(task: Task, patch: TaskPatch, now = ACCEPTED) {
  const decision = decide(task, [{ name: 'update', patch }], contextAt(now));
  if (!decision.ok) throw new Error(decision.refusal.message);
  return decision;
}

describe('a patch', () => {
  const input = sampleInput({
    sla: { deadline: rfc3339(NOW + MINUTE) },
    requirements: { skills: ['a'], min_rating: 4 },
    more: { metadata: { team: 'red', shift: 'night' } },
  });

  it('sets given members, removes those that are null, and keeps the others', () => {
    const after = patched(input, {
      sla: { urgency: 'critical', deadline: null },
      requirements: { skills: ['b'], min_rating: null, trust_level: 2 },
      metadata: { shift: null, lead: 'ada' },
    });
    expect(after.sla).toEqual({ urgency: 'critical' });
    expect(after.requirements).toEqual({ skills: ['b'], trust_level: 2 });
    expect(after.metadata).toEqual({ team: 'red', lead: 'ada' });
    expect(after.title).toBe(input.title);
    expect(input.metadata).toEqual({ team: 'red', shift: 'night' });
  });

  it('removes all requirements or metadata with null', () => {
    const after = patched(input, { requirements: null, metadata: null });
    expect(Object.keys(after)).not.toContain('requirements');
    expect(Object.keys(after)).not.toContain('metadata');
  });

  it('lists each changed member with its value before and after', () => {
    const after = patched(input, {
      sla: { urgency: 'normal', target_latency_seconds: 60 },
      requirements: { min_rating: null, skills: ['a'] },
      metadata: { lead: 'ada' },
    });
    expect(changesBetween(input, after)).toEqual([
      { pointer: '/sla/target_latency_seconds', from: null, to: 60 },
      { pointer: '/requirements/min_rating', from: 4, to: null },
      {
        pointer: '/metadata',
        from: { team: 'red', shift: 'night' },
        to: { team: 'red', shift: 'night', lead: 'ada' },
      },
    ]);
    expect(changesBetween(input, patched(input, { metadata: { team: 'red' } }))).toEqual([]);
  });
});

describe('an update', () => {
  it('emits task.updated and leaves the status, its time and the assignment as they are', () => {
    const before = taskIn('started');
    const { task, events } = updated(before, { sla: { urgency: 'high' } }, ACCEPTED + MINUTE);
    expect(events).toMatchObject([
      {
        type: 'task.updated',
        status: 'started',
        previous_status: 'started',
        data: { changes: [{ pointer: '/sla/urgency', from: 'normal', to: 'high' }] },
      },
    ]);
    expect(task).toMatchObject({ status: 'started', status_changed_at: before.status_changed_at });
    expect(task.assignment).toEqual(before.assignment);
  });

  it('is refused when nothing changes, and after too many', () => {
    const task = queuedTask();
    expect(
      decide(task, [{ name: 'update', patch: { sla: { urgency: 'normal' } } }], contextAt(NOW)),
    ).toMatchObject({
      ok: false,
      refusal: { code: 'not_due' },
    });
    const full = { ...task, updates: MAX_UPDATES };
    expect(
      decide(full, [{ name: 'update', patch: { sla: { urgency: 'low' } } }], contextAt(NOW)),
    ).toMatchObject({
      ok: false,
      refusal: { code: 'too_many_updates' },
    });
  });

  it('moves the scheduled checks with the due times and the urgency', () => {
    const before = taskIn('accepted', sampleInput({ sla: { deadline: rfc3339(NOW + MINUTE) } }));
    const { task } = updated(before, {
      sla: { urgency: 'critical', deadline: rfc3339(NOW + 5 * MINUTE), target_latency_seconds: 120 },
    });
    expect(checksOf(task).map(checkKey).sort()).toEqual([
      `deadline ${NOW + 5 * MINUTE} null`,
      `due_soon ${NOW + 3 * MINUTE} null`,
      `start_timeout ${ACCEPTED + 120_000} ${ACCEPTED}`,
      `target_latency ${NOW + 2 * MINUTE} null`,
    ]);
  });

  it('opens a breached clock whose due time moves to the future, and no other', () => {
    const sla = { target_latency_seconds: 30, deadline: rfc3339(NOW + MINUTE) };
    const late = NOW + 2 * MINUTE;
    const breached = taskAfter(
      taskIn('started', sampleInput({ sla })),
      [{ name: 'target_latency' }, { name: 'deadline' }],
      late,
    );
    expect(breached.breaches.map((one) => one.clock)).toEqual(['target_latency', 'deadline']);
    const { task } = updated(breached, { sla: { target_latency_seconds: 60 } }, late);
    expect(task.breaches.map((one) => one.clock)).toEqual(['target_latency', 'deadline']);
    const moved = updated(breached, { sla: { deadline: rfc3339(late + MINUTE) } }, late).task;
    expect(moved.breaches.map((one) => one.clock)).toEqual(['target_latency']);
    expect(checksOf(moved).map((one) => one.kind)).toContain('deadline');
    expect(updated(breached, { sla: { deadline: null } }, late).task.breaches).toHaveLength(1);
  });

  it('flags a target latency that is past as soon as it is set', () => {
    const { events, due } = updated(queuedTask(), { sla: { target_latency_seconds: 10 } }, NOW + MINUTE);
    expect(events.map((one) => one.type)).toEqual(['task.updated', 'task.sla_breached']);
    expect(due).toBe(NOW + 10_000);
  });

  it('applies the relaxation steps that are due under new requirements', () => {
    const steps = [{ after_seconds: 30, requirements: { skills: ['b'] } }];
    const patch = { requirements: { skills: ['a', 'b'], steps } };
    expect(requirementsOf(updated(queuedTask(), patch, NOW + 1000).task).skills).toEqual(['a', 'b']);
    expect(requirementsOf(updated(queuedTask(), patch, NOW + MINUTE).task).skills).toEqual(['b']);
  });
});

describe('the input at an earlier event', () => {
  it('has the metadata of that time, in the order of its members', () => {
    const given = { team: 'red', shift: 'night' };
    const history: TaskEvent[] = [];
    let task = queuedTask(sampleInput({ more: { metadata: given } }));
    for (const patch of [
      { metadata: { shift: null } },
      { sla: { urgency: 'low' as const } },
      { metadata: { shift: 'day' } },
    ]) {
      const decision = updated(task, patch);
      history.push(...decision.events);
      task = decision.task;
    }
    const told = [0, 1, 2, 3].map((from) =>
      JSON.stringify(inputAt(task.input, history.slice(from)).metadata),
    );
    expect(told).toEqual([
      '{"team":"red","shift":"night"}',
      '{"team":"red"}',
      '{"team":"red"}',
      '{"team":"red","shift":"day"}',
    ]);
    expect(task.metadata_since).toBe(task.sequence);
  });
});
