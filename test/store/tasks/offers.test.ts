// The index of a worker's offers: it has all that are open, however many, and for a while those that ended.
import { expect, it } from 'vitest';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { openOffers, taskOfOffer } from '../../../src/store/tasks/offers.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
} from '../../support/db.ts';

const db = await openTestDb();
const DAY = 24 * 3600 * 1000;

it('has all open offers of a worker with a large capacity', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org, { capacity: 300 });
  const tasks = await Promise.all(Array.from({ length: 250 }, () => addTask(db, org)));
  await Promise.all(tasks.map((task) => offerTo(db, task, [worker_id])));
  const open = await openOffers(db, org, worker_id, db.clock.now());
  expect(open.map((one) => one.task_id).sort()).toEqual(tasks.map((task) => task.task_id).sort());
});

it('has ended offers for a week', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org, { capacity: 10 });
  const key = orgKeysOf(db.prefix, org).workerOffers(worker_id);
  const now = db.clock.now();
  await db.redis.zadd(key, now - 8 * DAY, 'offer-a task-a', now - 6 * DAY, 'offer-b task-b');
  const task = await offerTo(db, await addTask(db, org), [worker_id]);
  const of = (offer: string) => taskOfOffer(db, org, worker_id, offer);
  expect([await of('offer-a'), await of('offer-b')]).toEqual([null, 'task-b']);
  const offer = offerIdOf(task, worker_id);
  await applyCommands(db, task, { name: 'cancel', reason: null });
  expect(await openOffers(db, org, worker_id, db.clock.now() + 1)).toEqual([]);
  expect(await of(offer)).toBe(task.task_id);
});

it('has a bound', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org, { capacity: 10 });
  const key = orgKeysOf(db.prefix, org).workerOffers(worker_id);
  const now = db.clock.now();
  const ended = Array.from({ length: 1500 }, (_, at) => [now - 1500 + at, `offer-${at} task`]).flat();
  await db.redis.zadd(key, ...ended);
  await offerTo(db, await addTask(db, org), [worker_id]);
  expect(await db.redis.zcard(key)).toBe(1200);
  expect(await openOffers(db, org, worker_id, db.clock.now())).toHaveLength(1);
});
