// The plot of deliveries: attempts that succeeded, failed and were the last.

import type { DeliveryStats } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { useMember } from '../member.tsx';
import { useOverview } from '../messages.ts';
import { Plot, type Series } from './plot.tsx';
import { POLL, periodOf, type Range } from './range.ts';

/** Nothing until the numbers are loaded, and for members restricted to pools: deliveries are counted over all pools. */
export function DeliveryPlot({ range }: { range: Range }) {
  const text = useOverview();
  const { pools } = useMember();
  const format = useFormat();
  const { data } = useQuery<DeliveryStats>({
    queryKey: ['delivery-stats', range],
    queryFn: ({ signal }) => api.stats.deliveries(periodOf(range), { signal }),
    enabled: pools.includes('*'),
    refetchInterval: POLL,
    placeholderData: (previous: DeliveryStats | undefined) => previous,
  });
  const { series } = text;
  const { times, plotted } = useMemo(() => {
    const rows = data?.data ?? [];
    const all: Series[] = [
      { label: series.delivered, colour: 'green', values: rows.map((row) => row.succeeded) },
      { label: series.retried, colour: 'amber', values: rows.map((row) => row.retried) },
      { label: series.exhausted, colour: 'red', values: rows.map((row) => row.exhausted) },
    ];
    return { times: rows.map(({ start }) => Date.parse(start) / 1000), plotted: all };
  }, [data, series]);
  const number = useCallback((value: number) => format.number(value), [format]);
  if (data === undefined) return null;
  const { succeeded, exhausted } = data.totals;
  const ended = succeeded + exhausted;
  return (
    <Plot
      title={text.plots.deliveries}
      hint={
        ended === 0 ? text.hints.deliveriesNone : text.hints.deliveries(format.percent(succeeded / ended))
      }
      times={times}
      series={plotted}
      write={number}
    />
  );
}
