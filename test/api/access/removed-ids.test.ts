// Pools and workers created with the id of a removed one inherit nothing from it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyPool } from '../../../src/processors/removed-pools.ts';
import { revokeWorkerTokens } from '../../../src/store/identity/worker-tokens.ts';
import { RedisClock } from '../../../src/store/redis/clock.ts';
import { commit, merge } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { loadWorker, releaseOrphanedReservation, workerWrites } from '../../../src/store/workers/workers.ts';
import {
  createOrg,
  createPool,
  freshName,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { freshPrefix, testRedisUrl } from '../../support/redis.ts';
import { type RedisProxy, startRedisProxy } from '../../support/redis-proxy.ts';
import type { EvidenceView } from '../../support/uploads.ts';
import { createTestWorker, OUTPUT, TestWorker, taskBody } from '../../support/workers.ts';

/** Without processors: a removed record is not emptied until a test does it. */
let direct: TestApi;
let pinched: TestApi;
let proxy: RedisProxy;
/** With processors, and a key prefix of its own. */
let whole: TestApi;
let org: Org;
let clock: RedisClock;

beforeAll(async () => {
  const same = { prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
  proxy = await startRedisProxy(testRedisUrl());
  [direct, pinched, whole] = await Promise.all([
    startApi(same),
    startApi({ ...same, redisUrl: proxy.url }),
    startApi({ processors: true }),
  ]);
  clock = new RedisClock(direct.redis);
  await clock.start();
  org = await createOrg(direct);
});

afterAll(async () => {
  clock.stop();
  await Promise.all([direct.close(), pinched.close(), whole.close()]);
  await proxy.close();
});

describe('a pool', () => {
  const empty = (pool: string) =>
    emptyPool({ redis: direct.redis, prefix: direct.prefix, clock }, org.org_id, pool);
  const remake = (pool_id: string) =>
    org.client.request('POST', '/v1/pools', { body: { pool_id, name: 'anew' } });
  const poolsOf = async ({ worker_id }: TestWorker) =>
    (await org.client.get<{ pool_ids: string[] }>(`/v1/workers/${worker_id}`)).pool_ids;

  test('cannot reuse the id of a removed pool before that is emptied, and inherits no workers', async () => {
    const pool = await createPool(org.client);
    const person = await createTestWorker(direct, org.client, { pool_ids: [pool] });
    await org.client.delete(`/v1/pools/${pool}`);
    const refused = await remake(pool);
    expect(refused.outcome).toBe('409 removal_in_progress');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await poolsOf(person)).toEqual([pool]);
    await empty(pool);
    expect((await remake(pool)).status).toBe(201);
    expect(await poolsOf(person)).toEqual([]);
  });

  test('cannot reuse the id while the removed pool has a worker of a newer form', async () => {
    const pool = await createPool(org.client);
    const person = await createTestWorker(direct, org.client, { pool_ids: [pool] });
    const key = orgKeysOf(direct.prefix, org.org_id).worker(person.worker_id);
    await org.client.delete(`/v1/pools/${pool}`);
    await direct.redis.hset(key, 'f', 2);
    await empty(pool);
    expect((await remake(pool)).outcome).toBe('409 removal_in_progress');
    await direct.redis.hset(key, 'f', 1);
    await empty(pool);
    expect((await remake(pool)).status).toBe(201);
    expect(await poolsOf(person)).toEqual([]);
  });

  test('that is emptied late keeps its id blocked after a second removal', async () => {
    const pool = await createPool(org.client);
    await org.client.delete(`/v1/pools/${pool}`);
    const { removedPools } = orgKeysOf(direct.prefix, org.org_id);
    const first = Number(await direct.redis.zscore(removedPools, `${org.org_id} ${pool}`));
    await empty(pool);
    await remake(pool);
    await org.client.delete(`/v1/pools/${pool}`);
    const second = Number(await direct.redis.zscore(removedPools, `${org.org_id} ${pool}`));
    expect(second).toBeGreaterThan(first);
    expect((await remake(pool)).outcome).toBe('409 removal_in_progress');
  });
});

describe('a worker', () => {
  /** Creates a worker with this id as soon as the tasks of the removed one have been released. */
  async function remake({ client }: Org, worker_id: string, fields: object): Promise<TestWorker> {
    const body = { worker_id, name: 'anew', ...fields };
    await expect
      .poll(async () => (await client.request('POST', '/v1/workers', { body })).outcome, { timeout: 10_000 })
      .toBe('201');
    const { token } = await client.post<{ token: string }>(`/v1/workers/${worker_id}/tokens`);
    return new TestWorker(worker_id, whole.client(token));
  }

  test('gets no token that was made during the removal of a worker with the same id', async () => {
    const { worker_id } = await createTestWorker(direct, org.client);
    const body = { worker_id, name: 'anew' };
    const path = `/v1/workers/${worker_id}`;
    const near = pinched.client(org.client.credential);
    const { held, release } = proxy.hold('worker_token.created');
    const making = near.request('POST', `${path}/tokens`);
    await held;
    // Not through the API: audit entries of an org are written one after the other within a process.
    const db = { redis: direct.redis, prefix: direct.prefix, clock };
    const worker = await loadWorker(db, org.org_id, worker_id);
    const tokens = await revokeWorkerTokens(db, org.org_id, worker_id);
    expect(await commit(db.redis, merge(workerWrites(db, worker, null), tokens))).toBe(true);
    release();
    expect((await making).outcome).toBe('404 not_found');
    expect((await org.client.request('POST', '/v1/workers', { body })).status).toBe(201);
    const hashes = await direct.redis.smembers(orgKeysOf(direct.prefix, org.org_id).workerTokens(worker_id));
    expect(hashes).toEqual([]);
  });

  test('cannot reuse the id of a removed worker whose tasks are not released', async () => {
    const { worker_id } = await createTestWorker(direct, org.client);
    const keys = orgKeysOf(direct.prefix, org.org_id);
    await direct.redis.sadd(keys.removedWorkerTasks(worker_id), 'task');
    await org.client.delete(`/v1/workers/${worker_id}`);
    const body = { worker_id, name: 'anew' };
    const remaking = () => org.client.request('POST', '/v1/workers', { body });
    expect((await remaking()).outcome).toBe('409 removal_in_progress');
    await releaseOrphanedReservation(
      { redis: direct.redis, prefix: direct.prefix, clock },
      org.org_id,
      worker_id,
      'task',
    );
    expect((await remaking()).status).toBe(201);
  });

  test('gets neither files nor stored responses of a removed worker with the same id', async () => {
    const own = await createOrg(whole);
    const pool = await createPool(own.client);
    const old = await createTestWorker(whole, own.client, { pool_ids: [pool] });
    const { task_id } = await own.client.post<TaskView>(
      '/v1/tasks',
      taskBody({ requirements: { worker_pool_id: pool } }),
    );
    await old.accept(task_id);
    await old.start(task_id);
    const { worker_id } = old;
    const headers = { 'Content-Type': 'text/plain', 'Idempotency-Key': freshName('key') };
    const upload = { raw: 'bytes', headers };
    const evidence = `/v1/worker/tasks/${task_id}/evidence`;
    const { evidence_id } = await old.client.post<EvidenceView>(`${evidence}?name=a.txt`, undefined, upload);
    await own.client.delete(`/v1/workers/${worker_id}`);
    const anew = await remake(own, worker_id, { pool_ids: [pool], availability: 'available' });
    // The task is offered to the new worker like to any other.
    await anew.accept(task_id);
    await anew.start(task_id);
    expect((await anew.client.get<Page<EvidenceView>>(evidence)).data).toEqual([]);
    const submit = (body: object) =>
      anew.client.request('POST', `/v1/worker/tasks/${task_id}/submit`, {
        body: { output: OUTPUT, ...body },
      });
    expect((await submit({ evidence_ids: [evidence_id] })).outcome).toBe('422 validation_failed');
    // The response stored for the old worker's Idempotency-Key is not shown to the new one either.
    const again = await anew.client.request('POST', `${evidence}?name=a.txt`, upload);
    expect(again.headers.get('idempotent-replayed')).toBeNull();
    const own_id = again.as<EvidenceView>().evidence_id;
    await submit({});
    const { submission } = await own.client.get<{ submission: { evidence: EvidenceView[] } }>(
      `/v1/tasks/${task_id}`,
    );
    expect(submission.evidence.map((one) => one.evidence_id)).toEqual([own_id]);
  });
});
