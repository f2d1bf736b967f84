// The list of workers: who is there, how busy they are, how well they work.

import type { Worker } from '@biolayer/sdk';
import { Link } from 'wouter';
import { PagedList } from '../../shared/api/pages.tsx';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { FilterBar, SelectFilter, TextFilter, useUrlFilters } from '../filter-bar.tsx';
import { useMay } from '../member.tsx';
import { useConsole, useConsoleWorkers } from '../messages.ts';
import { usePoolName, usePools } from '../pools/pool-data.ts';
import { AvailabilityBadge } from './availability-badge.tsx';
import { Chips } from './chips.tsx';
import { Load } from './load.tsx';
import { SortHeader } from './sort-header.tsx';
import { inTime, useWorkerList, useWorkerStats } from './worker-data.ts';
import {
  FILTERS,
  filtersOf,
  IDLES,
  LOADS,
  ORDERS,
  ordered,
  QUALITIES,
  queryOf,
  wanted,
} from './worker-filters.ts';
import '../console.css';

export function WorkersPage() {
  const text = useConsoleWorkers();
  const { nav } = useConsole();
  const mayWrite = useMay('workers:write');
  const [params, set, clear] = useUrlFilters();
  const filters = filtersOf(params);
  const list = useWorkerList(queryOf(filters));
  const isFiltered = FILTERS.some((name) => filters[name] !== '');
  const empty = isFiltered ? (
    <NoMatch onClear={clear} />
  ) : (
    <EmptyState icon="people" title={text.noWorkers}>
      {mayWrite && text.noWorkersHint}
    </EmptyState>
  );
  return (
    <Page
      title={nav.workers}
      actions={
        mayWrite && (
          <ButtonLink look="primary" icon="plus" href="/console/workers?invite=">
            {text.invite}
          </ButtonLink>
        )
      }
    >
      <Filters filters={filters} set={set} />
      <PagedList list={list} empty={empty}>
        {(workers) => <WorkerTable workers={workers} hasMore={list.hasMore} onClear={clear} />}
      </PagedList>
    </Page>
  );
}

function NoMatch({ onClear }: { onClear: () => void }) {
  const text = useConsoleWorkers();
  return (
    <EmptyState
      icon="search"
      title={text.noMatch}
      actions={<Button onClick={onClear}>{text.clearFilters}</Button>}
    >
      {text.noMatchHint}
    </EmptyState>
  );
}

function Filters({
  filters,
  set,
}: {
  filters: ReturnType<typeof filtersOf>;
  set: (name: string, value: string) => void;
}) {
  const text = useConsoleWorkers();
  const shared = useShared();
  const pools = usePools();
  const { any } = text;
  return (
    <FilterBar label={text.filters}>
      <TextFilter label={text.search} value={filters.q} onChange={(value) => set('q', value)} />
      <SelectFilter
        label={text.availability}
        any={any}
        value={filters.availability}
        options={Object.entries(shared.availability)}
        onChange={(value) => set('availability', value)}
      />
      {pools.length > 0 && (
        <SelectFilter
          label={text.pool}
          any={any}
          value={filters.pool}
          options={pools.map((pool) => [pool.pool_id, pool.name])}
          onChange={(value) => set('pool', value)}
        />
      )}
      <TextFilter label={text.skill} value={filters.skill} onChange={(value) => set('skill', value)} />
      <SelectFilter
        label={text.load}
        any={any}
        value={filters.load}
        options={LOADS.map((one) => [one, text.loads[one]])}
        onChange={(value) => set('load', value)}
      />
      <SelectFilter
        label={text.idle}
        any={any}
        value={filters.idle}
        options={IDLES.map((one) => [one, text.idles[one]])}
        onChange={(value) => set('idle', value)}
      />
      <SelectFilter
        label={text.quality}
        any={any}
        value={filters.quality}
        options={QUALITIES.map((one) => [one, text.qualities[one]])}
        onChange={(value) => set('quality', value)}
      />
    </FilterBar>
  );
}

function WorkerTable({
  workers,
  hasMore,
  onClear,
}: {
  workers: readonly Worker[];
  hasMore: boolean;
  onClear: () => void;
}) {
  const text = useConsoleWorkers();
  const { nav } = useConsole();
  const format = useFormat();
  const stats = useWorkerStats();
  const [params, set] = useUrlFilters();
  const given = params.get('order') ?? '';
  const order = ORDERS.find((one) => one === given.replace(/^-/, '')) ?? 'name';
  const descending = given.startsWith('-');
  const shown = ordered(wanted(workers, filtersOf(params), stats), order, descending, stats);
  if (shown.length === 0) return <NoMatch onClear={onClear} />;
  const header = (name: (typeof ORDERS)[number], className?: string) => (
    <SortHeader
      className={className}
      label={text.columns[name]}
      title={name === 'sla' ? text.slaHint : undefined}
      direction={order !== name ? null : descending ? 'descending' : 'ascending'}
      // Names start with A; of numbers the smallest are of interest first.
      onSort={() => set('order', order === name && !descending ? `-${name}` : name)}
    />
  );
  const isAll = shown.length === workers.length;
  return (
    <>
      <p className="muted small">
        {isAll
          ? text.workerCount(shown.length)
          : text.shown(format.number(shown.length), format.number(workers.length))}
        {hasMore && ` ${text.sortedAmongLoaded}`}
      </p>
      <Table label={nav.workers}>
        <thead>
          <tr>
            {header('name')}
            <th scope="col">{text.columns.availability}</th>
            {header('load')}
            <th scope="col" className="wide-only">
              {text.columns.pools}
            </th>
            <th scope="col" className="wide-only">
              {text.columns.skills}
            </th>
            {header('rating', 'wide-only')}
            {header('accuracy', 'wide-only')}
            {header('sla', 'wide-only')}
            {header('lastSeen', 'wide-only')}
          </tr>
        </thead>
        <tbody>
          {shown.map((worker) => (
            <Row key={worker.worker_id} worker={worker} inTime={inTime(stats.get(worker.worker_id))} />
          ))}
        </tbody>
      </Table>
    </>
  );
}

function Row({ worker, inTime: sla }: { worker: Worker; inTime: number | null }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  const poolName = usePoolName();
  return (
    <tr>
      <th scope="row">
        <span className="cell-name">
          <Link href={`/console/workers/${encodeURIComponent(worker.worker_id)}`}>{worker.name}</Link>
        </span>
      </th>
      <td>
        <AvailabilityBadge worker={worker} />
      </td>
      <td>
        <Load active={worker.active_tasks} capacity={worker.capacity} />
      </td>
      <td className="wide-only">
        <Chips items={worker.pool_ids.map(poolName)} />
      </td>
      <td className="wide-only">
        <Chips items={worker.skills} />
      </td>
      <td className="wide-only numeric">{format.number(worker.rating, { maximumFractionDigits: 1 })}</td>
      <td className="wide-only numeric">
        {worker.accuracy === null ? '–' : format.percent(worker.accuracy)}
      </td>
      <td className="wide-only numeric">{sla === null ? '–' : format.percent(sla)}</td>
      <td className="wide-only">
        {worker.last_seen_at == null ? text.never : format.relative(worker.last_seen_at)}
      </td>
    </tr>
  );
}
