// A redis-server whose clock jumps forward and back, under libfaketime: nothing ends and no client is refused until the
// clock is back or an operator confirms the new time.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Processors, startProcessors } from '../../src/processors/processors.ts';
import { Retention } from '../../src/processors/retention.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { createOrg, startApi, type TestApi } from '../support/api.ts';
import { addTask, freshOrg } from '../support/db.ts';
import { type FakeClocks, NO_FAKETIME, openFakeClocks } from '../support/faketime.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { ERRORS_ONLY, openQueues, outboxLength, runRelay, sealer } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { taskBody } from '../support/workers.ts';

if (NO_FAKETIME !== null) console.warn(`redis-clock.test.ts is ${NO_FAKETIME}`);

const SOON = { timeout: 30_000 };
const HOUR = 3600_000;

interface Shown {
  task_id: string;
  status: string;
  sla: { breaches: { clock: string }[] };
}

describe.skipIf(NO_FAKETIME !== null)("Redis' clock", () => {
  let clocks: FakeClocks;
  let redis: OwnRedis;
  let api: TestApi;
  let processors: Processors;

  /** Sets the clock of Redis ahead of the real time. */
  const setClock = (ahead: string) => clocks.set('redis', ahead);

  beforeAll(async () => {
    clocks = await openFakeClocks(['redis']);
    redis = await startOwnRedis(clocks.envOf('redis'));
    api = await startApi({ redisUrl: redis.url, sealer });
    processors = await startProcessors({
      redis: readTopology(redis.url),
      prefix: api.prefix,
      sealer,
      webhookAllowedNetworks: [],
      concurrency: 5,
      log: { ...ERRORS_ONLY, error: () => undefined },
    });
  });
  afterAll(async () => {
    await processors?.close();
    await api?.close();
    await redis?.stop();
    await clocks?.remove();
  });

  const ready = async () => ((await (await fetch(`${api.url}/readyz`)).json()) as { status: string }).status;
  const areHeld = () => [api.web.db.clock, processors.db.clock].map((clock) => clock.isFrozen);
  const held = async () => {
    await expect.poll(areHeld, SOON).toEqual([true, true]);
    expect(await ready()).toBe('degraded');
  };
  const over = async () => {
    await expect.poll(areHeld, SOON).toEqual([false, false]);
    expect(await ready()).toBe('ok');
  };

  it('causes no breach, purge or refusal when it jumps, and is followed after a confirmation', async () => {
    const { client } = await createOrg(api);
    const create = (target: number, deadline?: string) =>
      client.post<Shown>(
        '/v1/tasks',
        taskBody({
          sla: { urgency: 'normal', target_latency_seconds: target, ...(deadline && { deadline }) },
        }),
      );
    const show = ({ task_id }: Shown) => client.get<Shown>(`/v1/tasks/${task_id}`);
    const breaches = async (task: Shown) => (await show(task)).sla.breaches.length;
    const breached = (task: Shown) => expect.poll(() => breaches(task), SOON).toBe(1);
    const lasting = await create(1800, new Date(Date.now() + HOUR).toISOString());
    const ended = await create(1800);
    await client.post(`/v1/tasks/${ended.task_id}/cancel`);
    const nothingEnded = async () => {
      const retention = new Retention({ db: processors.db, log: ERRORS_ONLY });
      await retention.run().catch(() => undefined);
      await processors.sweeper.sweep();
      expect(await show(lasting)).toMatchObject({ status: 'queued', sla: { breaches: [] } });
      expect(await show(ended)).toMatchObject({ status: 'cancelled' });
      for (let count = 0; count < 20; count += 1)
        expect((await client.request('GET', '/v1/tasks')).outcome).toBe('200');
      const headers = { 'Idempotency-Key': `key-${performance.now()}` };
      const [body, made] = [taskBody(), [] as Shown[]];
      for (let count = 0; count < 2; count += 1)
        made.push(await client.post<Shown>('/v1/tasks', body, { headers }));
      expect(made[0]?.task_id).toBe(made[1]?.task_id);
    };

    // Jumps forward and back.
    await breached(await create(1));
    await setClock('+400d');
    await held();
    const meanwhile = await create(1);
    await nothingEnded();
    expect(await breaches(meanwhile)).toBe(0);
    await setClock('+0');
    await over();
    await breached(meanwhile);
    await nothingEnded();

    // Jumps back and forward, each time confirmed.
    for (const ahead of ['-2h', '+0']) {
      await setClock(ahead);
      await held();
      await nothingEnded();
      await api.operator.post('/admin/clock/confirm');
      await over();
      await breached(await create(1));
      await nothingEnded();
    }
  });

  it('that goes back does not keep relays from what a dead one left pending', async () => {
    const confirm = async (ahead: string) => {
      await setClock(ahead);
      await held();
      await api.operator.post('/admin/clock/confirm');
      await over();
    };
    const db: Db = { ...processors.db, prefix: freshPrefix() };
    const org = freshOrg(db);
    const { outbox } = orgKeysOf(db.prefix, org);
    await confirm('+2h');
    await addTask(db, org, { sla: { target_latency_seconds: 3600 } });
    await db.redis.xgroup('CREATE', outbox, 'relay', '0');
    await db.redis.xreadgroup('GROUP', 'relay', 'dead', 'COUNT', 10, 'STREAMS', outbox, '>');
    await confirm('+0');
    const options = { redis: readTopology(redis.url), consumer: 'alive', abandonedAfter: 200 };
    const relay = await runRelay(db, openQueues(db), options);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    expect(relay.relayed).toBe(1);
  });

  it('that goes back delays no job and does not keep a process from ending', async () => {
    const own = await startProcessors({
      redis: readTopology(redis.url),
      prefix: freshPrefix(),
      sealer,
      webhookAllowedNetworks: [],
      concurrency: 5,
      log: { ...ERRORS_ONLY, error: () => undefined },
    });
    const org = freshOrg(own.db);
    const { task_id, created_at } = await addTask(own.db, org, { sla: { target_latency_seconds: 8 } });
    const due = created_at + 8000;
    const job = () => own.queues.shards[0].all.sla.getJob(`target_latency-${task_id}-${due}-clock`);
    await expect.poll(job, SOON).toBeDefined();
    await setClock('-4h');
    // The job starts while Redis' clock is held, and is put off.
    await expect.poll(async () => (await job())?.processedOn, SOON).toBeDefined();
    expect(((await job())?.processedOn ?? 0) - due).toBeLessThan(2000);
    await expect.poll(() => own.db.clock.isFrozen, SOON).toBe(true);
    // A process has 25 s to end after SIGTERM.
    const isClosed = own.close().then(() => true);
    expect(await Promise.race([isClosed, sleep(15_000, false)])).toBe(true);
  });
});
