// What the worker has done, with the ratings and the feedback of reviewers.

import type { WorkedTask } from '@biolayer/sdk';
import { Link } from 'wouter';
import { useFormat, useShared } from '../shared/i18n/messages.tsx';
import { StatusBadge } from '../shared/ui/badge.tsx';
import { Button } from '../shared/ui/button.tsx';
import { EmptyState, Skeleton, Table } from '../shared/ui/containers.tsx';
import { Page } from '../shared/ui/layout.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { useHistory, useWorker } from './data.ts';
import { useWork } from './messages.ts';
import './work.css';

export function History() {
  const { history: text } = useWork();
  const shared = useShared();
  const history = useHistory();
  const tasks = history.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Page title={text.title}>
      <Numbers />
      {history.isPending ? (
        <Skeleton lines={6} />
      ) : history.isError ? (
        <Problem error={history.error} onRetry={() => void history.refetch()} />
      ) : tasks.length === 0 ? (
        <div className="card">
          <EmptyState icon="history" title={text.none}>
            {text.noneText}
          </EmptyState>
        </div>
      ) : (
        <>
          <Table label={text.label}>
            <thead>
              <tr>
                <th scope="col">{text.task}</th>
                <th scope="col">{text.status}</th>
                <th scope="col">{text.rating}</th>
                <th scope="col">{text.date}</th>
              </tr>
            </thead>
            <tbody>
              {tasks.map((task) => (
                <Row key={task.task_id} task={task} />
              ))}
            </tbody>
          </Table>
          {history.hasNextPage && (
            <div>
              <Button busy={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>
                {shared.more}
              </Button>
            </div>
          )}
        </>
      )}
    </Page>
  );
}

function Row({ task }: { task: WorkedTask }) {
  const { history: text } = useWork();
  const format = useFormat();
  const at = task.assignment?.submitted_at ?? task.completed_at;
  return (
    <tr>
      <td>
        <Link href={`/work/tasks/${task.task_id}`}>{task.title}</Link>
        {task.feedback !== null && (
          <div className="small muted plain-text">
            {text.feedback}: {task.feedback}
          </div>
        )}
      </td>
      <td>
        <StatusBadge status={task.status} />
      </td>
      <td>
        <Stars rating={task.rating} />
      </td>
      <td className="numeric">{at !== null && <time dateTime={at}>{format.dateTime(at)}</time>}</td>
    </tr>
  );
}

function Stars({ rating }: { rating: number | null }) {
  const { history: text } = useWork();
  const format = useFormat();
  if (rating === null) return <span className="muted">{text.unrated}</span>;
  return (
    <span>
      <span className="stars" aria-hidden="true">
        {'★'.repeat(rating)}
        {'☆'.repeat(5 - rating)}
      </span>
      <span className="visually-hidden">{text.stars(format.number(rating))}</span>
    </span>
  );
}

function Numbers() {
  const { history: text } = useWork();
  const format = useFormat();
  const worker = useWorker();
  if (worker.data === undefined) return null;
  const { rating, rating_count, accuracy, acceptance_rate } = worker.data;
  const numbers: [string, string | null, string][] = [
    [
      text.average,
      rating_count === 0 ? null : format.number(rating, { maximumFractionDigits: 1 }),
      text.ratings(rating_count),
    ],
    [text.accuracy, accuracy === null ? null : format.percent(accuracy), ''],
    [text.acceptance, acceptance_rate === null ? null : format.percent(acceptance_rate), ''],
  ];
  const known = numbers.filter(([, value]) => value !== null);
  if (known.length === 0) return null;
  return (
    <dl className="numbers">
      {known.map(([name, value, detail]) => (
        <div key={name} className="card">
          <dt className="small muted">{name}</dt>
          <dd>
            <strong className="number">{value}</strong> <span className="small muted">{detail}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
