// The notification channels of a worker: one record for all of them, so that their number and order are decided by the
// commit that changes them. Subscriptions, URLs and codes are stored sealed.

import type { Channels } from '../../state/notices/channel.ts';
import type { Shape } from '../../state/text/forms.ts';
import type { Change } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { loadRecord, recordWrites } from '../redis/records.ts';

/** AAD context of the sealed texts of a channel. */
export function channelContext(channels: { org_id: string; worker_id: string }, channelId: string): string {
  return `${channels.org_id} channel ${channels.worker_id} ${channelId}`;
}

const SHAPE: Shape<Channels> = {
  org_id: 'string',
  worker_id: 'string',
  version: 'number',
  channels: 'list',
  codes_sent: 'list',
};

/** Loads the channels of a worker; version 0 without any. @throws UnreadableRecord */
export async function loadChannels(db: Db, orgId: string, workerId: string): Promise<Channels> {
  const key = orgKeysOf(db.prefix, orgId).notificationChannels(workerId);
  const found = await loadRecord(db, key, SHAPE);
  return found ?? { org_id: orgId, worker_id: workerId, version: 0, channels: [], codes_sent: [] };
}

/** Guards and writes that replace the channels of a worker. @param after with the version that follows `before` */
export function channelsWrites(db: Db, before: Channels, after: Channels): Change {
  const { org_id, worker_id } = before;
  const keys = orgKeysOf(db.prefix, org_id);
  const record = recordWrites(keys.notificationChannels(worker_id), before.version, after);
  const isNotified = after.channels.length > 0;
  return {
    guards: record.guards,
    writes: [...record.writes, [isNotified ? 'SADD' : 'SREM', keys.notifiedWorkers, worker_id]],
  };
}
