// Tasks with a `not_before` as pure decisions: when they are queued, from when their clocks and their age count.
import { describe, expect, it } from 'vitest';
import { sampleOf } from '../../../src/state/stats/tally.ts';
import type { Command } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import { stepAt, stepsDue } from '../../../src/state/tasks/relaxation.ts';
import { checkKey, checksOf, checksOnlyIn, formOfChecks } from '../../../src/state/tasks/scheduled-checks.ts';
import { dueAt, escalationOf, type Task } from '../../../src/state/tasks/task.ts';
import { taskView, workerTaskView } from '../../../src/state/tasks/view.ts';
import { queueMember, taskOfQueueMember } from '../../../src/state/workers/matching.ts';
import {
  contextAt,
  createdTask,
  NOW,
  queuedTask,
  rfc3339,
  sampleInput,
  taskAfter,
} from '../../support/tasks.ts';

const MINUTE = 60_000;
const START = NOW + 10 * MINUTE;
const DEADLINE = NOW + 20 * MINUTE;
const QUEUE: Command = { name: 'queue' };

function inputFrom(not_before: number) {
  return sampleInput({
    sla: {
      target_latency_seconds: 60,
      deadline: rfc3339(DEADLINE),
      escalations: [{ after_seconds: 120, while: 'unassigned', urgency: 'high' }],
    },
    requirements: { skills: ['calls'], steps: [{ after_seconds: 180, requirements: {} }] },
    more: { not_before: rfc3339(not_before) },
  });
}

const scheduled = (start = START): Task => createdTask(inputFrom(start)).task;
const code = (task: Task, command: Command, now: number, isClockFrozen = false) => {
  const decision = decide(task, [command], { ...contextAt(now), isClockFrozen });
  return decision.ok ? decision.task.status : decision.refusal.code;
};
const times = (task: Task) => [
  dueAt(task, 'target_latency'),
  escalationOf(task, 1)?.at,
  stepAt(task, 1),
  dueAt(task, 'deadline'),
];

describe('a task with a not_before', () => {
  it('is queued from that time on, which the commit checks, and not while the clock is held', () => {
    expect(code(scheduled(), QUEUE, START - 1)).toBe('not_due');
    expect(code(scheduled(), QUEUE, START, true)).toBe('not_due');
    const decision = decide(scheduled(), [QUEUE], contextAt(START));
    expect(decision).toMatchObject({
      ok: true,
      due: START,
      task: { status: 'queued' },
      events: [{ type: 'task.queued', at: START, previous_status: 'created' }],
    });
    // One in the past depends on no time.
    expect(decide(scheduled(NOW - 1), [QUEUE], { ...contextAt(NOW), isClockFrozen: true })).toMatchObject({
      ok: true,
      due: null,
    });
  });

  it('has its clocks, escalations and relaxation steps counted from then, and its deadline unmoved', () => {
    expect(times(scheduled())).toEqual([START + MINUTE, START + 2 * MINUTE, START + 3 * MINUTE, DEADLINE]);
    expect(times(scheduled(NOW - MINUTE))).toEqual([
      NOW + MINUTE,
      NOW + 2 * MINUTE,
      NOW + 3 * MINUTE,
      DEADLINE,
    ]);
    const queued = taskAfter(scheduled(), [QUEUE], START);
    expect([START + 3 * MINUTE - 1, START + 3 * MINUTE].map((at) => stepsDue(queued, at))).toEqual([0, 1]);
  });

  it('has a check for then, which older processes leave alone, and none once it is queued', () => {
    const task = scheduled();
    const [before, after] = [checksOf(task), checksOf(taskAfter(task, [QUEUE], START))];
    expect(checksOnlyIn(before, after).map(checkKey)).toEqual([`queue ${START} null`]);
    expect(
      checksOnlyIn(after, before)
        .map((one) => one.kind)
        .sort(),
    ).toEqual(['match', 'relax']);
    expect(formOfChecks(before)).toBe(3);
    expect(formOfChecks(after)).toBe(2);
    expect(checksOf(taskAfter(task, [{ name: 'cancel', reason: null }], NOW))).toEqual([]);
  });

  it('can be cancelled, changed and fail at its deadline before it is queued, and nothing else', () => {
    const task = scheduled();
    expect(code(task, { name: 'cancel', reason: null }, NOW)).toBe('cancelled');
    expect(code(task, { name: 'update', patch: { sla: { urgency: 'high' } } }, NOW)).toBe('created');
    expect(code(task, { name: 'deadline' }, DEADLINE)).toBe('failed');
    expect(code(task, { name: 'target_latency' }, START)).toBe('not_due');
    const others: Command[] = [
      { name: 'requeue', reason: 'x' },
      { name: 'assign', worker_id: 'w', mode: 'offer', forced: false },
      { name: 'match', worker_ids: ['w'] },
    ];
    for (const command of others) expect(code(task, command, START)).toBe('invalid_transition');
  });

  it('shows it to both sides', () => {
    const not_before = rfc3339(START);
    expect(taskView(scheduled())).toMatchObject({ not_before, status: 'created' });
    expect(workerTaskView(taskAfter(scheduled(), [QUEUE], START))).toMatchObject({ not_before });
    expect(workerTaskView(queuedTask())).not.toHaveProperty('not_before');
  });

  it('takes its place in the queue by its start, not by its creation', () => {
    const plain = (created: number) => ({ ...queuedTask(sampleInput(), created, idFrom(created)) });
    const input = sampleInput({ more: { not_before: rfc3339(START) } });
    const waits = taskAfter({ ...createdTask(input).task, task_id: idFrom(NOW) }, [QUEUE], START);
    const members = [plain(START - 1), waits, plain(START + 1)].map(queueMember);
    expect(members.toSorted()).toEqual(members);
    expect(members.map(taskOfQueueMember)[1]).toBe(waits.task_id);
    const past = { ...createdTask(sampleInput({ more: { not_before: rfc3339(NOW - 1) } })).task };
    expect(queueMember(past)).toMatch(new RegExp(`^\\d+:${past.task_id}$`));
  });

  it('counts waiting and total time from then', () => {
    const queued = taskAfter(scheduled(), [QUEUE], START);
    const end = (task: Task, now: number) => {
      const decision = decide(task, [{ name: 'cancel', reason: null }], contextAt(now));
      if (!decision.ok) throw new Error(decision.refusal.code);
      return sampleOf(task, decision.task, decision.events)?.times;
    };
    expect(end(queued, START + 5)).toEqual({ total: 5 });
    expect(end(scheduled(), NOW + 5)).toEqual({ total: 0 });
    const offered = taskAfter(
      queued,
      [
        { name: 'match', worker_ids: ['w'] },
        { name: 'offer', offers: [{ offer_id: 'o', worker_id: 'w', expires_at: DEADLINE }] },
      ],
      START,
    );
    const accepted = decide(
      offered,
      [{ name: 'accept', offer_id: 'o', worker_id: 'w' }],
      contextAt(START + 7),
    );
    if (!accepted.ok) throw new Error(accepted.refusal.code);
    expect(sampleOf(offered, accepted.task, accepted.events)?.times).toEqual({ waiting: 7 });
  });
});

/** A UUIDv7 that begins with this time, ms. */
function idFrom(time: number): string {
  const hex = time.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
