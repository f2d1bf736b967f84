// The track record of a worker: the rating with its prior, the rates, and when expired offers set a worker away.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EXPIRED_OFFERS_TO_AWAY,
  newTrackRecord,
  ratesOf,
  ratingOf,
  withAnswer,
  withGivenRating,
  withRatings,
} from '../../../src/state/workers/track-record.ts';
import { applyEffect, effectsOf, next } from '../../../src/state/workers/worker.ts';
import {
  ACCEPTED,
  NOW,
  OFFER,
  OFFER_ENDS,
  sampleInput,
  sampleWorker,
  taskAfter,
  taskIn,
  WORKER,
} from '../../support/tasks.ts';

const ratings = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 });

describe('the rating', () => {
  it('equals the given rating before the first review', () => {
    expect(ratingOf(newTrackRecord(4.8))).toBe(4.8);
  });

  it('moves little with one review and far with many', () => {
    expect(ratingOf(withRatings(newTrackRecord(5), [1]))).toBe(4.636);
    expect(ratingOf(withRatings(newTrackRecord(5), Array(10).fill(1)))).toBe(3);
    expect(ratingOf(withRatings(newTrackRecord(5), Array(1000).fill(1)))).toBeLessThan(1.1);
  });

  it('lies between the lowest and the highest rating, in any order', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 5, noNaN: true }), ratings, (given, all) => {
        const rating = ratingOf(withRatings(newTrackRecord(given), all));
        const back = all.toReversed().reduce((one, rate) => withRatings(one, [rate]), newTrackRecord(given));
        const [low, high] = [Math.min(given, ...all), Math.max(given, ...all)];
        return rating === ratingOf(back) && rating >= low - 0.001 && rating <= high + 0.001;
      }),
    );
  });

  it('starts again when a new rating is set', () => {
    const record = withGivenRating(withRatings(newTrackRecord(5), [1, 1, 1]), 4, NOW);
    expect(ratingOf(record)).toBe(4);
    const worker = next(
      sampleWorker({ rating: 2, track: withRatings(newTrackRecord(5), [1]) }),
      { rating: 4 },
      NOW,
    );
    expect([worker.rating, ratingOf(worker.track), worker.track.reviews]).toEqual([4, 4, 0]);
  });
});

it('counts answered and expired offers in the rates, which are null before the first', () => {
  expect(ratesOf(newTrackRecord(5))).toEqual({ acceptance_rate: null, lapse_rate: null });
  const answers = ['accepted', 'declined', 'expired', 'accepted'] as const;
  const record = answers.reduce(withAnswer, newTrackRecord(5));
  expect(ratesOf(record)).toEqual({ acceptance_rate: 0.5, lapse_rate: 0.25 });
});

describe('a worker whose offers expire', () => {
  const expiry = { frees: 'offer', response: 'expired' } as const;
  const worked = (effects: Parameters<typeof applyEffect>[2][], worker = sampleWorker()) =>
    effects.reduce((one, effect) => applyEffect(one, 'task', effect, NOW) ?? one, worker);

  it('is set away after three in a row, and not before', () => {
    const two = worked(Array(EXPIRED_OFFERS_TO_AWAY - 1).fill(expiry));
    expect(two.availability).toBe('available');
    expect(worked([expiry], two).availability).toBe('away');
  });

  it('is counted from zero again after an answer or a return', () => {
    for (const response of ['accepted', 'declined'] as const)
      expect(worked([expiry, expiry, { response }, expiry, expiry]).availability).toBe('available');
    const away = worked([expiry, expiry, expiry]);
    const back = next(away, { availability: 'available' }, NOW);
    expect(worked([expiry, expiry], back).availability).toBe('available');
    expect(worked([expiry, expiry, expiry], back).availability).toBe('away');
  });

  it('stays offline when already offline', () => {
    const offline = sampleWorker({ availability: 'offline' });
    expect(worked([expiry, expiry, expiry], offline).availability).toBe('offline');
  });
});

describe('a change of a task, for its workers', () => {
  it('counts an answer once', () => {
    const [offered, accepted] = [taskIn('offered'), taskIn('accepted')];
    expect([...effectsOf(offered, accepted)]).toEqual([[WORKER, { response: 'accepted' }]]);
    expect(effectsOf(accepted, taskIn('started')).size).toBe(0);
    const lapsed = taskAfter(offered, [{ name: 'expire', offer_id: OFFER }], OFFER_ENDS);
    expect([...effectsOf(offered, lapsed)]).toEqual([[WORKER, { frees: 'offer', response: 'expired' }]]);
    const revoked = taskAfter(offered, [{ name: 'revoke', worker_id: WORKER }], NOW);
    expect([...effectsOf(offered, revoked)]).toEqual([[WORKER, { frees: 'offer' }]]);
  });

  it.each(['approve', 'rework', 'reassign', 'reject'] as const)('%s carries the rating', (name) => {
    const submitted = taskIn('submitted', sampleInput({ review: { mode: 'manual' } }));
    const reviewed = taskAfter(submitted, [{ name, feedback: 'so', rating: 2 }], ACCEPTED);
    expect(effectsOf(submitted, reviewed).get(WORKER)).toMatchObject({ ratings: [2] });
    expect(reviewed.reviews).toEqual([
      {
        decision: name,
        feedback: 'so',
        rating: 2,
        worker_id: WORKER,
        reviewed_by: 'system',
        reviewed_at: ACCEPTED,
      },
    ]);
    const unrated = taskAfter(submitted, [{ name, feedback: null }], ACCEPTED);
    expect(effectsOf(submitted, unrated).get(WORKER)?.ratings).toBeUndefined();
  });
});
