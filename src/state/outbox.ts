// What a commit leaves in the outbox for the relay: enough to make every job that follows from it, without
// looking anything up.

import type { Question } from './questions.ts';

/** A task that is to find a worker, or a worker who is to find a task. */
export type MatchRequest =
  | {
      kind: 'task';
      task_id: string;
      /** Pool of the workers who may take it; null when that is not known, or any may. */
      pool: string | null;
    }
  | { kind: 'worker'; worker_id: string };

export type OutboxEntry =
  | {
      kind: 'task';
      org_id: string;
      task_id: string;
      version: number;
      /** Questions that are new with this version, and those that need not be asked any more. */
      asked: Question[];
      dropped: Question[];
      /** Sequences of the events to deliver to the task's own callback URL. */
      deliveries: number[];
      /** For the org's endpoints: types of the events without `task.`, number of the first, time (ms), pool. */
      events: string[];
      first: number;
      at: number;
      pool: string | null;
    }
  | {
      /** A delivery that is to be made now: sent by hand, replayed, or to see whether it arrives. */
      kind: 'delivery';
      org_id: string;
      task_id: string;
      sequence: number;
      endpoint_id?: string | undefined;
      /** Tells its job from those before it. */
      again: string;
    }
  | {
      kind: 'worker';
      org_id: string;
      worker_id: string;
      version: number;
      /** When the change was made, ms: a removed worker's id may come back with the same versions. */
      at: number;
      /** Tasks a removed worker leaves behind. */
      left: string[];
      /** Whether offers that they hold may not be theirs any more. */
      narrowed?: boolean;
    }
  | {
      /** A replay to an endpoint was begun. */
      kind: 'replay';
      org_id: string;
      replay_id: string;
    }
  | {
      /** A pool was removed. */
      kind: 'pool';
      org_id: string;
      pool_id: string;
      /** When, ms: its id may be given again. */
      at: number;
    };
