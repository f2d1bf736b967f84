// Which queues of which shards no living worker process takes. Their jobs wait.

/** A process that is alive. */
export interface LivingProcess {
  kind: string;
  /** The queues and shards that a worker process takes; undefined: all. */
  takes?: { queues: readonly string[]; shards: readonly number[] } | undefined;
}

/** A queue of a shard, with the number of worker processes that take it. */
export interface Coverage {
  queue: string;
  shard: number;
  workers: number;
}

/** How many worker processes take each queue of each shard. */
export function coverageOf(
  processes: readonly LivingProcess[],
  queues: readonly string[],
  shards: number,
): Coverage[] {
  const workers = processes.filter((one) => one.kind === 'worker');
  return Array.from({ length: shards }, (_, shard) =>
    queues.map((queue) => ({
      queue,
      shard,
      workers: workers.filter(
        ({ takes }) => takes === undefined || (takes.queues.includes(queue) && takes.shards.includes(shard)),
      ).length,
    })),
  ).flat();
}

/** What no process takes, such as `webhooks (shards 2, 3), bulk (all shards)`; null when all is taken. */
export function describeGaps(coverage: readonly Coverage[]): string | null {
  const count = new Set(coverage.map((one) => one.shard)).size;
  const gaps = [...new Set(coverage.map((one) => one.queue))].flatMap((queue) => {
    const shards = coverage.filter((one) => one.queue === queue && one.workers === 0).map((one) => one.shard);
    if (shards.length === 0) return [];
    if (count === 1) return [queue];
    if (shards.length === count) return [`${queue} (all shards)`];
    return [`${queue} (shard${shards.length === 1 ? '' : 's'} ${shards.join(', ')})`];
  });
  return gaps.length === 0 ? null : gaps.join(', ');
}
