// Plots of what happened in a period: throughput, waiting and handling time, breaches, deliveries.

import type { Stats, StatsRow } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Skeleton } from '../../shared/ui/containers.tsx';
import { Segmented } from '../../shared/ui/field.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useOverview } from '../messages.ts';
import { DeliveryPlot } from './delivery-plot.tsx';
import { Plot, type Series } from './plot.tsx';
import { POLL, periodOf, RANGE_NAMES, type Range } from './range.ts';

export function OverTime() {
  const text = useOverview();
  const [range, setRange] = useState<Range>('day');
  const { data, error, isError, refetch } = useQuery<Stats>({
    queryKey: ['stats', range],
    queryFn: ({ signal }) => api.stats.get(periodOf(range), { signal }),
    refetchInterval: POLL,
    placeholderData: (previous: Stats | undefined) => previous,
  });
  return (
    <section className="stack" aria-label={text.history}>
      <div className="row row-between">
        <h2>{text.history}</h2>
        <Segmented
          label={text.range}
          value={range}
          onChange={setRange}
          options={RANGE_NAMES.map((value) => ({ value, label: text.ranges[value] }))}
        />
      </div>
      {data !== undefined ? (
        <div className="overview-columns">
          <Plots stats={data} />
          <DeliveryPlot range={range} />
        </div>
      ) : isError ? (
        <Problem error={error} onRetry={() => void refetch()} />
      ) : (
        <Skeleton lines={8} />
      )}
    </section>
  );
}

function Plots({ stats }: { stats: Stats }) {
  const text = useOverview();
  const format = useFormat();
  const { series } = text;
  const { times, throughput, waiting, handling, breaches } = useMemo(() => {
    const { data } = stats;
    const of = (
      label: string,
      colour: Series['colour'],
      value: (row: StatsRow) => number | null,
    ): Series => ({
      label,
      colour,
      values: data.map(value),
    });
    return {
      times: data.map(({ start }) => Date.parse(start) / 1000),
      throughput: [
        of(series.created, 'accent', (row) => row.created),
        of(series.completed, 'green', (row) => row.completed),
        of(series.failed, 'red', failedOf),
        of(series.cancelled, 'text-muted', (row) => row.cancelled),
      ],
      waiting: [
        of(series.half, 'accent', (row) => row.waiting_seconds.p50),
        of(series.most, 'violet', (row) => row.waiting_seconds.p90),
      ],
      handling: [
        of(series.half, 'accent', (row) => row.handling_seconds.p50),
        of(series.most, 'violet', (row) => row.handling_seconds.p90),
      ],
      breaches: [
        of(series.deadline, 'red', (row) => row.breached.deadline),
        of(series.latency, 'amber', (row) => row.breached.target_latency),
      ],
    };
  }, [stats, series]);
  const number = useCallback((value: number) => format.number(value), [format]);
  const duration = useCallback((seconds: number) => format.duration(seconds * 1000), [format]);
  const [total] = stats.totals;
  const ended = total === undefined ? 0 : total.completed + failedOf(total) + total.cancelled;
  const breached = total === undefined ? 0 : total.breached.deadline + total.breached.target_latency;
  return (
    <>
      <Plot title={text.plots.throughput} times={times} series={throughput} write={number} />
      <Plot
        title={text.plots.sla}
        hint={
          ended === 0 ? text.hints.slaNone : text.hints.sla(format.percent(Math.max(0, 1 - breached / ended)))
        }
        times={times}
        series={breaches}
        write={number}
      />
      <Plot
        title={text.plots.waiting}
        hint={text.hints.waiting}
        times={times}
        series={waiting}
        write={duration}
      />
      <Plot
        title={text.plots.handling}
        hint={text.hints.handling}
        times={times}
        series={handling}
        write={duration}
      />
    </>
  );
}

function failedOf({ failed }: Pick<StatsRow, 'failed'>): number {
  return Object.values(failed).reduce((sum, one) => sum + one, 0);
}
