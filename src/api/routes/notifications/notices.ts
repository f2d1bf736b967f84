// What was sent to a worker, as the worker and their team see it, and the test of a channel.

import Type from 'typebox';
import { CHANNEL_KINDS, isUsable } from '../../../state/notices/channel.ts';
import {
  ATTEMPT_OUTCOMES,
  NOTICE_KINDS,
  NOTICE_STATUSES,
  type Notice,
  UNSENT_REASONS,
} from '../../../state/notices/notice.ts';
import { timestamp } from '../../../state/text/time.ts';
import { listNotices, newNotice, noticeWrites } from '../../../store/notices/notices.ts';
import { newId } from '../../../store/redis/ids.ts';
import { visibleWorker } from '../../access/pool-visibility.ts';
import { maySeePool } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { ApiError } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, idOf, nullable, PageQuery, pageOf, text, time, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { WorkerParams } from '../workers/workers.schema.ts';
import { channelIn, updateChannels } from './channel-update.ts';
import { ChannelParams } from './channels.schema.ts';

const access = { kind: 'worker' } as const;
const tag = 'Notifications';

const AttemptView = Type.Object(
  {
    channel_id: idOf('channel'),
    channel: word(CHANNEL_KINDS, { description: 'Kind of the channel' }),
    at: time('When it began'),
    outcome: word(ATTEMPT_OUTCOMES, {
      description: 'sending: under way, or its end is not known',
    }),
    error: nullable(text('Why it failed; null otherwise')),
  },
  { $id: 'NotificationAttempt', description: 'An attempt to send a notice through a channel' },
);
const NoticeView = Type.Object(
  {
    notice_id: idOf('notice'),
    kind: word(NOTICE_KINDS, { description: 'What it tells of' }),
    task_id: nullable(idOf('task; null for a test or a code')),
    status: word(NOTICE_STATUSES, { description: 'failed: no channel has taken it' }),
    reason: nullable(
      word(UNSENT_REASONS, {
        description:
          'no_longer_relevant: the offer has ended, or the matter is settled. quiet_hours: of all channels. no_channel: none is enabled and confirmed',
      }),
      'Why it was not sent; null otherwise',
    ),
    attempts: Type.Array(AttemptView, { description: 'Attempts, oldest first' }),
    created_at: time('When what it tells of happened'),
  },
  { $id: 'Notification', description: 'A notice to a worker, with its outcome' },
);
const responses = { 200: { description: 'A page of notices', schema: pageOf(NoticeView) } };
const KEPT = 'The newest 100 of the last 30 days.';

export const noticeRoutes = [
  route({
    method: 'POST',
    path: '/v1/worker/notification-channels/{channel_id}/test',
    access,
    versioned: true,
    tag,
    operationId: 'testNotificationChannel',
    summary: 'Send a test notice through a channel',
    description: 'Also in quiet hours. The outcome is in my notices.',
    params: ChannelParams,
    body: closed({}),
    bodyOptional: true,
    responses: {
      202: { description: 'The notice will be sent', schema: closed({ notice_id: idOf('notice') }) },
    },
    errors: ['channel_not_usable'],
    async handler(call) {
      const { deps, principal, params, ifMatch } = call;
      const now = deps.db.clock.now();
      const notice_id = newId(now);
      return updateChannels(call, (before) => {
        const channel = channelIn(before, params.channel_id, ifMatch);
        if (!isUsable(channel))
          throw new ApiError(
            'channel_not_usable',
            channel.enabled
              ? 'The address is not confirmed yet.'
              : 'The channel is disabled. Enable it first.',
          );
        const { channel_id } = channel;
        const notice = newNotice({ notice_id, kind: 'test', task_id: null, pool: null, channel_id, at: now });
        const writes = noticeWrites(deps.db, principal, notice);
        return { after: before, response: { status: 202, body: { notice_id } }, writes };
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/worker/notifications',
    access,
    tag,
    operationId: 'listOwnNotifications',
    summary: 'List the notices that I was sent',
    description: KEPT,
    query: closed(PageQuery),
    responses,
    handler: ({ deps, principal, query }) => noticePage(deps, principal, principal.worker_id, query),
  }),
  route({
    method: 'GET',
    path: '/v1/workers/{worker_id}/notifications',
    access: scope('workers:read'),
    tag,
    operationId: 'listWorkerNotifications',
    summary: 'List the notices that a worker was sent',
    description: `Shows whether the worker was reached, and through which kind of channel. ${KEPT}`,
    params: WorkerParams,
    query: closed(PageQuery),
    responses,
    async handler({ deps, principal, params, query }) {
      const { worker_id } = await visibleWorker(deps.db, principal, params.worker_id);
      return noticePage(deps, principal, worker_id, query);
    },
  }),
];

/** A page of the worker's notices, without those of tasks in pools that the caller may not see. */
async function noticePage(
  { db }: ApiDeps,
  viewer: { org_id: string; pools: readonly string[] },
  workerId: string,
  {
    limit = DEFAULT_LIMIT,
    cursor,
    order = 'desc',
  }: { limit?: number; cursor?: string; order?: 'asc' | 'desc' },
): Promise<HttpResponse> {
  const { org_id, pools } = viewer;
  const bound = listScope('notifications', org_id, workerId, pools, order);
  const after = readCursor(bound, cursor);
  const all = await listNotices(db, org_id, workerId);
  const visible = all.filter(({ task_id, pool }) => task_id === null || maySeePool(viewer, pool));
  const ordered = order === 'asc' ? visible : visible.reverse();
  const isAfter = ({ notice_id }: Notice) =>
    after === null || (order === 'asc' ? notice_id > after : notice_id < after);
  const rest = ordered.filter(isAfter);
  const shown = rest.slice(0, limit);
  const last = shown.at(-1);
  const next = rest.length > limit && last !== undefined ? last.notice_id : null;
  return listResponse(shown.map(noticeView), bound, next);
}

function noticeView({ notice_id, kind, task_id, status, reason, attempts, at }: Notice): object {
  return {
    notice_id,
    kind,
    task_id,
    status,
    reason,
    attempts: attempts.map(({ channel_id, channel, at: began, outcome, error }) => ({
      channel_id,
      channel,
      at: timestamp(began),
      outcome,
      error,
    })),
    created_at: timestamp(at),
  };
}
