// The notices that a worker was sent, with their outcomes: whether an offer could reach a worker who was not looking.

import type { Notification } from '@biolayer/sdk';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { useConsoleWorkers } from '../messages.ts';
import '../console.css';

const TONES: Readonly<Record<Notification['status'], Tone>> = {
  pending: 'blue',
  sent: 'green',
  failed: 'red',
  not_sent: 'grey',
};
const PAGE = 10;
const REFRESH = 15_000;

export function WorkerNotices({ workerId }: { workerId: string }) {
  const { notices: text } = useConsoleWorkers();
  const list = usePaged<Notification>(
    ['worker-notices', workerId],
    (cursor) =>
      api.workers.listNotifications(workerId, {
        limit: PAGE,
        ...(cursor !== undefined && { cursor }),
      }),
    { refreshEvery: REFRESH },
  );
  return (
    <Card title={text.title}>
      <PagedList list={list} empty={<p className="muted">{text.none}</p>}>
        {(notices) => (
          <ul className="plain-list">
            {notices.map((notice) => (
              <li key={notice.notice_id}>
                <Notice notice={notice} />
              </li>
            ))}
          </ul>
        )}
      </PagedList>
    </Card>
  );
}

function Notice({ notice }: { notice: Notification }) {
  const { notices: text } = useConsoleWorkers();
  const format = useFormat();
  const { kind, task_id, status, reason, attempts, created_at } = notice;
  return (
    <div className="stack stack-tight">
      <div className="row">
        <Badge tone={TONES[status]}>{text.statuses[status]}</Badge>
        {task_id === null ? (
          text.kinds[kind]
        ) : (
          <Link href={`/console/tasks/${task_id}`}>{text.kinds[kind]}</Link>
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
