// Which processes are alive.
import { expect, it } from 'vitest';
import { Heartbeat, processesAlive } from '../../../src/store/metrics/heartbeat.ts';
import { openTestDb } from '../../support/db.ts';

const db = await openTestDb();

it('shows the processes that beat, until they stop or their entry ends', async () => {
  const [web, worker, killed] = [
    new Heartbeat(db, 'web', '1.0.0'),
    new Heartbeat(db, 'worker', '1.0.0'),
    new Heartbeat(db, 'worker', '0.9.0'),
  ];
  await Promise.all([web, worker, killed].map((one) => one.start()));
  const alive = async () =>
    (await processesAlive(db)).map(({ kind, version }) => `${kind} ${version}`).sort();
  expect(await alive()).toEqual(['web 1.0.0', 'worker 0.9.0', 'worker 1.0.0']);
  const key = `${db.prefix}:processes`;
  expect(await db.redis.pttl(key)).toBeGreaterThan(0);
  const old = (await db.redis.zrange(key, 0, '-1')).find((one) => one.startsWith('worker 0.9.0')) ?? '';
  await db.redis.zadd(key, db.clock.now() - 1, old);
  expect(await alive()).toEqual(['web 1.0.0', 'worker 1.0.0']);
  await worker.stop();
  expect(await alive()).toEqual(['web 1.0.0']);
  await web.stop();
  await killed.stop();
});
