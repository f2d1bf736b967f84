// Disputes: when a rejection may be disputed, and which ratings of the worker it changes.
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import { disputableUntil } from '../../../src/state/tasks/dispute-status.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { offerView, workerTaskView } from '../../../src/state/tasks/view.ts';
import { newTrackRecord, withRatings } from '../../../src/state/workers/track-record.ts';
import { applyEffect, effectsOf, type Worker } from '../../../src/state/workers/worker.ts';
import {
  ACCEPTED,
  contextAt,
  sampleInput,
  sampleWorker,
  taskAfter,
  taskIn,
  WORKER,
} from '../../support/tasks.ts';

const WEEK = 7 * 86_400_000;
const OPEN: Command = { name: 'dispute', worker_id: WORKER, text: 'It is right.' };
const UPHOLD: Command = { name: 'resolve_dispute', decision: 'uphold', text: null };
const OVERTURN: Command = { name: 'resolve_dispute', decision: 'overturn', text: 'Indeed.' };

const rejected = (rating: number | null = 1) =>
  taskAfter(taskIn('submitted'), [{ name: 'reject', feedback: 'no', rating }], ACCEPTED);
const codeOf = (task: Task, command: Command, now = ACCEPTED) => {
  const decision = decide(task, [command], contextAt(now));
  return decision.ok ? decision.task.dispute?.status : decision.refusal.code;
};

describe('a dispute', () => {
  it('may be opened for seven days', () => {
    expect(codeOf(rejected(), OPEN, ACCEPTED + WEEK - 1)).toBe('open');
    expect(codeOf(rejected(), OPEN, ACCEPTED + WEEK)).toBe('dispute_too_late');
    expect(disputableUntil(rejected())).toBe(ACCEPTED + WEEK);
  });

  it('may be opened no longer than the task is kept', () => {
    const input = sampleInput({ more: { audit: { log_required: true, retain_days: 3 } } });
    const task = taskAfter(taskIn('submitted', input), [{ name: 'reject', feedback: 'no' }], ACCEPTED);
    expect(disputableUntil(task)).toBe(ACCEPTED + 3 * 86_400_000);
  });

  it('may be opened once, even after the decision and the time', () => {
    const decided = taskAfter(rejected(), [OPEN, OVERTURN], ACCEPTED);
    expect(codeOf(decided, OPEN, ACCEPTED + WEEK)).toBe('already_disputed');
    expect(codeOf(decided, UPHOLD)).toBe('dispute_not_open');
    expect(disputableUntil(decided)).toBeNull();
  });

  it('may be decided at any later time', () => {
    expect(codeOf(taskAfter(rejected(), [OPEN], ACCEPTED), UPHOLD, ACCEPTED + 10 * WEEK)).toBe('upheld');
  });

  it('is for the worker of the rejected submission alone, and for no other failure', () => {
    expect(codeOf(rejected(), { ...OPEN, worker_id: 'other' })).toBe('not_yours');
    const failure = { code: 'attempts_exhausted', message: '' } as const;
    expect(codeOf({ ...rejected(), failure }, OPEN)).toBe('task_not_rejected');
    // A task that was sent back, reported by its next worker and then rejected.
    const [last] = rejected().reviews;
    const reviews = last === undefined ? [] : [{ ...last, decision: 'rework' as const }];
    expect(codeOf({ ...rejected(), reviews }, OPEN)).toBe('task_not_rejected');
  });

  it('leaves the outcome as it is', () => {
    const [before, after] = [rejected(), taskAfter(rejected(), [OPEN, OVERTURN], ACCEPTED + 1)];
    const { status, failure, status_changed_at, completed_at, reviews } = after;
    expect({ status, failure, status_changed_at, completed_at, reviews }).toEqual({
      status: before.status,
      failure: before.failure,
      status_changed_at: before.status_changed_at,
      completed_at: before.completed_at,
      reviews: before.reviews,
    });
  });

  it('does not show the worker which credential decided, and is in no offer', () => {
    const disputed = taskAfter(rejected(), [OPEN, UPHOLD], ACCEPTED);
    expect(workerTaskView(disputed).dispute).not.toHaveProperty('decided_by');
    const [offer] = disputed.offers;
    if (offer === undefined) throw new Error('no offer');
    const { task } = offerView(disputed, offer) as { task: object };
    expect(Object.keys(task).filter((name) => name.startsWith('disput'))).toEqual([]);
  });
});

describe('the rating of a disputed rejection', () => {
  const worker = sampleWorker({
    worker_id: WORKER,
    rating: 4,
    track: withRatings(newTrackRecord(4), [5, 1]),
  });
  /** The worker after a change of the task by one command. */
  const changed = (one: Worker, before: Task, command: Command) => {
    const task = taskAfter(before, [command], ACCEPTED + 1);
    const effect = effectsOf(before, task).get(WORKER);
    return effect === undefined ? one : applyEffect(one, task.task_id, effect, ACCEPTED + 1);
  };
  const counted = (one: Worker | null) => one && [one.track.reviews, one.track.review_sum, one.rating];
  const disputed = taskAfter(rejected(), [OPEN], ACCEPTED);

  it('does not count while the dispute is open and when it is overturned, and counts when it is upheld', () => {
    const open = changed(worker, rejected(), OPEN);
    expect(counted(open)).toEqual([1, 5, 4.091]);
    expect(changed(worker, disputed, OVERTURN)).toBe(worker);
    expect(open && counted(changed(open, disputed, UPHOLD))).toEqual([2, 6, 3.833]);
  });

  it('changes nothing when it came without a rating, or before the rating was set again', () => {
    expect(effectsOf(rejected(null), taskAfter(rejected(null), [OPEN], ACCEPTED)).size).toBe(0);
    const reset = { ...worker, track: { ...worker.track, reset_at: ACCEPTED + 1 } };
    expect(changed(reset, rejected(), OPEN)).toBe(reset);
    expect(changed(reset, disputed, UPHOLD)).toBe(reset);
    expect(counted(changed({ ...worker, track: newTrackRecord(4) }, rejected(), OPEN))).toEqual([0, 0, 4]);
  });
});
