// Waits until a task is over or its caller has something to do, in slices: between them the agent hears of the progress.

import { type BioLayer, BioLayerError, type Task } from '@biolayer/sdk';
import { awaitedOf, isFinal } from './task-state.ts';

/** Longest time without a notification, seconds. */
const SLICE = 5;

export interface WaitContext {
  client: BioLayer;
  /** Ends the call: the agent has cancelled it or is gone. */
  signal: AbortSignal;
  /** Aborts when the process shuts down: the call then returns what it knows. */
  closing: AbortSignal;
  /** Tells the agent how far the call is, seconds. */
  progress(done: number, total: number, message: string): Promise<void>;
}

/**
 * Waits for up to `seconds`. @param known the task as the caller knows it @returns its last known state, also when the API
 * cannot be reached meanwhile or the time of the call is over
 */
export async function waitUntilFinal(known: Task, seconds: number, context: WaitContext): Promise<Task> {
  const { client, signal, closing, progress } = context;
  const start = performance.now();
  let task = known;
  for (;;) {
    const elapsed = (performance.now() - start) / 1000;
    const wait = Math.min(SLICE, Math.floor(seconds - elapsed));
    if (isFinal(task) || awaitedOf(task) !== null || wait < 1 || closing.aborted) return task;
    await progress(elapsed, seconds, `The task is ${task.status}.`);
    try {
      task = await client.tasks.get(task.task_id, { wait }, { signal, maxRetries: 0 });
    } catch (error) {
      if (error instanceof BioLayerError || signal.aborted) return task;
      throw error;
    }
  }
}
