// How busy a pool is: its workers, their capacity, and the tasks that wait.

import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { useMay } from '../member.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { Load } from '../workers/load.tsx';

const REFRESH = 15_000;
/** Most workers and waiting tasks of a pool that are counted. */
const MOST = 200;

/** Workers of a pool and their load; undefined while it is not known. */
function usePoolWorkers(poolId: string) {
  const mayRead = useMay('workers:read');
  const { data } = useQuery({
    queryKey: ['workers', 'of-pool', poolId],
    queryFn: async () => api.workers.list({ pool: [poolId], limit: MOST }),
    enabled: mayRead,
    refetchInterval: REFRESH,
  });
  if (data === undefined) return undefined;
  const available = data.data.filter((one) => one.availability === 'available');
  return {
    hasMore: data.has_more,
    count: data.data.length,
    available: available.length,
    active: data.data.reduce((sum, one) => sum + one.active_tasks, 0),
    capacity: available.reduce((sum, one) => sum + one.capacity, 0),
  };
}

export function PoolWorkers({ poolId }: { poolId: string }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  const workers = usePoolWorkers(poolId);
  if (workers === undefined) return '–';
  const count = format.number(workers.count);
  return (
    <span className="numeric">
      {text.loadOf(format.number(workers.available), workers.hasMore ? text.pools.atLeast(count) : count)}
    </span>
  );
}

export function PoolCapacity({ poolId }: { poolId: string }) {
  const workers = usePoolWorkers(poolId);
  return workers === undefined ? '–' : <Load active={workers.active} capacity={workers.capacity} />;
}

/** Tasks of a pool that wait for a worker, the oldest first. */
export function useBacklog(poolId: string) {
  return useQuery({
    queryKey: ['tasks', 'backlog', poolId],
    queryFn: async () => api.tasks.list({ pool: [poolId], status: ['queued'], order: 'asc', limit: MOST }),
    enabled: useMay('tasks:read'),
    refetchInterval: REFRESH,
  });
}

export function Backlog({ poolId }: { poolId: string }) {
  const { pools } = useConsoleWorkers();
  const format = useFormat();
  const { data } = useBacklog(poolId);
  if (data === undefined) return '–';
  const count = format.number(data.data.length);
  return <span className="numeric">{data.has_more ? pools.atLeast(count) : count}</span>;
}
