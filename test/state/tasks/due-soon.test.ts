// When a worker is reminded of a deadline, and whether the notice is still worth sending.
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../../src/state/notices/message.ts';
import { isRelevant, noticesOf } from '../../../src/state/notices/notice.ts';
import { dueSoonAt } from '../../../src/state/tasks/due-soon.ts';
import { checksOf, formOfChecks, nextDue } from '../../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { NOW, rfc3339, sampleInput, taskAfter, taskIn, WORKER } from '../../support/tasks.ts';

const MINUTE = 60_000;
const until = (minutes: number, status: 'accepted' | 'started' | 'submitted' | 'queued' = 'started') =>
  taskIn(status, sampleInput({ sla: { deadline: rfc3339(NOW + minutes * MINUTE) } }));
const minutesOf = (task: Task) => {
  const at = dueSoonAt(task);
  return at === null ? null : (at - NOW) / MINUTE;
};

describe('a reminder of the deadline', () => {
  it.each([
    // A quarter of the time, at least 2 and at most 30 minutes.
    [40, 30],
    [6, 4],
    [600, 570],
    // Accepted when less time is left.
    [2, null],
  ])('of %d minutes is due after %s', (minutes, expected) => {
    expect(minutesOf(until(minutes))).toBe(expected);
  });

  it('is for workers with the task in their hands alone', () => {
    expect(minutesOf(until(40, 'accepted'))).toBe(30);
    expect(minutesOf(until(40, 'queued'))).toBeNull();
    expect(minutesOf(until(40, 'submitted'))).toBeNull();
    expect(minutesOf(taskIn('started'))).toBeNull();
  });

  it('is not due for work that was sent back later', () => {
    const manual = sampleInput({ review: { mode: 'manual' }, sla: { deadline: rfc3339(NOW + 40 * MINUTE) } });
    const rework = (minute: number) =>
      taskAfter(taskIn('submitted', manual), [{ name: 'rework', feedback: 'x' }], NOW + minute * MINUTE);
    expect(minutesOf(rework(20))).toBe(30);
    expect(minutesOf(rework(31))).toBeNull();
  });

  const at = NOW + 30 * MINUTE;
  const before = until(40);
  const after = taskAfter(before, [{ name: 'due_soon' }], at);
  const [notice] = noticesOf(before, after, []);
  if (notice === undefined) throw new Error('no notice');
  const worker = { worker_id: WORKER };

  it('is given once for a deadline, and leaves a check only for the deadline', () => {
    expect(notice).toMatchObject({ worker_id: WORKER, kind: 'due_soon' });
    expect(nextDue(checksOf(before))).toBe(at);
    expect(nextDue(checksOf(after))).toBe(NOW + 40 * MINUTE);
    expect(noticesOf(after, { ...after, version: 9 }, [])).toEqual([]);
    expect(() => taskAfter(after, [{ name: 'due_soon' }], at + 1)).toThrow();
    expect(() => taskAfter(before, [{ name: 'due_soon' }], at - 1)).toThrow();
    const moved = taskAfter(
      after,
      [{ name: 'update', patch: { sla: { deadline: rfc3339(NOW + 80 * MINUTE) } } }],
      at + 1,
    );
    expect(minutesOf(moved)).toBe(60);
    expect(isRelevant(notice, moved, worker, at + 2)).toBe(false);
  });

  it('is worth sending until the deadline or the submission', () => {
    expect(isRelevant(notice, after, worker, at)).toBe(true);
    expect(isRelevant(notice, after, worker, NOW + 40 * MINUTE)).toBe(false);
    expect(isRelevant(notice, { ...after, status: 'submitted' }, worker, at)).toBe(false);
    expect(isRelevant(notice, { ...after, assignment: null }, worker, at)).toBe(false);
  });

  it.each([
    ['en', 0, 'Due soon: ', '10 minutes are left until the deadline. Urgency: normal.'],
    ['en', 500, 'Due soon: ', 'One minute is left until the deadline. Urgency: normal.'],
    ['de', 570, 'Bald fällig: ', 'Noch weniger als eine Minute bis zur Frist. Dringlichkeit: normal.'],
  ] as const)('says in %s after %d s how much time is left', (language, seconds, title, body) => {
    const about = { ...notice, task_id: after.task_id };
    const message = messageOf(
      about,
      { task: after, language, now: at + seconds * 1000 },
      'https://x.example',
    );
    expect(message).toEqual({
      title: `${title}${after.input.title}`,
      body,
      url: `https://x.example/work/tasks/${after.task_id}`,
    });
  });

  it('has a check that older processes leave alone', () => {
    expect(formOfChecks(checksOf(before))).toBe(6);
    expect(formOfChecks(checksOf(after))).toBe(1);
  });
});
