// Deliveries that were given up, to endpoints and to callback URLs, and how they are sent again: one by one, or many.

import type { Delivery } from '@biolayer/sdk';
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
import { ReceiverForm } from './receiver-form.tsx';
import { paceOf, RunItem, useReceiverName } from './runs.tsx';

const REFRESH = 5000;

export function Failures() {
  const text = useConsoleWebhooks();
  const mayWrite = useMay('webhooks:write');
  const [isStarting, setStarting] = useState(false);
  const endpoints = useEndpoints().items ?? [];
  const list = usePaged<Delivery>(['webhooks', 'failures'], (page) => api.deliveries.listDeadLetters(page), {
    limit: 25,
    refreshEvery: REFRESH,
  });
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
      {isStarting && (
        <ReceiverForm
          title={text.redeliverTitle}
          action={text.redeliverMany}
          hint={text.replayHint}
          mayBeAny
          endpoints={endpoints.filter((one) => one.enabled)}
          start={(chosen) => api.deliveries.redeliverDeadLetters(chosen)}
          onClose={() => setStarting(false)}
        />
      )}
    </div>
  );
}

function Redeliveries() {
  const text = useConsoleWebhooks();
  const nameOf = useReceiverName();
  const query = useQuery({
    queryKey: ['webhooks', 'redeliveries'],
    queryFn: async () => (await api.deliveries.listRedeliveries({ limit: 10 })).data,
    refetchInterval: ({ state }) => paceOf(state.data),
  });
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
                what={<span className="small">{nameOf(run)}</span>}
                onCancel={() => api.deliveries.cancelRedelivery(run.redelivery_id, {})}
              />
            ))
          )
        }
      </Loaded>
    </Card>
  );
}
