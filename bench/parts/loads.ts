// Throughput and latency of creates over the number of connections, for the plots.

import { emptied, requests } from '../measures.ts';
import { inRounds, type Measured, type Plot, row, type Size, summary } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const CONNECTIONS = [1, 4, 16, 32, 64];
const SERIES = { ours: 'BioLayer', same: 'the same records, barely' };

export async function measureLoads(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const bare = await stage.start('bench/bare-web.js');
  await emptied(stage.redis);
  const { api_key } = await createOrg(api, 0, 1);
  const targets = { ours: `${url}/v1/tasks`, same: `${bare.ready.url}/same` };
  const throughput: Plot['points'] = [];
  const latency: Plot['points'] = [];
  const highest: Record<keyof typeof SERIES, number[]> = { ours: [], same: [] };
  for (const connections of CONNECTIONS) {
    const at = (name: keyof typeof SERIES) => () =>
      requests({
        url: targets[name],
        credential: api_key,
        body: exampleTaskBody(null),
        connections,
        seconds: Math.max(0.3, 0.5 * scale),
      });
    const measured = await inRounds(rounds, { ours: at('ours'), same: at('same') }, true);
    for (const name of ['ours', 'same'] as const) {
      const rates = measured[name].map((one) => one.per_second);
      throughput.push({ series: SERIES[name], x: connections, ...summary(rates) });
      for (const [share, field] of [
        ['p50', 'p50_ms'],
        ['p99', 'p99_ms'],
      ] as const)
        latency.push({
          series: `${SERIES[name]}, ${share}`,
          x: connections,
          ...summary(measured[name].map((one) => one[field])),
        });
      if (connections === CONNECTIONS.at(-1)) highest[name] = rates;
    }
  }
  await Promise.all([bare.stop(), web.stop(), api.close()]);
  const what = SERIES.same;
  const base = { what, values: highest.same };
  return {
    rows: [row([`creates on ${CONNECTIONS.at(-1)} connections`, '/s', 'higher'], highest.ours, base)],
    plots: [
      {
        file: 'throughput',
        title: 'Creates by connections',
        x: 'connections',
        y: 'a second',
        log: { x: true, y: false },
        points: throughput,
      },
      {
        file: 'latency',
        title: 'Latency of a create by connections',
        x: 'connections',
        y: 'ms',
        log: { x: true, y: true },
        points: latency,
      },
    ],
  };
}
