// What a worker's answers to offers and the reviews of their work add up to: their rating, how often they
// accept and how often they let an offer lapse. Kept with the worker and changed in the commit of the answer
// or review itself, so that nothing is counted twice or lost.

export interface TrackRecord {
  /** Offers by how they ended. What was taken back or withdrawn says nothing of the worker. */
  accepted: number;
  declined: number;
  lapsed: number;
  /** Lapsed since they last answered one or came back. */
  lapsed_in_a_row: number;
  /** The rating they were given, before any review. */
  rating_given: number;
  /** Reviews with a rating since then, and the sum of their ratings. */
  reviews: number;
  review_sum: number;
  /** How long a task takes up a place from acceptance on, ms, the latest counting most; null before the first. */
  task_ms: number | null;
}

/** How many reviews the given rating weighs as much as. */
export const PRIOR_WEIGHT = 10;

/** Offers lapsed in a row after which a worker is taken to be away. */
export const LAPSES_TO_AWAY = 3;

/** The record of somebody nothing is known of but the rating they were given, 0–5. */
export function newTrackRecord(rating: number): TrackRecord {
  return {
    accepted: 0,
    declined: 0,
    lapsed: 0,
    lapsed_in_a_row: 0,
    rating_given: rating,
    reviews: 0,
    review_sum: 0,
    task_ms: null,
  };
}

/** The record with one more offer that ended so. */
export function withAnswer(record: TrackRecord, answer: 'accepted' | 'declined' | 'expired'): TrackRecord {
  if (answer === 'expired')
    return { ...record, lapsed: record.lapsed + 1, lapsed_in_a_row: record.lapsed_in_a_row + 1 };
  return { ...record, [answer]: record[answer] + 1, lapsed_in_a_row: 0 };
}

/** The record with these ratings, 1–5, of reviews added. */
export function withRatings(record: TrackRecord, ratings: readonly number[]): TrackRecord {
  const sum = ratings.reduce((total, one) => total + one, 0);
  return { ...record, reviews: record.reviews + ratings.length, review_sum: record.review_sum + sum };
}

/** How much the latest task counts in `task_ms`. */
const LATEST = 0.2;

/** The record with a task that took up a place for `ms`. */
export function withTask(record: TrackRecord, ms: number): TrackRecord {
  const { task_ms } = record;
  return { ...record, task_ms: Math.round(task_ms === null ? ms : task_ms + LATEST * (ms - task_ms)) };
}

/** The record with a rating given anew: earlier reviews are forgotten. */
export function withGivenRating(record: TrackRecord, rating: number): TrackRecord {
  return { ...record, rating_given: rating, reviews: 0, review_sum: 0 };
}

/**
 * The rating, 0–5 to three decimals: the Bayesian average of the rating given, as if `PRIOR_WEIGHT` reviews
 * had said so, and of the reviews. One review moves it a little, many of them outweigh where it began.
 */
export function ratingOf({ rating_given, reviews, review_sum }: TrackRecord): number {
  if (reviews === 0) return rating_given;
  const average = (PRIOR_WEIGHT * rating_given + review_sum) / (PRIOR_WEIGHT + reviews);
  return Math.round(average * 1000) / 1000;
}

/** Share of the offers answered, or left to lapse, that were accepted, and that lapsed; null while there are none. */
export function ratesOf({ accepted, declined, lapsed }: TrackRecord): {
  acceptance_rate: number | null;
  lapse_rate: number | null;
} {
  const all = accepted + declined + lapsed;
  const share = (count: number) => (all === 0 ? null : Math.round((count / all) * 1000) / 1000);
  return { acceptance_rate: share(accepted), lapse_rate: share(lapsed) };
}
