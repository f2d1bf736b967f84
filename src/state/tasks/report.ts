// Reports: a worker gives a task to a reviewer as abusive, unsafe or unclear. It is queued and goes to no worker until a
// reviewer returns it to the queue (`reassign`) or fails it (`reject`).

export const REPORT_REASONS = ['abusive', 'unsafe', 'unclear', 'other'] as const;

export interface Report {
  worker_id: string;
  reason: (typeof REPORT_REASONS)[number];
  text: string | null;
  /** ms. */
  reported_at: number;
  /** What a reviewer decided; null until then. */
  decision: 'reassign' | 'reject' | null;
}
