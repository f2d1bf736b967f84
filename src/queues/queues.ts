// The BullMQ queues, opened over one connection to add and remove jobs.

import { type ConnectionOptions, Queue } from 'bullmq';
import { DEFAULTS, EVENTS_KEPT, type NewJob, type QueueName } from './catalogue.ts';
import { backendBy, type Now } from './redis-time.ts';

/** Prefix of BullMQ's keys. The braces keep all queues in one slot of a cluster. */
export function queuePrefix(prefix: string): string {
  return `{${prefix}-queues}`;
}

/** The queues of the catalogue. */
export class Queues {
  readonly all: Record<QueueName, Queue>;

  readonly #now: Now;

  /**
   * @param connection stays open after `close`; the caller closes it.
   * @param prefix first part of every key. @param now Redis' time, ms; delays are counted from it.
   */
  constructor(connection: ConnectionOptions, prefix: string, now: Now) {
    this.#now = now;
    const open = (name: QueueName): Queue =>
      new Queue(
        name,
        {
          connection,
          prefix: queuePrefix(prefix),
          // BullMQ waits once for the connection and its version, and a failure of that lasts as long as the queue. The
          // owner of the connection reconnects, and the start-up check looks at the version.
          skipWaitingForReady: true,
          skipVersionCheck: true,
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
      bulk: open('bulk'),
      notifications: open('notifications'),
    };
    // The owner of the connection handles its errors. Without a listener here they would end the process.
    for (const queue of Object.values(this.all)) queue.on('error', () => undefined);
  }

  /** Adds jobs in one round trip. A job whose id already exists is not changed. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    // Not `addBulk`: it runs a transaction, which costs more than pipelined commands and is not needed here.
    const timestamp = this.#now();
    await Promise.all(
      jobs.map(({ queue, name, data, opts }) => this.all[queue].add(name, data, { ...opts, timestamp })),
    );
  }

  /** Removes delayed jobs of the `sla` queue. A job that is running or does not exist is skipped. */
  async drop(jobIds: readonly string[]): Promise<void> {
    await Promise.all(jobIds.map((id) => this.all.sla.remove(id)));
  }

  /** Closes the queues, not the connection. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.all).map((queue) => queue.close()));
  }
}
