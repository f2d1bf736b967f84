// A worker's track record: their rating, and how often they accept, decline or let an offer expire. It is part of the
// worker and changes in the commit of the answer or review itself, so that nothing is counted twice or lost.

export interface TrackRecord {
  /** Offers by how they ended. Revoked and withdrawn offers are not counted. */
  accepted: number;
  declined: number;
  expired: number;
  /** Offers expired since the worker last answered one or became available. */
  expired_in_a_row: number;
  /** The rating set through the API, before any review. */
  rating_given: number;
  /** When it was set again last, ms; absent: never. */
  reset_at?: number;
  /** Number of rated reviews since then, and the sum of their ratings. */
  reviews: number;
  review_sum: number;
  /** Moving average of the time from acceptance to submission, ms; null before the first task. */
  task_ms: number | null;
  /** The latest tasks with a known answer, oldest first: `1` answered right, `0` wrong; absent before the first. */
  known_answers?: string;
}

/** The set rating counts as much as this many reviews. */
const PRIOR_WEIGHT = 10;

/** After this many expired offers in a row, a worker is set to `away`. */
export const EXPIRED_OFFERS_TO_AWAY = 3;

/** The record of a new worker with a set rating, 0–5. */
export function newTrackRecord(rating: number): TrackRecord {
  return {
    accepted: 0,
    declined: 0,
    expired: 0,
    expired_in_a_row: 0,
    rating_given: rating,
    reviews: 0,
    review_sum: 0,
    task_ms: null,
  };
}

/** The record with one more ended offer. */
export function withAnswer(record: TrackRecord, answer: 'accepted' | 'declined' | 'expired'): TrackRecord {
  const expired_in_a_row = answer === 'expired' ? record.expired_in_a_row + 1 : 0;
  return { ...record, [answer]: record[answer] + 1, expired_in_a_row };
}

/** The record with these review ratings, 1–5, added. */
export function withRatings(record: TrackRecord, ratings: readonly number[]): TrackRecord {
  const sum = ratings.reduce((total, one) => total + one, 0);
  return { ...record, reviews: record.reviews + ratings.length, review_sum: record.review_sum + sum };
}

/** The record without a review rating that was added before. */
export function withoutRating(record: TrackRecord, rating: number): TrackRecord {
  if (record.reviews === 0) return record;
  const reviews = record.reviews - 1;
  return { ...record, reviews, review_sum: reviews === 0 ? 0 : record.review_sum - rating };
}

/** Whether a rating given at `at` (ms) no longer counts because the rating was set again later. */
export function isBeforeReset({ reset_at }: TrackRecord, at: number): boolean {
  return reset_at !== undefined && at < reset_at;
}

/** Weight of the latest task in `task_ms`. */
const LATEST = 0.2;

/** The record with a task that took `ms`. */
export function withTask(record: TrackRecord, ms: number): TrackRecord {
  const { task_ms } = record;
  return { ...record, task_ms: Math.round(task_ms === null ? ms : task_ms + LATEST * (ms - task_ms)) };
}

/** Accuracy uses only the latest 100 tasks with a gold answer. */
const KNOWN_ANSWERS = 100;

/** The record with one more task with a known answer. */
export function withKnownAnswer(record: TrackRecord, isRight: boolean): TrackRecord {
  const known_answers = `${record.known_answers ?? ''}${isRight ? 1 : 0}`.slice(-KNOWN_ANSWERS);
  return { ...record, known_answers };
}

/** The share of the latest known answers that the worker gave right, to three decimals; null while there are none. */
export function accuracyOf({ known_answers = '' }: TrackRecord): {
  accuracy: number | null;
  accuracy_count: number;
} {
  const count = known_answers.length;
  const right = known_answers.replaceAll('0', '').length;
  return { accuracy: count === 0 ? null : Math.round((right / count) * 1000) / 1000, accuracy_count: count };
}

/** The record with a rating that is set at `now` (ms); earlier reviews no longer count. */
export function withGivenRating(record: TrackRecord, rating: number, now: number): TrackRecord {
  return { ...record, rating_given: rating, reset_at: now, reviews: 0, review_sum: 0 };
}

/**
 * The rating, 0–5 to three decimals: the Bayesian average of the set rating, which counts as `PRIOR_WEIGHT` reviews, and
 * of the reviews. One review moves it a little, many outweigh the set rating.
 */
export function ratingOf({ rating_given, reviews, review_sum }: TrackRecord): number {
  if (reviews === 0) return rating_given;
  const average = (PRIOR_WEIGHT * rating_given + review_sum) / (PRIOR_WEIGHT + reviews);
  return Math.round(average * 1000) / 1000;
}

/** Shares of the ended offers that were accepted and that expired; null while there are none. */
export function ratesOf({ accepted, declined, expired }: TrackRecord): {
  acceptance_rate: number | null;
  lapse_rate: number | null;
} {
  const all = accepted + declined + expired;
  const share = (count: number) => (all === 0 ? null : Math.round((count / all) * 1000) / 1000);
  return { acceptance_rate: share(accepted), lapse_rate: share(expired) };
}
