// An offer of a task to a worker, the assignment of the worker who accepted it, and the declines that are remembered.
// Times are milliseconds since the epoch.

export const OFFER_STATUSES = ['pending', 'accepted', 'declined', 'expired', 'revoked', 'withdrawn'] as const;
export type OfferStatus = (typeof OFFER_STATUSES)[number];

export function isOfferStatus(text: string): text is OfferStatus {
  return OFFER_STATUSES.some((one) => one === text);
}

/** How a supervisor gives a task to a worker: as an offer that they may decline, or into their hands. */
export const ASSIGN_MODES = ['offer', 'assign'] as const;
export type AssignMode = (typeof ASSIGN_MODES)[number];

/** An offer of the task to one worker. A pending offer takes one of the worker's slots. */
export interface Offer {
  offer_id: string;
  worker_id: string;
  status: OfferStatus;
  offered_at: number;
  expires_at: number;
  /** Made by a supervisor whether or not the worker is eligible; they may accept it all the same. */
  forced?: boolean;
}

export interface Assignment {
  worker_id: string;
  /** Of the worker who accepted; see `isOfWorker`. */
  incarnation?: string;
  offer_id: string;
  offered_at: number;
  accepted_at: number;
  started_at: number | null;
  submitted_at: number | null;
  /** The pool that the task required when it was accepted, null for none. Absent: the one that it requires now. */
  pool_id?: string | null;
  /** The last notice that the deadline (ms) is near; absent: none. */
  reminder?: { notice_id: string; deadline: number };
}

/**
 * A worker who declined the task, let an offer expire, or was replaced by a reviewer. The worker gets no offer of it before
 * `until`, and ranks behind all others for a while after that.
 */
export interface Decline {
  worker_id: string;
  until: number;
}

/**
 * Whether an assignment or a file is this worker's, and not that of a removed one with the same id. One without
 * `incarnation`, from before there was the field, goes by the id alone.
 */
export function isOfWorker(
  thing: { worker_id: string; incarnation?: string },
  worker: { worker_id: string; incarnation?: string },
): boolean {
  const { worker_id, incarnation = '' } = worker;
  return thing.worker_id === worker_id && (thing.incarnation ?? incarnation) === incarnation;
}
