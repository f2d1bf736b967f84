// What the server has acknowledged to the actors of a simulation. The histories must agree with it afterwards.

import type { TaskKind } from './task-kinds.ts';

/** A change of a task: the event that it leads to, and the beginning of the actor's name in the history. */
export interface Action {
  type: string;
  actor: string;
}

/** A task of the simulation. Times are those of `performance.now()`, ms. */
export class TrackedTask {
  readonly task_id: string;
  kind: TaskKind | null = null;
  request_id = '';
  /** When its creation was acknowledged; null: only workers know it so far. */
  created: number | null = null;
  /** When it was seen final. */
  finished: number | null = null;
  status: string | null = null;
  /** Actions that were requested; each may have happened although no answer arrived. */
  readonly sent: Action[] = [];
  readonly acknowledged: Action[] = [];
  /** Ids of the messages that were acknowledged. */
  readonly messages: string[] = [];
  /** JSON of the outputs that were requested to be submitted, and of those that were acknowledged. */
  readonly sentOutputs: string[] = [];
  readonly outputs: string[] = [];

  constructor(taskId: string) {
    this.task_id = taskId;
  }
}

export class Ledger {
  readonly #tasks = new Map<string, TrackedTask>();
  /** Sentences about answers that should not have been given. */
  readonly unexpected: string[] = [];
  /** `origin.request_id` of the creations that were sent. */
  readonly requested = new Set<string>();

  /** The record of a task, made when it is not known yet. */
  of(taskId: string): TrackedTask {
    let task = this.#tasks.get(taskId);
    if (task === undefined) {
      task = new TrackedTask(taskId);
      this.#tasks.set(taskId, task);
    }
    return task;
  }

  /** All tasks, in the order in which they became known. */
  tasks(): TrackedTask[] {
    return [...this.#tasks.values()];
  }

  /** The tasks whose creation was acknowledged and which were not seen final. */
  open(): TrackedTask[] {
    return this.tasks().filter(({ created, finished }) => created !== null && finished === null);
  }

  count(): { created: number; final: number } {
    const created = this.tasks().filter((task) => task.created !== null);
    return { created: created.length, final: created.filter(({ finished }) => finished !== null).length };
  }
}
