// Follows a task until it is final. Each request is a long poll of one second that ends early when the task is final, so
// the end is seen at once and any other change within a second. The history is read only when the version has changed.

import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEntry } from '../state/tasks/event.ts';
import { isFinal, STATUSES } from '../state/tasks/lifecycle.ts';
import type { Client } from './client.ts';
import { Refused, Unreachable } from './faults.ts';
import { historyAfter, taskPath } from './history.ts';
import { at } from './value.ts';

const SECOND = 1000;
/** Give up after this long without a response, ms. */
const OUTAGE_LIMIT = 30 * SECOND;

/** Callbacks of `watchTask`. */
export interface Watcher {
  onEvent(entry: HistoryEntry): void;
  /** The API is unavailable; the watch continues. Called once per outage. */
  onOutage(reason: string): void;
}

/** Follows a task. @returns the final task with all its events. @throws Refused, or Unreachable after a long outage. */
export async function watchTask(
  api: Client,
  taskId: string,
  watcher: Watcher,
): Promise<{ task: unknown; events: HistoryEntry[] }> {
  const events: HistoryEntry[] = [];
  let version: unknown;
  let unavailableSince: number | null = null;
  for (;;) {
    try {
      const task = await api.send('GET', taskPath(taskId), version === undefined ? {} : { wait: 1 });
      if (at(task, 'version') !== version) {
        const newEntries = await historyAfter(api, taskId, events.length);
        for (const entry of newEntries) watcher.onEvent(entry);
        events.push(...newEntries);
        version = at(task, 'version');
      }
      if (STATUSES.some((status) => status === at(task, 'status') && isFinal(status)))
        return { task, events };
      unavailableSince = null;
    } catch (error) {
      if (!isTemporary(error)) throw error;
      if (unavailableSince === null) watcher.onOutage(error.message);
      unavailableSince ??= performance.now();
      if (performance.now() - unavailableSince > OUTAGE_LIMIT) throw error;
      await sleep(SECOND);
    }
  }
}

/** Whether the error may be temporary: no response, unavailable, or too many requests. */
function isTemporary(error: unknown): error is Unreachable | Refused {
  return (
    error instanceof Unreachable || (error instanceof Refused && [429, 502, 503, 504].includes(error.status))
  );
}
