// Lists that must have an end: the history of a task that no worker accepts, and the files of a task.
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/state/tasks/decide.ts';
import { type Evidence, refuseEvidence, TASK_FILES } from '../../../src/state/tasks/evidence.ts';
import { MAX_EVENTS } from '../../../src/state/tasks/requeue.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { NOW, OFFER, taskIn, WORKER } from '../../support/tasks.ts';

const by = { now: NOW + 1000, actor: 'worker:w', newId: () => 'id' };
const decline = { name: 'decline', offer_id: OFFER, worker_id: WORKER, reason: null } as const;

function decided(task: Task, command: Parameters<typeof decide>[1][number]): Task {
  const decision = decide(task, [command], by);
  if (!decision.ok) throw new Error(decision.refusal.message);
  return decision.task;
}

const coolDown = (task: Task) => (task.declines[0]?.until ?? by.now) - by.now;

describe('a task that is offered without success', () => {
  it.each([
    [3, 1000],
    [300, 30_000],
    [900, 120_000],
    [9000, 3600_000],
  ])('with %i events: does not ask a worker who declined again for at least %i ms', (sequence, ms) => {
    const declined = decided({ ...taskIn('offered'), sequence }, { ...decline, retry_after_seconds: 1 });
    expect([declined.status, coolDown(declined)]).toEqual(['queued', ms]);
  });

  it('sets a cool-down for a worker whose offers are revoked repeatedly', () => {
    const revoke = { name: 'revoke', worker_id: WORKER } as const;
    expect(coolDown(decided(taskIn('offered'), revoke))).toBe(0);
    expect(coolDown(decided({ ...taskIn('offered'), sequence: 300 }, revoke))).toBe(30_000);
  });

  it('fails when its history has reached the maximum length', () => {
    const given = decided({ ...taskIn('offered'), sequence: MAX_EVENTS }, decline);
    expect(given).toMatchObject({ status: 'failed', failure: { code: 'attempts_exhausted' } });
  });
});

describe('files of a task', () => {
  it('are limited for all workers of the task together', () => {
    const task = taskIn('started');
    const worker = { worker_id: WORKER, incarnation: '' };
    const there = Array.from({ length: TASK_FILES }, () => ({ worker_id: 'another' }) as Evidence);
    expect(refuseEvidence(task, worker, there.slice(1))).toBeNull();
    expect(refuseEvidence(task, worker, there)).toBe('full');
  });
});
