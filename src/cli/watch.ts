// Following a task to its end. The API holds each look for a second or until the task is final, so the end
// is seen at once and every step within a second; the history is read only when the version moved on.

import { setTimeout as sleep } from 'node:timers/promises';
import { isFinal, STATUSES } from '../state/tasks/lifecycle.ts';
import type { HistoryEntry } from '../state/tasks/task.ts';
import type { Client } from './client.ts';
import { Refused, Unreachable } from './faults.ts';
import { historyAfter, taskPath } from './history.ts';
import { at } from './value.ts';

const SECOND = 1000;
/** An outage that is longer than this ends the watch, ms. */
const PATIENCE = 30 * SECOND;

export interface Watcher {
  onEvent(entry: HistoryEntry): void;
  /** The API is away for now. */
  onOutage(reason: string): void;
}

/** Follows the task. @returns the final task with all its events. @throws Refused or Unreachable */
export async function watchTask(
  api: Client,
  taskId: string,
  watcher: Watcher,
): Promise<{ task: unknown; events: HistoryEntry[] }> {
  const events: HistoryEntry[] = [];
  let version: unknown;
  let lostSince: number | null = null;
  for (;;) {
    try {
      const task = await api.send('GET', taskPath(taskId), version === undefined ? {} : { wait: 1 });
      if (at(task, 'version') !== version) {
        const fresh = await historyAfter(api, taskId, events.length);
        for (const entry of fresh) watcher.onEvent(entry);
        events.push(...fresh);
        version = at(task, 'version');
      }
      if (STATUSES.some((status) => status === at(task, 'status') && isFinal(status)))
        return { task, events };
      lostSince = null;
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (lostSince === null) watcher.onOutage(error.message);
      lostSince ??= performance.now();
      if (performance.now() - lostSince > PATIENCE) throw error;
      await sleep(SECOND);
    }
  }
}

/** Whether it may be over in a moment: nobody there, unavailable, or too many requests. */
function isPassing(error: unknown): error is Unreachable | Refused {
  return (
    error instanceof Unreachable || (error instanceof Refused && [429, 502, 503, 504].includes(error.status))
  );
}
