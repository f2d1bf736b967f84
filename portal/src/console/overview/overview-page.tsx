// The overview: how many tasks are where now, live, and how the work went over time.

import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { ConnectionBadge, ConnectionBanner } from '../../shared/ui/connection.tsx';
import { Card, Skeleton } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useMay } from '../member.tsx';
import { useConsole, useOverview } from '../messages.ts';
import { TASKS_KEY, useConnection } from '../org-events.tsx';
import { OverTime } from './over-time.tsx';
import './overview.css';

/** Numbers are renewed this often when nothing happens: clocks run out without an event of their own, ms. */
const POLL = 30_000;

/** The first delivery pages hold so many: beyond, "at least" is shown. */
const DEAD_LETTERS = 200;

export default function OverviewPage() {
  const title = useConsole().nav.overview;
  const connection = useConnection();
  const mayCount = useMay('stats:read');
  return (
    <Page title={title} actions={<ConnectionBadge connection={connection} />}>
      <ConnectionBanner connection={connection} />
      {mayCount && (
        <>
          <Now />
          <OverTime />
        </>
      )}
    </Page>
  );
}

function Now() {
  const text = useOverview();
  const shared = useShared();
  const { data, error, isError, refetch } = useQuery({
    queryKey: [TASKS_KEY, 'open'],
    queryFn: ({ signal }) => api.stats.openTasks({ signal }),
    refetchInterval: POLL,
  });
  if (data === undefined)
    return isError ? <Problem error={error} onRetry={() => void refetch()} /> : <Skeleton lines={4} />;
  const { status } = data;
  return (
    <>
      <section className="tiles" aria-label={text.now}>
        <Tile
          label={text.tiles.waiting}
          count={status.queued + status.matched + status.offered}
          search="status=queued,matched,offered"
        />
        <Tile
          label={text.tiles.atWork}
          count={status.accepted + status.started}
          search="status=accepted,started"
        />
        <Tile label={text.tiles.inReview} count={data.in_review} search="in_review=true&order=asc" />
        <Tile label={text.tiles.overdue} count={data.overdue} search="overdue=true" isBad />
        <Tile label={text.tiles.questions} count={data.has_open_question} search="has_open_question=true" />
        <GivenUp />
      </section>
      <div className="overview-columns">
        <Bars
          title={text.byUrgency}
          rows={data.by_urgency.toReversed().map((one) => ({
            ...one,
            label: shared.urgency[one.group as keyof typeof shared.urgency] ?? one.group,
            search: `status=${OPEN}&urgency=${one.group}`,
          }))}
        />
        <Bars
          title={text.byDomain}
          rows={data.by_domain.map((one) => ({
            ...one,
            label: one.group,
            search: `status=${OPEN}&domain=${one.group}`,
          }))}
        />
      </div>
    </>
  );
}

/** The open states, as a filter. */
const OPEN = 'created,queued,matched,offered,accepted,started,submitted,verified';

function Tile({
  label,
  count,
  search,
  isBad = false,
}: {
  label: string;
  count: number;
  search: string;
  /** A number above zero needs attention. */
  isBad?: boolean;
}) {
  const format = useFormat();
  return (
    <Link className={isBad && count > 0 ? 'tile tile-bad' : 'tile'} href={`/console/tasks?${search}`}>
      <span className="tile-label">{label}</span>
      <span className="tile-count numeric">{format.number(count)}</span>
    </Link>
  );
}

/** Deliveries that were given up, if the member may see them. */
function GivenUp() {
  const text = useOverview();
  const format = useFormat();
  const enabled = useMay('webhooks:read');
  const { data } = useQuery({
    queryKey: [TASKS_KEY, 'dead-letters'],
    queryFn: ({ signal }) =>
      api.deliveries.listDeadLetters({ limit: DEAD_LETTERS }, { signal }).then((page) => page),
    enabled,
    staleTime: POLL,
    refetchInterval: POLL,
  });
  if (!enabled) return null;
  const count = data?.data.length ?? 0;
  const shown = format.number(count);
  return (
    <Link className={count > 0 ? 'tile tile-bad' : 'tile'} href="/console/webhooks">
      <span className="tile-label">{text.tiles.givenUp}</span>
      <span className="tile-count numeric">
        {data === undefined ? '–' : data.has_more ? text.atLeast(shown) : shown}
      </span>
    </Link>
  );
}

interface Bar {
  group: string;
  label: string;
  count: number;
  is_exact: boolean;
  search: string;
}

function Bars({ title, rows }: { title: string; rows: readonly Bar[] }) {
  const text = useOverview();
  const format = useFormat();
  const most = Math.max(1, ...rows.map((one) => one.count));
  return (
    <Card title={title}>
      {rows.every((one) => one.count === 0) ? (
        <p className="muted">{text.noOpen}</p>
      ) : (
        <ul className="bars">
          {rows.map(({ group, label, count, is_exact, search }) => (
            <li key={group}>
              <Link className="bar" href={`/console/tasks?${search}`}>
                <span className="bar-label">{label}</span>
                <progress
                  className={`progress bar-meter bar-${group}`}
                  max={most}
                  value={count}
                  aria-hidden="true"
                />
                <span className="bar-count numeric">
                  {is_exact ? format.number(count) : text.atLeast(format.number(count))}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
