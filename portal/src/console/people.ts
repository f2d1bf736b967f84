// Names of workers and pools, which tasks refer to by id.

import type { Pool, Worker } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../shared/api/client.ts';
import { useMay, useMember } from './member.tsx';

const FRESH = 60_000;
/** Most workers and pools that are offered for choice; beyond them, ids are typed. */
const MOST = 1000;

/** The workers that the member may see, by creation; empty without the permission. */
export function useWorkers(): readonly Worker[] {
  const enabled = useMay('workers:read');
  const { data } = useQuery({
    queryKey: ['workers', 'names'],
    queryFn: () => firstOf(api.workers.list({ limit: 200 })),
    enabled,
    staleTime: FRESH,
  });
  return data ?? [];
}

/** The pools that the member may see; empty without the permission. */
export function usePools(): readonly Pool[] {
  const enabled = useMay('pools:read');
  const { data } = useQuery({
    queryKey: ['pools', 'names'],
    queryFn: () => firstOf(api.pools.list({ limit: 200 })),
    enabled,
    staleTime: FRESH,
  });
  return data ?? [];
}

/** A function from the id of a worker to their name; the id itself when it is not known. */
export function useWorkerName(): (id: string) => string {
  const workers = useWorkers();
  const names = new Map(workers.map((one) => [one.worker_id, one.name]));
  return (id) => names.get(id) ?? id;
}

/** A function from the id of a member to their name; undefined when it is not known. */
export function useMemberName(): (id: string) => string | undefined {
  const own = useMember();
  const { data } = useQuery({
    queryKey: ['members', 'names'],
    queryFn: () => firstOf(api.members.list({ limit: 200 })),
    enabled: useMay('members:read'),
    staleTime: FRESH,
  });
  const names = new Map(data?.map((one) => [one.member_id, one.name]));
  return (id) => names.get(id) ?? (id === own.member_id ? own.name : undefined);
}

export function usePoolName(): (id: string) => string {
  const pools = usePools();
  const names = new Map(pools.map((one) => [one.pool_id, one.name]));
  return (id) => names.get(id) ?? id;
}

async function firstOf<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of list) {
    items.push(item);
    if (items.length >= MOST) break;
  }
  return items;
}
