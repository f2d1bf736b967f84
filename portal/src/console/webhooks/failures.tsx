// Deliveries that were given up, to endpoints and to callback URLs, and how they are sent again: one by one, or many.

import type { Delivery, Redelivery } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Card, EmptyState } from '../../shared/ui/containers.tsx';
import { useMay } from '../member.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { DeliveryList } from './delivery-list.tsx';
import { useEndpoints } from './endpoint-data.ts';
import { RedeliveryForm } from './redelivery-form.tsx';
import { paceOf, RunItem } from './runs.tsx';

const REFRESH = 5000;

export function Failures() {
  const text = useConsoleWebhooks();
  const mayWrite = useMay('webhooks:write');
  const [isStarting, setStarting] = useState(false);
  const list = usePaged<Delivery>(
    ['webhooks', 'failures'],
    (cursor) => api.deliveries.listDeadLetters({ limit: 25, ...(cursor !== undefined && { cursor }) }),
    { refreshEvery: REFRESH },
  );
  return (
    <div className="page-columns">
      <Card
        title={text.failures}
        actions={
          mayWrite && (
            <Button icon="refresh" onClick={() => setStarting(true)}>
              {text.redeliverMany}
            </Button>
          )
        }
      >
        <PagedList
          list={list}
          empty={
            <EmptyState icon="check" title={text.noFailures}>
              {text.noFailuresHint}
            </EmptyState>
          }
        >
          {(deliveries) => <DeliveryList deliveries={deliveries} withUrl />}
        </PagedList>
      </Card>
      <Redeliveries />
      {isStarting && <RedeliveryForm onClose={() => setStarting(false)} />}
    </div>
  );
}

function Redeliveries() {
  const text = useConsoleWebhooks();
  const endpoints = useEndpoints().items ?? [];
  const query = useQuery({
    queryKey: ['webhooks', 'redeliveries'],
    queryFn: async () => (await api.deliveries.listRedeliveries({ limit: 10 })).data,
    refetchInterval: ({ state }) => paceOf(state.data),
  });
  const what = ({ endpoint_id, callback_url }: Redelivery) =>
    callback_url ??
    endpoints.find((one) => one.endpoint_id === endpoint_id)?.url ??
    endpoint_id ??
    text.toAny;
  return (
    <Card title={text.redeliveries}>
      <Loaded query={query} lines={2}>
        {(runs) =>
          runs.length === 0 ? (
            <p className="muted">{text.noRedeliveries}</p>
          ) : (
            runs.map((run) => (
              <RunItem
                key={run.redelivery_id}
                run={run}
                what={<span className="small">{what(run)}</span>}
                onCancel={() => api.deliveries.cancelRedelivery(run.redelivery_id, {})}
              />
            ))
          )
        }
      </Loaded>
    </Card>
  );
}
