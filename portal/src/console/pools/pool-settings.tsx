// The settings of a pool, as facts.

import type { Pool } from '@biolayer/sdk';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Facts } from '../../shared/ui/containers.tsx';
import { useConsoleWorkers } from '../messages.ts';

/** What a pool does with offers, in one line. */
export function OfferMode({ pool }: { pool: Pool }) {
  const { pools } = useConsoleWorkers();
  const format = useFormat();
  return pool.offer_mode === 'broadcast'
    ? pools.broadcastTo(format.number(pool.broadcast_size))
    : pools.modes.sequential;
}

export function PoolSettings({ pool, withName = false }: { pool: Pool; withName?: boolean }) {
  const { pools } = useConsoleWorkers();
  const format = useFormat();
  const { offer_ttl_seconds: ttl } = pool;
  return (
    <Facts
      facts={[
        [pools.name, withName ? pool.name : null],
        [pools.id, withName ? null : <code key="id">{pool.pool_id}</code>],
        [pools.offers, <OfferMode key="mode" pool={pool} />],
        [pools.ttl, ttl === null ? pools.byUrgency : format.duration(ttl * 1000)],
      ]}
    />
  );
}
