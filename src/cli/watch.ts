// Follows a task until it is final. Each request is a long poll of one second that ends early when the task is final, so
// the end is seen at once and any other change within a second. The history is read only when the version has changed.

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type BioLayer, type Task } from '@biolayer/sdk';
import { isTemporary } from '../simulation/requests.ts';
import type { HistoryEntry } from '../state/tasks/event.ts';
import { isFinal } from '../state/tasks/lifecycle.ts';
import { unreachable } from './faults.ts';
import { historyAfter } from './history.ts';

const SECOND = 1000;
/** Give up after this long without a response, ms. */
const OUTAGE_LIMIT = 30 * SECOND;

/** Callbacks of `watchTask`. */
export interface Watcher {
  onEvent(entry: HistoryEntry): void;
  /** The API is unavailable; the watch continues. Called once per outage. */
  onOutage(reason: string): void;
}

/**
 * Follows a task.
 * @returns the final task with all its events. @throws ApiError, or ConnectionError and TimeoutError after a long outage.
 */
export async function watchTask(
  api: BioLayer,
  taskId: string,
  watcher: Watcher,
): Promise<{ task: Task; events: HistoryEntry[] }> {
  const events: HistoryEntry[] = [];
  let version: number | undefined;
  let unavailableSince: number | null = null;
  for (;;) {
    try {
      const task = await api.tasks.get(taskId, version === undefined ? {} : { wait: 1 }, { maxRetries: 0 });
      if (task.version !== version) {
        const newEntries = await historyAfter(api, taskId, events.length);
        for (const entry of newEntries) watcher.onEvent(entry);
        events.push(...newEntries);
        version = task.version;
      }
      if (isFinal(task.status)) return { task, events };
      unavailableSince = null;
    } catch (error) {
      if (!isTemporary(error)) throw error;
      if (unavailableSince === null)
        watcher.onOutage(error instanceof ApiError ? error.detail : unreachable(error));
      unavailableSince ??= performance.now();
      if (performance.now() - unavailableSince > OUTAGE_LIMIT) throw error;
      await sleep(SECOND);
    }
  }
}
