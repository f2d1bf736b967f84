// Queues of shards that no worker process takes: `/readyz`, `/metrics` and the diagnosis tell.
import { expect, test } from 'vitest';
import { Heartbeat } from '../../../src/store/metrics/heartbeat.ts';
import { startApi } from '../../support/api.ts';

test('names the queues and shards that no worker process takes, until one does', async () => {
  const api = await startApi({ web: { queueShards: 2 } });
  const readiness = async () => (await fetch(`${api.url}/readyz`)).json();
  const queues = async () =>
    (
      await api.operator.get<{ checks: { name: string; status: string; detail: string }[] }>(
        '/admin/diagnosis',
      )
    ).checks.find((one) => one.name === 'queues');
  const start = async (names: string[], shards: number[]) => {
    const takes = { queues: names, shards };
    const beat = new Heartbeat(api.web.db, { kind: 'worker', version: '1', queueShards: 2, takes });
    await beat.start();
    return beat;
  };
  expect(await readiness()).toEqual({ status: 'ok' });
  const first = await start(['lifecycle', 'sla', 'webhooks', 'retries', 'bulk'], [0, 1]);
  const second = await start(['notifications'], [1]);
  const reason = 'no worker process takes notifications (shard 0)';
  expect(await readiness()).toEqual({ status: 'degraded', queues: 'not taken', reason });
  expect(await queues()).toMatchObject({ status: 'fault', detail: reason });
  const { text } = await api.operator.request('GET', '/metrics');
  expect(text).toContain('biolayer_queue_workers{queue="notifications",shard="0"} 0\n');
  expect(text).toContain('biolayer_queue_workers{queue="notifications",shard="1"} 1\n');
  const third = await start(['notifications'], [0]);
  expect(await readiness()).toEqual({ status: 'ok' });
  expect(await queues()).toMatchObject({ status: 'ok' });
  await Promise.all([first, second, third].map((one) => one.stop()));
  await api.close();
});
