// Escalations as pure decisions: when their conditions hold, what they change, and what follows from that.
import { describe, expect, it } from 'vitest';
import type { EscalateCommand } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { Status } from '../../../src/state/tasks/lifecycle.ts';
import { checksOf, checksOnlyIn, formOfChecks } from '../../../src/state/tasks/scheduled-checks.ts';
import type { Escalation, Task } from '../../../src/state/tasks/task.ts';
import { matchingQueueOf, queueMember } from '../../../src/state/workers/matching.ts';
import { contextAt, NOW, OFFER_ENDS, queuedTask, sampleInput, taskIn } from '../../support/tasks.ts';

const MINUTE = 60_000;
const DUE = NOW + MINUTE;

const first: EscalateCommand = { name: 'escalate', number: 1, pool_gone: false, offer_ttl_ms: 30_000 };

function inputWith(...escalations: Escalation[]) {
  return sampleInput({ sla: { escalations }, requirements: { worker_pool_id: 'a' } });
}

/** A task with one escalation after a minute. */
function waiting(status: Status, escalation: Partial<Escalation>): Task {
  return taskIn(status, inputWith({ after_seconds: 60, while: 'unfinished', ...escalation }));
}

function run(task: Task, command: Partial<EscalateCommand> = {}, now = DUE) {
  const decision = decide(task, [{ ...first, ...command }], contextAt(now));
  if (!decision.ok) throw new Error(decision.refusal.code);
  return decision;
}

describe('the condition of an escalation', () => {
  const states: readonly [Status, unassigned: boolean, unfinished: boolean][] = [
    ['created', true, true],
    ['queued', true, true],
    ['matched', true, true],
    ['offered', true, true],
    ['accepted', false, true],
    ['started', false, true],
    ['submitted', false, false],
    ['verified', false, false],
  ];

  it.each(states)('%s is unassigned: %s, unfinished: %s', (status, unassigned, unfinished) => {
    for (const [condition, holds] of [
      ['unassigned', unassigned],
      ['unfinished', unfinished],
    ] as const) {
      const { task, events } = run(waiting(status, { while: condition, urgency: 'high' }));
      expect(task.status).toBe(status);
      expect(task.input.sla.urgency).toBe(holds ? 'high' : 'normal');
      expect(events.map((one) => one.type)).toEqual(holds ? ['task.escalated'] : []);
      // Either way its time is over.
      expect(checksOf(task).filter((one) => one.kind === 'escalate')).toEqual([]);
      expect(decide(task, [first], contextAt(DUE))).toMatchObject({
        ok: false,
        refusal: { code: 'not_due' },
      });
    }
  });

  it('is not looked at before its time, while the clock is held, or out of turn', () => {
    const task = waiting('queued', { urgency: 'high' });
    const refusals = [
      decide(task, [first], contextAt(DUE - 1)),
      decide(task, [first], { ...contextAt(DUE), isClockFrozen: true }),
      decide(task, [{ ...first, number: 2 }], contextAt(DUE)),
      decide(taskIn('completed', task.input), [first], contextAt(DUE)),
    ];
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ ok: false, refusal: { code: 'not_due' } });
    expect(run(task).due).toBe(DUE);
  });
});

describe('an escalation', () => {
  it('says in its event what it changed', () => {
    const task = waiting('queued', { urgency: 'critical', worker_pool_id: 'b', notify_members: ['m'] });
    const { task: after, events } = run(task);
    expect(events).toMatchObject([
      {
        type: 'task.escalated',
        status: 'queued',
        previous_status: 'queued',
        data: {
          after_seconds: 60,
          while: 'unfinished',
          urgency: 'critical',
          worker_pool_id: 'b',
          notified_members: ['m'],
        },
      },
    ]);
    expect(after.input.requirements).toEqual({ worker_pool_id: 'b' });
    expect(task.input.requirements).toEqual({ worker_pool_id: 'a' });
  });

  it('never lowers the urgency, and does not move a task to the pool it is in', () => {
    const { task, events } = run(waiting('queued', { urgency: 'low', worker_pool_id: 'a' }));
    expect(task.input.sla.urgency).toBe('normal');
    expect(events[0]?.data).toEqual({ after_seconds: 60, while: 'unfinished' });
    expect(task.input_changed_at).toBeUndefined();
  });

  it('skips a pool that is gone, does the rest, and says so', () => {
    const { task, events } = run(waiting('queued', { urgency: 'high', worker_pool_id: 'b' }), {
      pool_gone: true,
    });
    expect(task.input.requirements).toEqual({ worker_pool_id: 'a' });
    expect(events[0]?.data).toEqual({
      after_seconds: 60,
      while: 'unfinished',
      urgency: 'high',
      missing_worker_pool_id: 'b',
    });
  });

  it('moves a queued task to another queue and position, and asks for a match again', () => {
    const before = waiting('queued', { urgency: 'critical', worker_pool_id: 'b' });
    const { task } = run(before);
    expect(matchingQueueOf(task).requirements).toEqual({ worker_pool_id: 'b' });
    expect(queueMember(task) < queueMember(before)).toBe(true);
    expect(checksOnlyIn(checksOf(task), checksOf(before))).toEqual([{ kind: 'match', at: DUE, after: null }]);
  });

  it('shortens a pending offer to the life of one made now, and the time to start', () => {
    const offered = run(waiting('offered', { urgency: 'critical' }));
    expect(offered.task.offers.map((one) => one.expires_at)).toEqual([DUE + 30_000]);
    expect(
      run(waiting('offered', { urgency: 'critical' }), { offer_ttl_ms: MINUTE * 5 }).task.offers,
    ).toMatchObject([{ expires_at: OFFER_ENDS }]);
    const accepted = waiting('accepted', { urgency: 'critical' });
    const [before, after] = [accepted, run(accepted).task].map(
      (task) => checksOf(task).find((one) => one.kind === 'start_timeout')?.at ?? 0,
    );
    expect([before, after]).toEqual([accepted.updated_at + 900_000, accepted.updated_at + 120_000]);
  });

  it('is followed by the next one, which has its own check', () => {
    const escalations: Escalation[] = [
      { after_seconds: 60, while: 'unassigned', urgency: 'high' },
      { after_seconds: 60, while: 'unassigned', urgency: 'critical' },
      { after_seconds: 90, while: 'unassigned', worker_pool_id: 'b' },
    ];
    const task = queuedTask(inputWith(...escalations));
    const next = (one: Task) => checksOf(one).filter(({ kind }) => kind === 'escalate');
    expect(next(task)).toEqual([{ kind: 'escalate', at: DUE, number: 1 }]);
    const decision = decide(task, [first, { ...first, number: 2 }], contextAt(DUE));
    if (!decision.ok) throw new Error(decision.refusal.code);
    expect(decision.events.map((one) => one.data.urgency)).toEqual(['high', 'critical']);
    expect(next(decision.task)).toEqual([{ kind: 'escalate', at: NOW + 90_000, number: 3 }]);
  });

  it('gives outbox entries and jobs a form that older processes leave alone', () => {
    expect(formOfChecks(checksOf(waiting('queued', { urgency: 'high' })))).toBe(2);
    expect(formOfChecks(checksOf(queuedTask()))).toBe(1);
  });
});
