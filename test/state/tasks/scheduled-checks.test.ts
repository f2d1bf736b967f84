// The scheduled checks of a task: those of each state, and the difference between two versions, from which jobs are
// added and cancelled.
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { STATUSES } from '../../../src/state/tasks/lifecycle.ts';
import {
  checkKey,
  checksOf,
  checksOnlyIn,
  nextDue,
  type ScheduledCheck,
} from '../../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import {
  ACCEPTED,
  COMMANDS_TO_REACH,
  NOW,
  OFFER,
  OFFER_ENDS,
  queuedTask,
  rfc3339,
  sampleInput,
  taskAfter,
  taskIn,
  WORKER,
} from '../../support/tasks.ts';

const DEADLINE = NOW + 600_000;
const LATENCY = NOW + 300_000;
const clocked = sampleInput({ sla: { deadline: rfc3339(DEADLINE), target_latency_seconds: 300 } });
const CLOCKS = [`target_latency ${LATENCY} null`, `deadline ${DEADLINE} null`];

const DUE_SOON = `due_soon ${DEADLINE - 150_000} null`;

const names = (asked: ScheduledCheck[]) => asked.map(checkKey).sort();
const of = (task: Task) => names(checksOf(task));
const change = (before: Task, commands: readonly Command[], now: number) => {
  const task = taskAfter(before, commands, now);
  const [was, is] = [checksOf(before), checksOf(task)];
  return { task, asked: names(checksOnlyIn(is, was)), dropped: names(checksOnlyIn(was, is)) };
};

describe('the scheduled checks of a state', () => {
  it.each([
    ['created', []],
    ['queued', [`match ${NOW} null`]],
    ['matched', []],
    ['offered', [`offer_expiry ${OFFER_ENDS} ${OFFER}`]],
    ['accepted', [`start_timeout ${ACCEPTED + 900_000} ${ACCEPTED}`]],
    ['started', []],
    ['submitted', [`verify ${ACCEPTED} null`]],
  ] as const)('%s', (status, own) => {
    expect(of(taskIn(status))).toEqual([...own]);
    const isAtWork = status === 'accepted' || status === 'started';
    const clocks = status === 'submitted' ? [] : [...CLOCKS, ...(isAtWork ? [DUE_SOON] : [])];
    expect(of(taskIn(status, clocked))).toEqual([...own, ...clocks].sort());
  });

  it.each(['verified', 'completed', 'failed', 'cancelled'] as const)('%s: has no checks', (status) => {
    expect(of(taskIn(status, clocked))).toEqual([]);
  });

  it('manual review: has no check, or one for its automatic approval', () => {
    expect(of(taskIn('submitted', sampleInput({ review: { mode: 'manual' } })))).toEqual([]);
    const timed = sampleInput({ review: { mode: 'manual', auto_approve_after_seconds: 60 } });
    expect(of(taskIn('submitted', timed))).toEqual([`auto_approve ${ACCEPTED + 60_000} ${ACCEPTED}`]);
  });

  it('a breached SLA clock has no check', () => {
    const rung = taskAfter(taskIn('started', clocked), [{ name: 'target_latency' }], LATENCY);
    expect(of(rung)).toEqual([`deadline ${DEADLINE} null`, DUE_SOON]);
  });

  it('a queued task that was declined has a check at the end of each cool-down', () => {
    const declines = [
      { worker_id: 'a', until: NOW + 5 },
      { worker_id: 'b', until: NOW + 9 },
      { worker_id: 'c', until: NOW + 9 },
      { worker_id: 'd', until: NOW },
    ];
    expect(of({ ...queuedTask(), declines })).toEqual(
      [`match ${NOW} null`, `match ${NOW + 5} cool_down`, `match ${NOW + 9} cool_down`].sort(),
    );
  });
});

describe('from one version of a task to the next', () => {
  it('an offer schedules its expiry and cancels the match', () => {
    const { asked, dropped } = change(queuedTask(clocked), COMMANDS_TO_REACH.offered ?? [], NOW);
    expect(asked).toEqual([`offer_expiry ${OFFER_ENDS} ${OFFER}`]);
    expect(dropped).toEqual([`match ${NOW} null`]);
  });

  it('a return to the queue schedules a match now and one at the end of the cool-down', () => {
    const decline = { name: 'decline', offer_id: OFFER, worker_id: WORKER, reason: null } as const;
    const { asked, dropped } = change(taskIn('offered', clocked), [decline], NOW + 7);
    expect(asked).toEqual([`match ${NOW + 7} null`, `match ${NOW + 7 + 30_000} cool_down`].sort());
    expect(dropped).toEqual([`offer_expiry ${OFFER_ENDS} ${OFFER}`]);
  });

  it('a submission cancels the checks of the SLA clocks, and rework schedules them again', () => {
    const manual = { ...clocked, output: { ...clocked.output, review: { mode: 'manual' as const } } };
    const { task, asked, dropped } = change(
      taskIn('started', manual),
      COMMANDS_TO_REACH.submitted ?? [],
      ACCEPTED,
    );
    expect([asked, dropped]).toEqual([[], [...CLOCKS, DUE_SOON].sort()]);
    const again = change(task, [{ name: 'rework', feedback: null }], ACCEPTED + 1);
    expect([again.asked, again.dropped]).toEqual([[...CLOCKS, DUE_SOON].sort(), []]);
  });

  it('a final state cancels all checks', () => {
    const { asked, dropped } = change(taskIn('offered', clocked), COMMANDS_TO_REACH.cancelled ?? [], NOW + 1);
    expect(asked).toEqual([]);
    expect(dropped).toEqual([...CLOCKS, `offer_expiry ${OFFER_ENDS} ${OFFER}`].sort());
  });

  it('an unchanged task schedules and cancels nothing', () => {
    for (const status of STATUSES) {
      const task = taskIn(status, clocked);
      expect(checksOnlyIn(checksOf({ ...task, version: task.version + 1 }), checksOf(task))).toEqual([]);
    }
  });
});

it('is due at the earliest check that depends on the clock', () => {
  expect(nextDue(checksOf(queuedTask()))).toBeNull();
  expect(nextDue(checksOf(queuedTask(clocked)))).toBe(LATENCY);
  expect(nextDue(checksOf(taskIn('offered', clocked)))).toBe(OFFER_ENDS);
  expect(nextDue(checksOf(taskIn('submitted', clocked)))).toBe(ACCEPTED);
  expect(nextDue(checksOf(taskIn('completed', clocked)))).toBeNull();
});
