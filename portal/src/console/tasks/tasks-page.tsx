// The list of tasks. Filters, order and position stand in the address; a page of it has 100 tasks, so that the list is as
// quick with 100 000 tasks as with ten.

import { ApiError } from '@biolayer/sdk';
import { useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { ConnectionBadge, ConnectionBanner } from '../../shared/ui/connection.tsx';
import { Banner, EmptyState, Skeleton } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useTasks } from '../messages.ts';
import { useConnection } from '../org-events.tsx';
import { BulkBar } from './bulk-bar.tsx';
import { BulkProgress } from './bulk-progress.tsx';
import { FilterBar } from './filter-bar.tsx';
import { changed, type Filters, filtersOf, isUnfiltered, searchOf } from './filters.ts';
import { type Selection, useSelection } from './selection.ts';
import { useTaskPage } from './task-queries.ts';
import { TaskTable } from './task-table.tsx';
import './tasks.css';

const PATH = '/console/tasks';

export function TasksPage() {
  const text = useTasks();
  const search = useSearch();
  const connection = useConnection();
  const filters = filtersOf(search);
  const [, navigate] = useLocation();
  const show = (next: Filters) => navigate(addressOf(next));
  return (
    <Page title={text.title} actions={<ConnectionBadge connection={connection} />}>
      <ConnectionBanner connection={connection} />
      <FilterBar filters={filters} onChange={show} />
      <BulkProgress />
      {/* The list starts anew with other filters: selection and position belong to them. */}
      <List
        key={searchOf(filters)}
        filters={filters}
        cursor={new URLSearchParams(search).get('cursor')}
        onFilter={show}
      />
    </Page>
  );
}

function List({
  filters,
  cursor,
  onFilter,
}: {
  filters: Filters;
  cursor: string | null;
  onFilter: (next: Filters) => void;
}) {
  const text = useTasks();
  const page = useTaskPage(filters, cursor);
  const selection = useSelection();
  const { error } = page;
  return (
    <>
      {selection.isUsed && <BulkBar selection={selection} filters={filters} />}
      {page.isPending ? (
        <Skeleton lines={12} />
      ) : page.data === undefined ? (
        error instanceof ApiError && error.status === 400 && filters.order_by === 'deadline' ? (
          <Banner
            tone="amber"
            live
            title={text.tooManyByDeadline}
            actions={
              <Button onClick={() => onFilter(changed(filters, { order_by: undefined }))}>
                {text.byCreation}
              </Button>
            }
          />
        ) : (
          <Problem error={error} onRetry={() => void page.refetch()} />
        )
      ) : page.data.data.length === 0 ? (
        <Empty filters={filters} onClear={() => onFilter({})} />
      ) : (
        <>
          {page.isError && <Problem error={error} onRetry={() => void page.refetch()} />}
          <TaskTable tasks={page.data.data} selection={selection} isOld={page.isPlaceholderData} />
        </>
      )}
      {page.data !== undefined && (
        <Pages filters={filters} cursor={cursor} next={page.data.next_cursor} selection={selection} />
      )}
    </>
  );
}

function Empty({ filters, onClear }: { filters: Filters; onClear: () => void }) {
  const { empty } = useTasks();
  const isAll = isUnfiltered(filters);
  return (
    <EmptyState
      icon="tasks"
      title={empty.title}
      actions={!isAll && <Button onClick={onClear}>{empty.clear}</Button>}
    >
      {isAll ? empty.none : empty.filtered}
    </EmptyState>
  );
}

/** The cursors of the pages before this one are kept in the state of the browser's history. */
function Pages({
  filters,
  cursor,
  next,
  selection,
}: {
  filters: Filters;
  cursor: string | null;
  next: string | null;
  selection: Selection;
}) {
  const text = useTasks();
  const format = useFormat();
  const [, navigate] = useLocation();
  const [before, setBefore] = useState<readonly (string | null)[]>([]);
  if (cursor === null && next === null) return null;
  const go = (to: string | null, passed: readonly (string | null)[]) => {
    setBefore(passed);
    selection.clear();
    navigate(addressOf(filters, to));
    scrollTo({ top: 0 });
  };
  const previous = before.at(-1);
  return (
    <nav className="row" aria-label={text.pages}>
      {cursor !== null && <Button onClick={() => go(null, [])}>{text.first}</Button>}
      {previous !== undefined && (
        <Button icon="left" onClick={() => go(previous, before.slice(0, -1))}>
          {text.previous}
        </Button>
      )}
      {next !== null && <Button onClick={() => go(next, [...before, cursor])}>{text.next}</Button>}
      {(before.length > 0 || cursor === null) && (
        <span className="muted">{text.page(format.number(before.length + 1))}</span>
      )}
    </nav>
  );
}

function addressOf(filters: Filters, cursor: string | null = null): string {
  const query = new URLSearchParams(searchOf(filters));
  if (cursor !== null) query.set('cursor', cursor);
  const text = query.toString();
  return text === '' ? PATH : `${PATH}?${text}`;
}
