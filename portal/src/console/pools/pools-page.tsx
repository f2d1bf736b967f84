// The list of pools, with the load and the backlog of each.

import type { Pool } from '@biolayer/sdk';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useMay, useMember } from '../member.tsx';
import { useConsole, useConsoleWorkers } from '../messages.ts';
import { PoolForm } from './pool-form.tsx';
import { Backlog, PoolCapacity, PoolWorkers } from './pool-load.tsx';
import { OfferMode } from './pool-settings.tsx';

/** Few, because each pool asks for its workers and its backlog. */
const PAGE = 25;

export function PoolsPage() {
  const { pools: text } = useConsoleWorkers();
  const { nav } = useConsole();
  const { pools: own = ['*'] } = useMember();
  const mayCreate = useMay('pools:write') && own.includes('*');
  const [isCreating, setCreating] = useState(false);
  const list = usePaged<Pool>(['pools', 'list'], (page) => api.pools.list(page), { limit: PAGE });
  return (
    <Page
      title={nav.pools}
      actions={
        mayCreate && (
          <Button look="primary" icon="plus" onClick={() => setCreating(true)}>
            {text.create}
          </Button>
        )
      }
    >
      <PagedList
        list={list}
        empty={
          <EmptyState icon="inbox" title={text.none}>
            {text.noneHint}
          </EmptyState>
        }
      >
        {(pools) => <PoolTable pools={pools} />}
      </PagedList>
      {isCreating && <PoolForm pool={null} onClose={() => setCreating(false)} />}
    </Page>
  );
}

function PoolTable({ pools }: { pools: readonly Pool[] }) {
  const { pools: text } = useConsoleWorkers();
  const { nav } = useConsole();
  return (
    <Table label={nav.pools}>
      <thead>
        <tr>
          <th scope="col">{text.name}</th>
          <th scope="col">{text.workers}</th>
          <th scope="col" className="wide-only">
            {text.capacity}
          </th>
          <th scope="col" title={text.backlogHint}>
            {text.backlog}
          </th>
          <th scope="col" className="wide-only">
            {text.offers}
          </th>
        </tr>
      </thead>
      <tbody>
        {pools.map((pool) => (
          <tr key={pool.pool_id}>
            <th scope="row">
              <span className="cell-name">
                <Link href={`/console/pools/${encodeURIComponent(pool.pool_id)}`}>{pool.name}</Link>
              </span>
            </th>
            <td>
              <PoolWorkers poolId={pool.pool_id} />
            </td>
            <td className="wide-only">
              <PoolCapacity poolId={pool.pool_id} />
            </td>
            <td>
              <Backlog poolId={pool.pool_id} />
            </td>
            <td className="wide-only">
              <OfferMode pool={pool} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
