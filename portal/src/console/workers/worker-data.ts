// Workers and what is known of their work.

import type { ListWorkersQuery, StatsTotal, Worker } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { type Versioned, versioned } from '../../shared/api/versioned.ts';
import { useMay } from '../member.tsx';

/** How often load and availability are renewed, ms. */
const REFRESH = 10_000;
const PAGE = 100;

/** Workers that the filters of the API find, page by page. */
export function useWorkerList(filters: ListWorkersQuery) {
  return usePaged<Worker>(['workers', 'list', filters], (page) => api.workers.list({ ...filters, ...page }), {
    limit: PAGE,
    refreshEvery: REFRESH,
  });
}

export function readWorker(id: string): Promise<Versioned<Worker>> {
  return versioned((client) => client.workers.get(id));
}

export function useWorker(id: string) {
  return useQuery({
    queryKey: ['workers', 'one', id],
    queryFn: () => readWorker(id),
    refetchInterval: REFRESH,
  });
}

/** Renews all that shows workers. */
export function renewWorkers(): Promise<void> {
  return queries.invalidateQueries({ queryKey: ['workers'] });
}

/** The work of the last 30 days by worker; empty without the scope `stats:read`. */
export function useWorkerStats(): ReadonlyMap<string, StatsTotal> {
  const mayRead = useMay('stats:read');
  const { data } = useQuery({
    queryKey: ['stats', 'workers'],
    queryFn: async () => {
      const { totals } = await api.stats.get({ group_by: 'worker', interval: 'day' });
      return new Map(totals.flatMap((row) => (row.group === null ? [] : [[row.group, row] as const])));
    },
    enabled: mayRead,
    staleTime: 60_000,
  });
  return data ?? new Map();
}

/** Share of the ended tasks without a missed clock; null without any. */
export function inTime(stats: StatsTotal | undefined): number | null {
  if (stats === undefined) return null;
  const failed = Object.values(stats.failed).reduce((sum, count) => sum + count, 0);
  const ended = stats.completed + failed;
  const missed = stats.breached.deadline + stats.breached.target_latency;
  return ended === 0 ? null : Math.max(0, 1 - missed / ended);
}
