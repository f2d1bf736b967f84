// Confirmation of an e-mail address: it gets notices only after its worker has given the code that was sent to it.

import { timingSafeEqual } from 'node:crypto';
import {
  type Channel,
  type Channels,
  CODE_PERIOD_MS,
  changedChannel,
  MAX_CODES,
  MAX_WRONG_CODES,
  recentCodes,
} from '../../../state/notices/channel.ts';
import { channelContext } from '../../../store/notices/channels.ts';
import { newNotice, noticeWrites } from '../../../store/notices/notices.ts';
import { newId } from '../../../store/redis/ids.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { ApiError, invalid } from '../../http/problem.ts';
import { closed, idOf } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { newCode } from './channel-input.ts';
import { channelIn, updateChannels, withChannel } from './channel-update.ts';
import { channelResponse } from './channel-view.ts';
import { ChannelParams, ChannelView, CodeInput } from './channels.schema.ts';

const access = { kind: 'worker' } as const;
const tag = 'Notifications';
const path = '/v1/worker/notification-channels/{channel_id}';

export const confirmationRoutes = [
  route({
    method: 'POST',
    path: `${path}/confirm`,
    access,
    versioned: true,
    tag,
    operationId: 'confirmNotificationChannel',
    summary: 'Confirm the address of a channel',
    description: `With the code that was sent to it; after ${MAX_WRONG_CODES} wrong codes a new one is needed.`,
    params: ChannelParams,
    body: CodeInput,
    responses: { 200: { description: 'The channel', schema: ChannelView, headers: ['ETag'] } },
    async handler(call) {
      const { deps, principal, params, body, ifMatch } = call;
      // A wrong code is counted in a commit and reported after it.
      let isWrong = false;
      const response = await updateChannels(call, (before) => {
        const channel = channelIn(before, params.channel_id, ifMatch);
        const now = deps.db.clock.now();
        isWrong = false;
        if (channel.confirmed_at !== null) return { after: before, response: channelResponse(channel) };
        if (isRight(deps, principal, channel, body.code, now)) {
          const confirmed = changedChannel(channel, { confirmed_at: now, code: null }, now);
          return { after: withChannel(before, confirmed), response: channelResponse(confirmed) };
        }
        isWrong = true;
        const code = channel.code && { ...channel.code, wrong: channel.code.wrong + 1 };
        return { after: withChannel(before, { ...channel, code }), response: channelResponse(channel) };
      });
      if (isWrong)
        throw invalid({
          pointer: '/code',
          message: 'is wrong or no longer valid; request a new one if it keeps failing',
        });
      return response;
    },
  }),
  route({
    method: 'POST',
    path: `${path}/send-code`,
    access,
    versioned: true,
    tag,
    operationId: 'sendNotificationChannelCode',
    summary: 'Send another code to the address of a channel',
    description: `Replaces the code before; at most ${MAX_CODES} codes a day.`,
    params: ChannelParams,
    body: closed({}),
    bodyOptional: true,
    responses: {
      202: { description: 'The code will be sent', schema: closed({ notice_id: idOf('notice') }) },
    },
    errors: ['channel_not_usable'],
    async handler(call) {
      const { deps, principal, params, ifMatch } = call;
      return updateChannels(call, (before) => {
        const channel = channelIn(before, params.channel_id, ifMatch);
        if (channel.confirmed_at !== null)
          throw new ApiError('channel_not_usable', 'The channel needs no confirmation.');
        const { notice_id, ...update } = withCode(deps, principal, before, channel);
        return { ...update, response: { status: 202, body: { notice_id } } };
      });
    },
  }),
];

/** The channels with a new code for one of them, and the writes that send it. @throws ApiError 429 after too many codes */
export function withCode(deps: ApiDeps, principal: WorkerPrincipal, before: Channels, channel: Channel) {
  const now = deps.db.clock.now();
  const sent = recentCodes(before.codes_sent, now);
  const [first = now] = sent;
  if (sent.length >= MAX_CODES)
    throw new ApiError('rate_limited', `At most ${MAX_CODES} codes a day are sent for a worker.`, {
      headers: { 'Retry-After': String(Math.ceil((first + CODE_PERIOD_MS - now) / 1000)) },
    });
  const { channel_id } = channel;
  const code = newCode(deps, principal, channel_id);
  const notice_id = newId(now);
  const notice = newNotice({
    notice_id,
    kind: 'confirmation',
    task_id: null,
    pool: null,
    channel_id,
    at: now,
  });
  const after = { ...withChannel(before, { ...channel, code }), codes_sent: [...sent, now] };
  return { after, writes: noticeWrites(deps.db, principal, notice), notice_id };
}

function isRight(
  { sealer }: ApiDeps,
  principal: WorkerPrincipal,
  { channel_id, code }: Channel,
  given: string,
  now: number,
): boolean {
  if (code === null || code.expires_at <= now || code.wrong >= MAX_WRONG_CODES) return false;
  const expected = Buffer.from(sealer.open(code.sealed, channelContext(principal, channel_id)));
  const bytes = Buffer.from(given);
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}
