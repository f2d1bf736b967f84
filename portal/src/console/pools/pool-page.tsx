// One pool: its load, the tasks that wait in it, its workers, its settings.

import type { Pool } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { PagedList } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { ifMatch, type Versioned } from '../../shared/api/versioned.ts';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { Card, EmptyState, Facts, Table } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useMay } from '../member.tsx';
import { useConsole, useConsoleWorkers } from '../messages.ts';
import { AvailabilityBadge } from '../workers/availability-badge.tsx';
import { Load } from '../workers/load.tsx';
import { useWorkerList } from '../workers/worker-data.ts';
import { Tasks } from '../workers/worker-tasks.tsx';
import { readPool } from './pool-data.ts';
import { PoolForm } from './pool-form.tsx';
import { Backlog, PoolCapacity, PoolWorkers, useBacklog } from './pool-load.tsx';
import { PoolSettings } from './pool-settings.tsx';

export function PoolPage({ id }: { id: string }) {
  const { nav } = useConsole();
  const query = useQuery({ queryKey: ['pools', 'one', id], queryFn: () => readPool(id) });
  if (query.data !== undefined) return <Shown pool={query.data} />;
  return (
    <Page title={nav.pools}>
      <Loaded query={query} lines={8}>
        {() => null}
      </Loaded>
    </Page>
  );
}

function Shown({ pool }: { pool: Versioned<Pool> }) {
  const { pools: text } = useConsoleWorkers();
  const mayWrite = useMay('pools:write');
  const mayReadWorkers = useMay('workers:read');
  const mayReadTasks = useMay('tasks:read');
  const [dialog, setDialog] = useState<'edit' | 'remove' | null>(null);
  const { pool_id, name } = pool.value;
  return (
    <Page
      title={name}
      actions={
        mayWrite && (
          <>
            <Button onClick={() => setDialog('edit')}>{text.edit}</Button>
            <Button icon="trash" onClick={() => setDialog('remove')}>
              {text.remove}
            </Button>
          </>
        )
      }
    >
      <div className="page-columns">
        <div className="stack">
          {mayReadTasks && <WaitingTasks poolId={pool_id} />}
          {mayReadWorkers && <PoolMembers poolId={pool_id} />}
        </div>
        <Card title={text.settings}>
          <Facts
            facts={[
              [text.workers, <PoolWorkers key="workers" poolId={pool_id} />],
              [text.capacity, <PoolCapacity key="capacity" poolId={pool_id} />],
              [text.backlog, <Backlog key="backlog" poolId={pool_id} />],
            ]}
          />
          <PoolSettings pool={pool.value} />
        </Card>
      </div>
      {dialog === 'edit' && <PoolForm pool={pool} onClose={() => setDialog(null)} />}
      {dialog === 'remove' && <RemoveDialog pool={pool} onClose={() => setDialog(null)} />}
    </Page>
  );
}

/** Most waiting tasks that the page of a pool shows. */
const MOST_TASKS = 10;

function WaitingTasks({ poolId }: { poolId: string }) {
  const { pools: text } = useConsoleWorkers();
  const query = useBacklog(poolId);
  return (
    <Card title={text.backlog}>
      <Loaded query={query}>
        {({ data }) =>
          data.length === 0 ? (
            <p className="muted">{text.noBacklog}</p>
          ) : (
            <>
              <Tasks tasks={data.slice(0, MOST_TASKS)} label={text.backlog} />
              <p className="small">
                <Link href={`/console/tasks?status=queued&pool=${encodeURIComponent(poolId)}`}>
                  {text.allTasks}
                </Link>
              </p>
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

function PoolMembers({ poolId }: { poolId: string }) {
  const text = useConsoleWorkers();
  const list = useWorkerList({ pool: [poolId] });
  return (
    <Card title={text.pools.members}>
      <PagedList
        list={list}
        empty={
          <EmptyState icon="people" title={text.pools.noMembers}>
            {text.pools.noMembersHint}
          </EmptyState>
        }
      >
        {(workers) => (
          <Table label={text.pools.members}>
            <thead>
              <tr>
                <th scope="col">{text.columns.name}</th>
                <th scope="col">{text.columns.availability}</th>
                <th scope="col">{text.columns.load}</th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.worker_id}>
                  <th scope="row">
                    <Link href={`/console/workers/${encodeURIComponent(worker.worker_id)}`}>
                      {worker.name}
                    </Link>
                  </th>
                  <td>
                    <AvailabilityBadge worker={worker} />
                  </td>
                  <td>
                    <Load active={worker.active_tasks} capacity={worker.capacity} />
                  </td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </PagedList>
    </Card>
  );
}

function RemoveDialog({ pool, onClose }: { pool: Versioned<Pool>; onClose: () => void }) {
  const { pools: text } = useConsoleWorkers();
  const showToast = useToast();
  const [, navigate] = useLocation();
  const { pool_id, name } = pool.value;
  return (
    <Confirm
      title={text.removeTitle(name)}
      action={text.remove}
      onClose={onClose}
      run={async () => {
        await api.pools.delete(pool_id, ifMatch(pool.etag));
        showToast(text.removed(name));
        navigate('/console/pools');
        await queries.invalidateQueries({ queryKey: ['pools'] });
      }}
    >
      <p>{text.removeText}</p>
    </Confirm>
  );
}
