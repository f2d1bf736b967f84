// The BullMQ queues over one connection, as producers see them.

import { type ConnectionOptions, Queue } from 'bullmq';
import { DEFAULTS, EVENTS_KEPT, type NewJob, type QueueName } from './catalogue.ts';
import { backendBy, type Now } from './redis-time.ts';

/** Prefix of BullMQ's keys. The braces keep all queues in one slot of a cluster. */
export function queuePrefix(prefix: string): string {
  return `{${prefix}-queues}`;
}

export class Queues {
  readonly all: Record<QueueName, Queue>;

  readonly #now: Now;

  /** @param connection is not closed by `close`: it belongs to who made it. @param now Redis' time, which delays are counted from. */
  constructor(connection: ConnectionOptions, prefix: string, now: Now) {
    this.#now = now;
    const open = (name: QueueName): Queue =>
      new Queue(
        name,
        {
          connection,
          prefix: queuePrefix(prefix),
          defaultJobOptions: DEFAULTS[name],
          streams: { events: { maxLen: EVENTS_KEPT } },
        },
        backendBy(now),
      );
    this.all = {
      lifecycle: open('lifecycle'),
      sla: open('sla'),
      webhooks: open('webhooks'),
      retries: open('retries'),
    };
    // The connection's owner hears its errors; without a listener here they would end the process.
    for (const queue of Object.values(this.all)) queue.on('error', () => undefined);
  }

  /** Adds jobs, many in a round trip. A job whose id is already there is left as it is. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    // Not in bulk: that is a transaction, which nobody needs here, at a higher price than so many commands of one turn.
    const timestamp = this.#now();
    await Promise.all(
      jobs.map(({ queue, name, data, opts }) => this.all[queue].add(name, data, { ...opts, timestamp })),
    );
  }

  /** Removes delayed jobs that are pointless now; one that is being worked on or is not there is left. */
  async drop(jobIds: readonly string[]): Promise<void> {
    await Promise.all(jobIds.map((id) => this.all.sla.remove(id)));
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.all).map((queue) => queue.close()));
  }
}
