// The invariants of a simulation find what is lost, doubled or broken.
import { describe, expect, it } from 'vitest';
import {
  checkCapacity,
  checkCreations,
  checkTask,
  offerOutcomes,
  type ReadTask,
} from '../../src/simulation/check.ts';
import { TrackedTask } from '../../src/simulation/ledger.ts';
import { Random } from '../../src/simulation/random.ts';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { historyEntry } from '../../src/state/tasks/history.ts';
import type { Status } from '../../src/state/tasks/lifecycle.ts';

const ACCEPT = { type: 'task.accepted', actor: 'worker:w' };
const OUTPUT = '{"sum":3}';

/** A history of these statuses, a second each, by the worker `w`. */
function historyOf(...statuses: Status[]): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  for (const [index, status] of statuses.entries())
    entries.push(
      historyEntry(
        {
          event_id: `e${index}`,
          type: `task.${status}`,
          sequence: index + 1,
          status,
          previous_status: null,
          at: index * 1000,
          actor: 'worker:w',
          attempt: 1,
          data: {},
        },
        entries.at(-1)?.hash ?? null,
      ),
    );
  return entries;
}

function readTask(changes: Partial<ReadTask> = {}): ReadTask {
  const tracked = new TrackedTask('t');
  Object.assign(tracked, { created: 0, finished: 1, status: 'completed', request_id: 'r' });
  tracked.sent.push(ACCEPT);
  tracked.acknowledged.push(ACCEPT);
  tracked.sentOutputs.push(OUTPUT);
  const history = historyOf('created', 'queued', 'offered', 'accepted', 'started', 'submitted', 'completed');
  return { tracked, history, status: 'completed', messages: [], output: OUTPUT, ...changes };
}

const kinds = (read: ReadTask, hasArrived: ((id: string) => boolean) | null = null) =>
  checkTask(read, hasArrived).map(({ kind }) => kind);

describe('checkTask', () => {
  it('finds nothing in a task that is as it was acknowledged', () => {
    expect(checkTask(readTask(), () => true)).toEqual([]);
  });

  it('finds a lost acceptance, message, delivery and end', () => {
    const without = historyOf('created', 'queued', 'offered', 'started', 'completed');
    expect(kinds(readTask({ history: without }))).toEqual(['lost']);
    const read = readTask();
    read.tracked.messages.push('m');
    expect(kinds(read)).toEqual(['lost']);
    expect(kinds(readTask(), (id) => id !== 'e3')).toEqual(['lost']);
    expect(kinds(readTask({ status: 'started', history: historyOf('created', 'accepted') }))).toEqual([
      'lost',
    ]);
  });

  it('finds a doubled acceptance and a second end', () => {
    expect(kinds(readTask({ history: historyOf('accepted', 'accepted', 'completed') }))).toEqual(['doubled']);
    expect(kinds(readTask({ history: historyOf('accepted', 'failed', 'completed') }))).toEqual(['doubled']);
  });

  it('finds a gap in a history, and a result that nobody submitted', () => {
    expect(kinds(readTask({ history: readTask().history.toSpliced(1, 1) }))).toEqual(['broken']);
    expect(kinds(readTask({ output: '{"sum":4}' }))).toEqual(['broken']);
  });
});

describe('the other invariants', () => {
  it('find a worker above capacity', () => {
    const histories = [historyOf('created', 'accepted'), historyOf('created', 'accepted', 'started')];
    expect(checkCapacity(histories, 2)).toEqual([]);
    expect(checkCapacity(histories, 1)).toMatchObject([
      { kind: 'doubled', text: expect.stringContaining('2') },
    ]);
    expect(checkCapacity([historyOf('accepted', 'queued', 'accepted')], 1)).toEqual([]);
  });

  it('find tasks that are lost, doubled or not requested', () => {
    const { tracked } = readTask();
    const task = (task_id: string, request_id = 'r') => ({ task_id, origin: { request_id } });
    const found = (...existing: ReturnType<typeof task>[]) =>
      checkCreations([tracked], existing, new Set(['r'])).map(({ kind }) => kind);
    expect(found(task('t'))).toEqual([]);
    expect(found()).toEqual(['lost']);
    expect(found(task('t'), task('u'))).toEqual(['doubled']);
    expect(found(task('t'), task('u', 's'))).toEqual(['broken']);
  });

  it('count offers by their outcome', () => {
    const histories = [
      historyOf('offered', 'accepted'),
      historyOf('offered'),
      historyOf('offered', 'cancelled'),
    ];
    expect(offerOutcomes(histories)).toEqual({ accepted: 1, pending: 1, cancelled: 1 });
  });
});

describe('Random', () => {
  it('repeats itself with the same seed, for each actor alone', () => {
    const draw = (random: Random) => Array.from({ length: 5 }, () => random.integer(1, 1000));
    expect(draw(new Random(7))).toEqual(draw(new Random(7)));
    expect(draw(new Random(7))).not.toEqual(draw(new Random(8)));
    const used = new Random(7);
    draw(used);
    expect(draw(used.of('a'))).toEqual(draw(new Random(7).of('a')));
    expect(new Random(7).weighted({ never: 0, always: 1 })).toBe('always');
  });
});
