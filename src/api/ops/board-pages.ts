// The pages of Bull Board, with the queues in groups.

import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { KoaAdapter } from '@bull-board/koa';
import type { Middleware } from 'koa';
import { QUEUES, type QueueName } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';

/** The queues are shown in groups, by what comes before the dots; those of several shards, by shard first. */
const GROUPS: Record<QueueName, string> = {
  lifecycle: 'tasks',
  sla: 'tasks',
  bulk: 'tasks',
  webhooks: 'outgoing',
  retries: 'outgoing',
  notifications: 'outgoing',
};

/** The group of a shard, with leading zeros because the board sorts by text; one shard alone needs no group. */
function shardGroup(shard: number, shards: number): string {
  if (shards === 1) return '';
  return `shard${String(shard).padStart(String(shards - 1).length, '0')}.`;
}

/** Middleware that serves the pages under `path`. @param options.isReadOnly whether they offer no actions */
export function boardPages(
  queues: Queues,
  { path, isReadOnly }: { path: string; isReadOnly: boolean },
): Middleware {
  const adapter = new KoaAdapter();
  createBullBoard({
    queues: queues.shards.flatMap(({ index, all }) =>
      QUEUES.map(
        (name) =>
          new BullMQAdapter(all[name], {
            prefix: `${shardGroup(index, queues.shards.length)}${GROUPS[name]}.`,
            delimiter: '.',
            readOnlyMode: isReadOnly,
          }),
      ),
    ),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'BioLayer' } },
  });
  adapter.setBasePath(path);
  // The error middleware of the API answers all errors.
  adapter.setErrorHandler((error) => {
    throw error;
  });
  return adapter.registerPlugin() as unknown as Middleware;
}
