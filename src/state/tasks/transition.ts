// A task while commands change it, with the events so far and the time from which the change is valid.

import type { CommandContext } from './command.ts';
import type { TaskEvent } from './event.ts';
import { eventIdOf } from './event-id.ts';
import type { EventType, Status } from './lifecycle.ts';
import type { Offer } from './offer.ts';
import { poolOf, type Task, type TaskInput } from './task.ts';

export class Transition {
  readonly events: TaskEvent[] = [];
  task: Task;
  readonly context: CommandContext;
  /** Offers that a takeover revoked; they stay with the task until the next change, so that their workers are told. */
  revoked: Offer[] = [];
  /** The change is valid only from this time on, ms; null when it depends on no time. */
  due: number | null = null;

  constructor(task: Task, context: CommandContext) {
    this.task = task;
    this.context = context;
  }

  /** Whether `time` (ms) has passed; if so, the change is valid only from that time on. */
  requirePast(time: number): boolean {
    return time <= this.context.now && this.validFrom(time);
  }

  /** Makes the change valid only from `time` (ms) on. @returns false while nothing may expire (see `isClockFrozen`). */
  validFrom(time: number): boolean {
    if (this.context.isClockFrozen === true) return false;
    this.due = Math.max(this.due ?? time, time);
    return true;
  }

  emit(type: EventType, previous: Status | null, data: Record<string, unknown>): void {
    this.task.sequence += 1;
    const { task_id, sequence, status } = this.task;
    this.events.push({
      event_id: eventIdOf(task_id, sequence, this.context.now),
      type,
      sequence,
      status,
      previous_status: previous,
      at: this.context.now,
      actor: this.context.actor,
      attempt: this.task.attempt,
      data,
    });
  }

  /** Replaces parts of the task's input; see `setInput`. */
  changeInput(change: Partial<TaskInput>): void {
    this.setInput({ ...this.task.input, ...change });
  }

  /**
   * Replaces the task's input. The commit follows: record, indexes, queue position, a new match if it is queued. A worker
   * who has accepted the task keeps it in another pool too.
   */
  setInput(input: TaskInput): void {
    const { task } = this;
    const pool_id = poolOf(task);
    task.input = input;
    task.input_changed_at = this.context.now;
    if (task.assignment !== null && poolOf(task) !== pool_id)
      task.assignment = { pool_id, ...task.assignment };
  }

  /** Moves the task to `status` and emits the event. */
  move(status: Exclude<Status, 'created'>, data: Record<string, unknown>): void {
    const previous = this.task.status;
    this.task.status = status;
    this.task.status_changed_at = this.context.now;
    this.emit(`task.${status}`, previous, data);
  }
}
