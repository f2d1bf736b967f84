// The effect of an endpoint that never responds on a healthy one of another org: the time from commit to first byte.

import { Queues } from '../../src/queues/queues.ts';
import { PREFIX } from '../../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import { inTurns, paced, until } from '../measures.ts';
import { hasHad } from '../receivers.ts';
import { type Measured, row, type Size } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Child,
  Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';

/** Creates per second of the healthy org. */
const RATE = 100;
/** Deliveries that hang. */
const QUEUED = 5000;

/** The rounds with hanging deliveries follow those without, because their backlog stays. */
export async function measureHanging(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const queued = Math.round(QUEUED * scale);
  const [healthy, hanging] = await Promise.all([
    stage.start('bench/receiver.js'),
    stage.start('bench/receiver.js', { HANG: '1' }),
  ]);
  const register = async (receiver: Child, events: string[]): Promise<Org> => {
    const org = await createOrg(api, 0, 1);
    const url = `http://127.0.0.1:${receiver.ready.port}`;
    await api.call('POST', '/v1/webhook-endpoints', org.api_key, { url, events });
    return org;
  };
  const good = await register(healthy, ['task.created']);
  const bad = await register(hanging, ['task.created']);
  const worker = await stage.start('src/worker.js');
  const seen = new Client(`http://127.0.0.1:${healthy.ready.port}`, 1);
  const body = exampleTaskBody(null);
  const measure = async (): Promise<number[]> => {
    const p99: number[] = [];
    for (let round = -1; round < rounds; round += 1) {
      await seen.call('DELETE', '/', '');
      const made = await paced(RATE, Math.max(1, 2 * scale), () =>
        api.call('POST', '/v1/tasks', good.api_key, body),
      );
      const had = await hasHad(seen, made);
      // The first round warms up.
      if (round >= 0) p99.push(had.p99_ms);
    }
    return p99;
  };
  const alone = await measure();
  await inTurns(queued, 20, () => api.call('POST', '/v1/tasks', bad.api_key, body));
  // Waits until all deliveries are enqueued and all checks have run, so that only the deliveries that hang remain.
  const queues = new Queues({ connectionOf: () => stage.redis, prefix: PREFIX, now: Date.now });
  await until(async () => {
    const left = PARTITIONS.map((one) => stage.redis.xlen(partitionKeys(PREFIX, one).outbox));
    const { waiting = 0, prioritized = 0, active = 0 } = await queues.shards[0].all.lifecycle.getJobCounts();
    return (await Promise.all(left)).every((one) => one === 0) && waiting + prioritized + active === 0;
  });
  const beside = await measure();
  await Promise.all([healthy, hanging, worker, web].map((one) => one.stop()));
  await Promise.all([seen.close(), api.close(), queues.close()]);
  return {
    rows: [
      row(
        [`p99 to an endpoint beside ${queued} that hang`, 'ms', 'lower'],
        beside,
        { what: 'the same alone', values: alone },
        'ratio ≤ 2',
      ),
    ],
  };
}
