// Pools, for the pages that name or choose them.

import type { Pool } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { type Versioned, versioned } from '../../shared/api/versioned.ts';
import { useMay } from '../member.tsx';

/** Most pools that are offered to choose from. */
const MOST = 200;

/** All pools that the member may see, by name; empty while they are loaded or may not be read. */
export function usePools(): readonly Pool[] {
  const mayRead = useMay('pools:read');
  const { data = [] } = useQuery({
    queryKey: ['pools', 'all'],
    queryFn: async () => {
      const { data } = await api.pools.list({ limit: MOST });
      return data.sort((a, b) => a.name.localeCompare(b.name));
    },
    enabled: mayRead,
  });
  return data;
}

/** The name of a pool; its id while the name is not known. */
export function usePoolName(): (id: string) => string {
  const pools = usePools();
  return (id) => pools.find((pool) => pool.pool_id === id)?.name ?? id;
}

export function readPool(id: string): Promise<Versioned<Pool>> {
  return versioned((client) => client.pools.get(id));
}
