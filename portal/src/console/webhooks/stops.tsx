// Pending deliveries to a receiver that are stopped: the runs that do it, and the form that starts one.

import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Card, EmptyState } from '../../shared/ui/containers.tsx';
import { useMay } from '../member.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { useEndpoints } from './endpoint-data.ts';
import { ReceiverForm } from './receiver-form.tsx';
import { paceOf, RunItem, useReceiverName } from './runs.tsx';

export function Stops() {
  const text = useConsoleWebhooks();
  const mayWrite = useMay('webhooks:write');
  const [isStarting, setStarting] = useState(false);
  const endpoints = useEndpoints().items ?? [];
  const nameOf = useReceiverName();
  const query = useQuery({
    queryKey: ['webhooks', 'stops'],
    queryFn: async () => (await api.deliveries.listStops({ limit: 20 })).data,
    refetchInterval: ({ state }) => paceOf(state.data),
  });
  return (
    <Card
      title={text.stops}
      actions={
        mayWrite && (
          <Button icon="close" onClick={() => setStarting(true)}>
            {text.stopMany}
          </Button>
        )
      }
    >
      <Loaded query={query} lines={2}>
        {(runs) =>
          runs.length === 0 ? (
            <EmptyState icon="check" title={text.noStops}>
              {text.noStopsHint}
            </EmptyState>
          ) : (
            runs.map((run) => (
              <RunItem
                key={run.stop_id}
                run={run}
                what={<span className="small">{nameOf(run)}</span>}
                onCancel={() => api.deliveries.cancelStop(run.stop_id, {})}
              />
            ))
          )
        }
      </Loaded>
      {isStarting && (
        <ReceiverForm
          title={text.stopMany}
          action={text.stopMany}
          hint={text.stopHint}
          endpoints={endpoints}
          start={(chosen) => api.deliveries.stop(chosen)}
          onClose={() => setStarting(false)}
        />
      )}
    </Card>
  );
}
