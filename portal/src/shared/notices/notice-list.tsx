// The notices that a worker was sent, with their outcomes: whether an offer could reach a worker who was not looking.

import type { Notification } from '@biolayer/sdk';
import { Link } from 'wouter';
import { PagedList, usePaged } from '../api/pages.tsx';
import type { notices } from '../i18n/en/notices.ts';
import { areaHook, type Catalogue, useFormat } from '../i18n/messages.tsx';
import { Badge, type Tone } from '../ui/badge.tsx';
import './notice-list.css';

export const useNotices = areaHook<Catalogue & { notices: typeof notices }>()('notices');

type NoticePage = { data: Notification[]; next_cursor: string | null };

const TONES: Readonly<Record<Notification['status'], Tone>> = {
  pending: 'blue',
  sent: 'green',
  failed: 'red',
  not_sent: 'grey',
};
const PAGE = 10;
const REFRESH_MS = 15_000;

/**
 * @param queryKey of the cache. @param load a page of the notices. @param taskPath before the id of a task, its page.
 * @param none shown when there are no notices.
 */
export function NoticeList({
  queryKey,
  load,
  taskPath,
  none,
}: {
  queryKey: readonly string[];
  load: (query: { limit: number; cursor?: string }) => PromiseLike<NoticePage>;
  taskPath: string;
  none: string;
}) {
  const list = usePaged<Notification>(queryKey, load, { limit: PAGE, refreshEvery: REFRESH_MS });
  return (
    <PagedList list={list} empty={<p className="muted">{none}</p>}>
      {(notices) => (
        <ul className="notice-list">
          {notices.map((notice) => (
            <li key={notice.notice_id}>
              <Notice notice={notice} taskPath={taskPath} />
            </li>
          ))}
        </ul>
      )}
    </PagedList>
  );
}

function Notice({ notice, taskPath }: { notice: Notification; taskPath: string }) {
  const text = useNotices();
  const format = useFormat();
  const { kind, task_id, status, reason, attempts, created_at } = notice;
  return (
    <div className="stack stack-tight">
      <div className="row">
        <Badge tone={TONES[status]}>{text.statuses[status]}</Badge>
        {task_id === null ? (
          text.kinds[kind]
        ) : (
          <Link href={`${taskPath}/${task_id}`}>{text.kinds[kind]}</Link>
        )}
        <time className="muted small" dateTime={created_at}>
          {format.dateTime(created_at)}
        </time>
      </div>
      {reason !== null && <p className="small muted">{text.reasons[reason]}</p>}
      {attempts.map(({ channel_id, channel, at, outcome, error }) => (
        <p key={`${channel_id} ${at}`} className="small">
          {text.channels[channel]}: {text.outcomes[outcome]}
          {error !== null && <span className="muted"> · {error}</span>}
        </p>
      ))}
    </div>
  );
}
