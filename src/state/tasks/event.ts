// An event of a task as it is recorded, and as clients see it in the history.

import type { EventType, Status } from './lifecycle.ts';

/** An event of a task, before it is added to the hash chain. */
export interface TaskEvent {
  event_id: string;
  type: EventType;
  sequence: number;
  status: Status;
  previous_status: Status | null;
  at: number;
  /** Kind and id of who did it, such as `api_key:<id>`, `worker:<id>` or `member:<id>`; or `system`. */
  actor: string;
  attempt: number;
  data: Record<string, unknown>;
}

/** An entry as `GET /v1/tasks/{id}/events` shows it. */
export interface HistoryEntry {
  event_id: string;
  type: string;
  sequence: number;
  status: string;
  previous_status: string | null;
  at: string;
  actor: string;
  attempt_of_task: number;
  data: Record<string, unknown>;
  previous_hash: string | null;
  hash: string;
}
