// Which workers may do a task, which goes first, and the text that orders a matching queue.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requirementsOf } from '../../../src/state/tasks/relaxation.ts';
import { type Requirements, SOFT, startTime, type Task, URGENCIES } from '../../../src/state/tasks/task.ts';
import {
  isEligible,
  matchingQueueOf,
  offerTtlMs,
  qualifies,
  queueMember,
  rank,
  taskOfQueueMember,
  wantedAttributes,
  workerAttributes,
} from '../../../src/state/workers/matching.ts';
import { applyEffect, type Effect, next, type Worker } from '../../../src/state/workers/worker.ts';
import { idFloor } from '../../../src/store/redis/ids.ts';
import { NOW, queuedTask, rfc3339, sampleInput, sampleWorker, taskAfter } from '../../support/tasks.ts';

const needing = (requirements: Requirements) => queuedTask(sampleInput({ requirements }));

describe('a worker qualifies', () => {
  const worker = sampleWorker({
    pool_ids: ['p1', 'p2'],
    skills: ['phone', 'french'],
    certifications: ['soc'],
    trust_level: 4,
    rating: 4.8,
  });
  it.each<[string, Requirements, boolean]>([
    ['when nothing is asked', {}, true],
    ['in one of their pools', { worker_pool_id: 'p2' }, true],
    ['not in another pool', { worker_pool_id: 'p3' }, false],
    ['with all skills', { skills: ['french', 'phone'] }, true],
    ['not with one skill missing', { skills: ['french', 'german'] }, false],
    ['with the certification', { certifications: ['soc'] }, true],
    ['not with one certification missing', { certifications: ['soc', 'iso'] }, false],
    ['at the trust level', { trust_level: 4 }, true],
    ['not below it', { trust_level: 5 }, false],
    ['at the rating', { min_rating: 4.8 }, true],
    ['not below it', { min_rating: 4.9 }, false],
  ])('%s', (_, wanted, expected) => {
    expect(qualifies(worker, wanted)).toBe(expected);
  });

  it('has every attribute that the task requires in its index', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd')),
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd')),
        fc.option(fc.constantFrom('p1', 'p9'), { nil: undefined }),
        (skills, asked, pool) => {
          const one = sampleWorker({ skills, pool_ids: ['p1'], certifications: skills });
          const wanted = {
            skills: asked,
            certifications: asked,
            ...(pool !== undefined && { worker_pool_id: pool }),
          };
          const known = new Set(workerAttributes(one));
          const isFound = wantedAttributes(needing(wanted)).every((attribute) => known.has(attribute));
          return isFound === qualifies(one, wanted);
        },
      ),
    );
  });
});

describe('a worker is eligible', () => {
  it('only when available and with free capacity', () => {
    const task = queuedTask();
    expect(isEligible(sampleWorker(), task, NOW)).toBe(true);
    for (const availability of ['away', 'offline'] as const)
      expect(isEligible(sampleWorker({ availability }), task, NOW)).toBe(false);
    expect(isEligible(sampleWorker({ capacity: 2, reservations: ['x'] }), task, NOW)).toBe(true);
    expect(isEligible(sampleWorker({ capacity: 2, reservations: ['x', 'y'] }), task, NOW)).toBe(false);
  });

  it('not during the cool-down after a decline, and again afterwards', () => {
    const worker = sampleWorker({ worker_id: 'a' });
    const task = { ...queuedTask(), declines: [{ worker_id: 'a', until: NOW + 1000 }] };
    expect(isEligible(worker, task, NOW + 999)).toBe(false);
    expect(isEligible(worker, task, NOW + 1000)).toBe(true);
    expect(isEligible(sampleWorker({ worker_id: 'b' }), task, NOW)).toBe(true);
  });

  it('cools down after a decline for the life of the offer, at most 30 s', () => {
    const coolDown = (life: number) => {
      const offered = taskAfter(
        queuedTask(),
        [
          { name: 'match', worker_ids: ['a'] },
          { name: 'offer', offers: [{ offer_id: 'o', worker_id: 'a', expires_at: NOW + life }] },
        ],
        NOW,
      );
      const declined = taskAfter(
        offered,
        [{ name: 'decline', offer_id: 'o', worker_id: 'a', reason: null }],
        NOW + 10,
      );
      return (declined.declines[0]?.until ?? 0) - (NOW + 10);
    };
    expect(coolDown(5_000)).toBe(5_000);
    expect(coolDown(300_000)).toBe(30_000);
  });
});

describe('a relaxation step', () => {
  const asked: Requirements = {
    worker_pool_id: 'p',
    skills: ['a', 'b'],
    certifications: ['c'],
    trust_level: 3,
    min_rating: 4,
  };
  const relaxed = (requirements: Requirements, seconds: number) => {
    const task = taskAfter(needing(requirements), [{ name: 'relax' }], NOW + seconds * 1000);
    const { worker_pool_id, skills, certifications, trust_level, min_rating } = requirementsOf(task);
    return { worker_pool_id, skills, certifications, trust_level, min_rating };
  };
  const nothing = {
    skills: undefined,
    certifications: undefined,
    trust_level: undefined,
    min_rating: undefined,
  };

  it('requires what it names and drops the rest, but never the pool', () => {
    const steps = [
      { after_seconds: 60, requirements: { skills: ['a'], min_rating: 3 } },
      { after_seconds: 120, requirements: {} },
    ];
    const first = { ...nothing, worker_pool_id: 'p', skills: ['a'], min_rating: 3 };
    expect(relaxed({ ...asked, steps }, 60)).toEqual(first);
    expect(relaxed({ ...asked, steps }, 119.999)).toEqual(first);
    expect(relaxed({ ...asked, steps }, 120)).toEqual({ ...nothing, worker_pool_id: 'p' });
    expect(() => relaxed({ ...asked, steps }, 59.999)).toThrow();
  });

  it.each(SOFT)('never drops %s when it is hard', (hard) => {
    const steps = [{ after_seconds: 60, requirements: {} }];
    const kept = { ...nothing, worker_pool_id: 'p', [hard]: asked[hard] };
    expect(relaxed({ ...asked, hard: [hard], steps }, 60)).toEqual(kept);
  });
});

describe('the order of workers', () => {
  const ids = (workers: Worker[]) => workers.map((one) => one.worker_id);
  const a = sampleWorker({ worker_id: 'a', idle_since: NOW - 10, rating: 1 });
  const b = sampleWorker({ worker_id: 'b', idle_since: NOW - 5, rating: 5 });
  const c = sampleWorker({ worker_id: 'c', idle_since: NOW - 5, rating: 4 });
  const d = sampleWorker({ worker_id: 'd', idle_since: NOW - 5, rating: 4 });

  it('is by idle time, then rating, then always the same', () => {
    expect(ids(rank([d, c, b, a], queuedTask(), NOW))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('puts a worker who declined last, however long they have been idle', () => {
    const task = { ...queuedTask(), declines: [{ worker_id: 'a', until: NOW }] };
    expect(ids(rank([a, b, c, d], task, NOW))).toEqual(['b', 'c', 'd', 'a']);
  });

  it('keeps the idle time after a revoked or declined offer, and resets it after an expiry or work', () => {
    const asked = applyEffect(a, 'task', { reserves: 'offer' }, NOW);
    if (asked === null) throw new Error('no place');
    const idleAfter = (effect: Effect) => applyEffect(asked, 'task', effect, NOW)?.idle_since;
    expect(idleAfter({ frees: 'offer' })).toBe(a.idle_since);
    expect(idleAfter({ frees: 'offer', response: 'declined' })).toBe(a.idle_since);
    expect(idleAfter({ frees: 'offer', response: 'expired' })).toBe(NOW);
    expect(idleAfter({ frees: 'work' })).toBe(NOW);
  });

  it('resets the idle time of a worker who returns from being away', () => {
    const away = next(a, { availability: 'away' }, NOW);
    expect(away.idle_since).toBe(a.idle_since);
    expect(next(away, { availability: 'available' }, NOW + 1).idle_since).toBe(NOW + 1);
  });

  it('a worker gets no second offer of a task and none beyond their capacity', () => {
    const asked = applyEffect(sampleWorker({ capacity: 2 }), 't1', { reserves: 'offer' }, NOW);
    if (asked === null) throw new Error('no place');
    expect(applyEffect(asked, 't1', { reserves: 'offer' }, NOW)).toBeNull();
    const full = applyEffect(asked, 't2', { reserves: 'offer' }, NOW);
    expect(full?.reservations).toEqual(['t1', 't2']);
    if (full === null) throw new Error('no place');
    expect(applyEffect(full, 't3', { reserves: 'offer' }, NOW)).toBeNull();
    // Not even rework.
    expect(applyEffect(full, 't3', { reserves: 'work' }, NOW)).toBeNull();
  });
});

describe('a matching queue', () => {
  it('is shared by tasks with the same requirements, in any order and spelling', () => {
    const one = needing({ skills: ['a', 'b'], certifications: ['x'], trust_level: 2 });
    const same = needing({ trust_level: 2, certifications: ['x', 'x'], skills: ['b', 'a', 'a'] });
    expect(matchingQueueOf(same)).toEqual(matchingQueueOf(one));
    const none = [needing({}), needing({ skills: [], trust_level: 0, min_rating: 0 }), queuedTask()];
    expect(new Set(none.map((task) => matchingQueueOf(task).id)).size).toBe(1);
  });

  it('is separate for tasks with other requirements', () => {
    const asked: Requirements[] = [
      {},
      { skills: ['a'] },
      { certifications: ['a'] },
      { worker_pool_id: 'a' },
      { skills: ['a', 'b'] },
      { trust_level: 1 },
      { min_rating: 1 },
    ];
    expect(new Set(asked.map((one) => matchingQueueOf(needing(one)).id)).size).toBe(asked.length);
  });

  it('requires of a worker what its tasks require', () => {
    const wanted = { skills: ['b', 'a'], min_rating: 4, worker_pool_id: 'p' };
    for (const worker of [
      sampleWorker({ skills: ['a', 'b'], pool_ids: ['p'] }),
      sampleWorker({ skills: ['a'], pool_ids: ['p'] }),
      sampleWorker({ skills: ['a', 'b'], pool_ids: ['p'], rating: 3 }),
    ])
      expect(qualifies(worker, matchingQueueOf(needing(wanted)).requirements)).toBe(
        qualifies(worker, wanted),
      );
  });

  interface Waiting {
    urgency: (typeof URGENCIES)[number];
    deadline: number | undefined;
    created: number;
  }
  const waiting: fc.Arbitrary<Waiting> = fc.record({
    urgency: fc.constantFrom(...URGENCIES),
    deadline: fc.option(fc.integer({ min: NOW + 1000, max: NOW * 3 }), { nil: undefined }),
    created: fc.integer({ min: NOW - 1e9, max: NOW }),
  });
  const RANK = ['critical', 'high', 'normal', 'low'];
  const made = ({ urgency, deadline, created }: Waiting): Task =>
    queuedTask(
      sampleInput({ sla: { urgency, ...(deadline !== undefined && { deadline: rfc3339(deadline) }) } }),
      created,
      `${idFloor(created)}-7000-8000-000000000000`,
    );
  it('is ordered by urgency, then deadline, then age', () => {
    fc.assert(
      fc.property(fc.array(waiting, { minLength: 2, maxLength: 12 }), (all) => {
        const byText = all.map((one) => ({ one, place: queueMember(made(one)) }));
        byText.sort((x, y) => (x.place < y.place ? -1 : x.place > y.place ? 1 : 0));
        const key = (one: Waiting) => [
          RANK.indexOf(one.urgency),
          one.deadline ?? Number.POSITIVE_INFINITY,
          one.created,
        ];
        return byText.every(({ one }, index) => {
          const before = byText[index - 1]?.one;
          if (before === undefined) return true;
          const [x, y] = [key(before), key(one)];
          const differs = x.findIndex((value, place) => value !== y[place]);
          return differs === -1 || (x[differs] ?? 0) < (y[differs] ?? 0);
        });
      }),
    );
  });

  it('keeps the position of a task that returns to the queue', () => {
    const task = queuedTask(sampleInput({ sla: { urgency: 'high' } }));
    const back = taskAfter(
      task,
      [
        { name: 'match', worker_ids: ['a'] },
        { name: 'offer', offers: [{ offer_id: 'o', worker_id: 'a', expires_at: NOW + 1000 }] },
        { name: 'decline', offer_id: 'o', worker_id: 'a', reason: null },
      ],
      NOW + 500,
    );
    expect(back.status_changed_at).toBe(NOW + 500);
    expect(queueMember(back)).toBe(queueMember(task));
    expect(taskOfQueueMember(queueMember(task))).toBe(task.task_id);
  });
});

it('takes the life of an offer from the urgency unless the pool sets it', () => {
  expect(URGENCIES.map((one) => offerTtlMs(one, null))).toEqual([300_000, 120_000, 60_000, 30_000]);
  expect(offerTtlMs('critical', 7)).toBe(7000);
  const times = URGENCIES.map(startTime);
  expect([...times].sort((a, b) => b - a)).toEqual(times);
});
