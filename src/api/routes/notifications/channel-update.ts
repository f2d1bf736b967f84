// Changes the notification channels of the calling worker.

import type { Channel, Channels } from '../../../state/notices/channel.ts';
import { channelsWrites, loadChannels } from '../../../store/notices/channels.ts';
import { type Change, commit, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import type { Call } from '../../route.ts';

/** What a request makes of the worker's channels. */
interface ChannelsUpdate {
  after: Channels;
  response: HttpResponse;
  /** Written in the same commit. */
  writes?: Change['writes'];
}

/** Replaces the channels of the calling worker by compare-and-set. @param decide throws to refuse */
export async function updateChannels(
  call: Pick<Call<WorkerPrincipal>, 'deps' | 'principal' | 'credentialGuards' | 'recordResponse'>,
  decide: (before: Channels) => ChannelsUpdate,
): Promise<HttpResponse> {
  const { deps, principal, credentialGuards, recordResponse } = call;
  return updateWithRetry('notification channels', async () => {
    const callerGuards = await credentialGuards();
    const before = await loadChannels(deps.db, principal.org_id, principal.worker_id);
    const { after, response, writes = [] } = decide(before);
    const change = channelsWrites(deps.db, before, { ...after, version: before.version + 1 });
    const whole = merge(callerGuards, change, { guards: [], writes }, recordResponse(response));
    return (await commit(deps.db.redis, whole)) ? response : CONFLICT;
  });
}

/** A channel of the worker. @throws ApiError 404, 412 */
export function channelIn(channels: Channels, channelId: string, ifMatch?: number): Channel {
  const found = channels.channels.find((one) => one.channel_id === channelId);
  if (found === undefined) throw notFound();
  requireVersion(found.version, ifMatch);
  return found;
}

/** The channels with one of them replaced. */
export function withChannel(before: Channels, channel: Channel): Channels {
  const { channel_id } = channel;
  return {
    ...before,
    channels: before.channels.map((one) => (one.channel_id === channel_id ? channel : one)),
  };
}
