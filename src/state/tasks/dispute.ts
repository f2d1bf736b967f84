// Disputes: the worker whose submission was finally rejected asks for a second decision. The task stays `failed`; what a
// reviewer decides is whether the rejection counts for the worker.

export const DISPUTE_DECISIONS = ['uphold', 'overturn'] as const;

export const DISPUTE_STATUSES = ['open', 'upheld', 'overturned'] as const;

/** How long after the rejection it may be disputed. */
export const DISPUTE_DAYS = 7;

export interface Dispute {
  worker_id: string;
  text: string;
  /** ms. */
  opened_at: number;
  status: (typeof DISPUTE_STATUSES)[number];
  /** What the reviewer wrote; null when they wrote nothing, and while it is open. */
  decision_text: string | null;
  decided_by: string | null;
  /** ms. */
  decided_at: number | null;
}

export type DisputeCommand =
  | { name: 'dispute'; worker_id: string; text: string }
  | { name: 'resolve_dispute'; decision: (typeof DISPUTE_DECISIONS)[number]; text: string | null };
