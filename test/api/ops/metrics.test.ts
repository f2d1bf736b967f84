// `/metrics` of the web process.
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { Queues } from '../../../src/queues/queues.ts';
import { VERSION } from '../../../src/runtime/process.ts';
import { partitionKeys } from '../../../src/store/redis/keys.ts';
import { createOrg, startApi } from '../../support/api.ts';
import { documentedMetrics, hasMetric } from '../../support/metrics.ts';
import { taskBody } from '../../support/workers.ts';

test('has every metric that the documentation names, and no other of ours', async () => {
  const api = await startApi();
  const { text } = await api.operator.request('GET', '/metrics');
  const named = [
    ...(await documentedMetrics('`GET /metrics` (Prometheus, operator token)')),
    ...(await documentedMetrics('Metrics of both kinds of process')),
  ];
  expect(named.filter((name) => !hasMetric(text, name))).toEqual([]);
  const ours = [...text.matchAll(/^# TYPE (biolayer_\w+) /gm)].map(([, name]) => name);
  expect(ours.filter((name) => !named.includes(name ?? ''))).toEqual([]);
  await api.close();
});

test('shows for how long entries, jobs and tasks wait', async () => {
  const api = await startApi();
  const { client } = await createOrg(api);
  await client.post('/v1/tasks', taskBody());
  const { db } = api.web;
  const queues = new Queues({
    connectionOf: () => db.redis as Redis,
    prefix: api.prefix,
    now: () => db.clock.now() - 60_000,
  });
  await queues.add([
    {
      queue: 'bulk',
      name: 'bulk_action',
      data: { form: 1, org_id: 'o', bulk_action_id: 'b' },
      opts: { jobId: 'b' },
    },
  ]);
  await queues.close();
  await db.redis.xadd(partitionKeys(api.prefix, 'p09').outbox, `${db.clock.now() - 90_000}-0`, 'd', '{}');
  const { text } = await api.operator.request('GET', '/metrics');
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1],
    );
  expect(value('biolayer_outbox_oldest_age_seconds')).toBeCloseTo(90, -1);
  expect(value('biolayer_jobs_oldest_waiting_age_seconds{queue="bulk",shard="0"}')).toBeCloseTo(60, -1);
  expect(value('biolayer_jobs_oldest_waiting_age_seconds{queue="sla",shard="0"}')).toBe(0);
  expect(value('biolayer_tasks{state="queued",mode="live"}')).toBe(1);
  expect(value('biolayer_tasks_oldest_age_seconds{state="queued",mode="live"}')).toBeGreaterThan(0);
  expect(value(`biolayer_processes{kind="web",version="${VERSION}"}`)).toBe(1);
  expect(value(`biolayer_processes{kind="worker",version="${VERSION}"}`)).toBe(0);
  await api.close();
});
