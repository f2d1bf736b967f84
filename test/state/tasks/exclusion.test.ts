// Requirements that name workers and tasks, in the pure core: who is noted as assigned, who qualifies, and what stays hidden.
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/state/tasks/decide.ts';
import { MAX_ASSIGNED_WORKERS } from '../../../src/state/tasks/exclusion.ts';
import { requirementsOf } from '../../../src/state/tasks/relaxation.ts';
import type { Requirements } from '../../../src/state/tasks/task.ts';
import { offerView, workerTaskView } from '../../../src/state/tasks/view.ts';
import { Explainer, obstaclesOf } from '../../../src/state/workers/explain.ts';
import {
  matchingQueueOf,
  mayAccept,
  qualifies,
  queueAttributes,
} from '../../../src/state/workers/matching.ts';
import {
  COMMANDS_TO_REACH,
  contextAt,
  NOW,
  OFFER,
  OFFER_ENDS,
  queuedTask,
  sampleInput,
  sampleWorker,
  taskAfter,
  taskIn,
  WORKER,
} from '../../support/tasks.ts';

const needing = (requirements: Requirements) => queuedTask(sampleInput({ requirements }));
const [ada, bob] = [sampleWorker({ worker_id: 'ada' }), sampleWorker({ worker_id: 'bob' })];

describe('the workers of a task', () => {
  it('are noted when they accept, each once, and stay after a release', () => {
    expect(taskIn('offered').assigned_workers).toBeUndefined();
    const again = [{ name: 'release', worker_id: WORKER, reason: null }] as const;
    let task = taskAfter(taskIn('accepted'), again, NOW);
    expect(task.assigned_workers).toEqual([WORKER]);
    for (const status of ['offered', 'accepted'] as const)
      task = taskAfter(task, COMMANDS_TO_REACH[status] ?? [], NOW);
    expect(task).toMatchObject({ status: 'accepted', assigned_workers: [WORKER] });
  });

  it(`are at most ${MAX_ASSIGNED_WORKERS}: then the task fails instead of returning to the queue`, () => {
    const given = taskIn('started', sampleInput({ requirements: { max_attempts: 100 } }));
    const others = Array.from({ length: MAX_ASSIGNED_WORKERS - 1 }, (_, at) => `w${at}`);
    const release = [{ name: 'release', worker_id: WORKER, reason: null }] as const;
    const requeue = [{ name: 'requeue', reason: 'shift ends' }] as const;
    const fewer = { ...given, assigned_workers: [WORKER, ...others.slice(1)] };
    const full = { ...given, assigned_workers: [WORKER, ...others] };
    expect(taskAfter(fewer, release, NOW).status).toBe('queued');
    for (const commands of [release, requeue])
      expect(taskAfter(full, commands, NOW).failure?.code).toBe('attempts_exhausted');
    // A takeover is refused as a whole.
    const assign = { name: 'assign', worker_id: 'w1', mode: 'offer', forced: false } as const;
    expect(decide(full, [{ ...requeue[0], is_takeover: true }, assign], contextAt(NOW)).ok).toBe(false);
  });
});

describe('a worker', () => {
  it.each<[string, Requirements, boolean, boolean]>([
    ['without names', {}, true, true],
    ['among those named', { worker_ids: ['ada'] }, true, false],
    ['among those excluded', { excluded_worker_ids: ['ada'] }, false, true],
    ['named and excluded', { worker_ids: ['ada', 'bob'], excluded_worker_ids: ['ada'] }, false, true],
  ])('%s', (_, wanted, first, second) => {
    expect([qualifies(ada, wanted), qualifies(bob, wanted)]).toEqual([first, second]);
  });

  it('who is excluded may not accept a forced offer; one who is not named may', () => {
    const offers = [{ offer_id: OFFER, worker_id: 'ada', expires_at: OFFER_ENDS, forced: true }];
    const offered = (requirements: Requirements) =>
      taskAfter(
        needing(requirements),
        [
          { name: 'match', worker_ids: ['ada'] },
          { name: 'offer', offers },
        ],
        NOW,
      );
    const away = sampleWorker({ worker_id: 'ada', availability: 'away' });
    expect(mayAccept(away, offered({ worker_ids: ['bob'] }))).toBe(true);
    expect(mayAccept(away, offered({ excluded_worker_ids: ['ada'] }))).toBe(false);
  });

  it('is told each name as an obstacle and in the explanation', () => {
    const task = needing({ worker_ids: ['bob'], excluded_worker_ids: ['ada'], excluded_tasks: ['t1'] });
    const former = new Set(['ada']);
    expect(obstaclesOf(ada, task, former, NOW)).toEqual([
      { reason: 'worker_ids', wanted: ['bob'] },
      { reason: 'excluded_worker_ids', wanted: ['ada'] },
      { reason: 'excluded_tasks', wanted: ['t1'] },
    ]);
    expect(obstaclesOf(bob, task, former, NOW)).toEqual([]);
    const explainer = new Explainer(task, former, NOW);
    explainer.consider([ada, bob]);
    expect(explainer.result()).toMatchObject({
      workers: { considered: 2, qualified: 1, eligible: 1 },
      requirements: [
        { requirement: 'worker_ids', rules_out: 1 },
        { requirement: 'excluded_worker_ids', rules_out: 1 },
        { requirement: 'excluded_tasks', rules_out: 1 },
      ],
    });
  });
});

it('a relaxation step keeps the names', () => {
  const names = { worker_ids: ['ada'], excluded_worker_ids: ['bob'], excluded_tasks: ['t1'] };
  const steps = [{ after_seconds: 60, requirements: {} }];
  const task = needing({ ...names, skills: ['diving'], steps });
  expect(requirementsOf({ ...task, step: 1 })).toMatchObject(names);
  expect(requirementsOf({ ...task, step: 1 }).skills).toBeUndefined();
});

describe('the matching queue', () => {
  it('is the same whatever is excluded', () => {
    const others: Requirements[] = [{ excluded_worker_ids: ['ada'] }, { excluded_tasks: ['t1', 't2'] }];
    for (const one of others)
      expect(matchingQueueOf(needing({ skills: ['a'], ...one }))).toEqual(
        matchingQueueOf(needing({ skills: ['a'] })),
      );
  });

  it('of tasks that name workers is found by each of them', () => {
    const [one, same] = [needing({ worker_ids: ['bob', 'ada'] }), needing({ worker_ids: ['ada', 'bob'] })];
    expect(matchingQueueOf(one)).toEqual(matchingQueueOf(same));
    expect(matchingQueueOf(one).id).not.toBe(matchingQueueOf(needing({ worker_ids: ['ada'] })).id);
    expect(matchingQueueOf(one).id).not.toBe(matchingQueueOf(needing({})).id);
    for (const worker of [ada, bob])
      expect(
        queueAttributes(worker).filter((at) => matchingQueueOf(one).attributes.includes(at)),
      ).toHaveLength(1);
  });
});

it('workers see none of the names', () => {
  const names = { worker_ids: [WORKER], excluded_worker_ids: ['bob'], excluded_tasks: ['t1'] };
  const task = taskIn('offered', sampleInput({ requirements: { ...names, trust_level: 1 } }));
  const [offer] = task.offers;
  if (offer === undefined) throw new Error('no offer');
  expect(workerTaskView(task).requirements).toEqual({ trust_level: 1 });
  expect(JSON.stringify(offerView(task, offer))).not.toMatch(/bob|t1|worker_ids|excluded/);
});
