// `/metrics` of the web process.
import { expect, test } from 'vitest';
import { startApi } from '../../support/api.ts';
import { documentedMetrics, hasMetric } from '../../support/metrics.ts';

test('has every metric that the documentation names, and no other of ours', async () => {
  const api = await startApi();
  const { text } = await api.operator.request('GET', '/metrics');
  const named = await documentedMetrics('`GET /metrics` (Prometheus, operator token)');
  expect(named.filter((name) => !hasMetric(text, name))).toEqual([]);
  const ours = [...text.matchAll(/^# TYPE (biolayer_\w+) /gm)].map(([, name]) => name);
  expect(ours.filter((name) => !named.includes(name ?? ''))).toEqual([]);
  await api.close();
});
