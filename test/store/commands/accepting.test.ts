// Accepting in the moment between a change of the worker and the revocation that follows from it: nothing relays
// or processes here, so that moment lasts. The commit itself refuses who is not there or not qualified any more.
import { expect, it } from 'vitest';
import type { Requirements } from '../../../src/state/tasks/task.ts';
import type { Worker } from '../../../src/state/workers/worker.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import {
  addTask,
  addWorker,
  changeWorker,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
  taskOf,
  workerOf,
} from '../../support/db.ts';

const db = await openTestDb();

async function asked(requirements: Requirements = {}) {
  const org = freshOrg(db);
  const all = { pool_ids: ['pool'], skills: ['a'], certifications: ['c'], trust_level: 3, rating: 4 };
  const worker = await addWorker(db, org, { worker_id: 'w', ...all });
  const task = await offerTo(db, await addTask(db, org, { requirements }), ['w']);
  const command = { name: 'accept', offer_id: offerIdOf(task, 'w'), worker_id: 'w' } as const;
  const accept = (loadedWorkers: Worker[] = []) =>
    changeTask(db, org, task.task_id, [command], { actor: 'worker:w', loadedWorkers });
  return { org, worker, task, accept };
}

it.each<[string, Requirements, Partial<Worker>]>([
  ['a pool', { worker_pool_id: 'pool' }, { pool_ids: [] }],
  ['a skill', { skills: ['a'] }, { skills: ['b'] }],
  ['a certification', { certifications: ['c'] }, { certifications: [] }],
  ['trust', { trust_level: 3 }, { trust_level: 2.9 }],
  ['rating', { min_rating: 4 }, { rating: 3.999 }],
  ['presence: away', {}, { availability: 'away' }],
  ['presence: offline', {}, { availability: 'offline' }],
])('who has lost what is asked does not get the task: %s', async (_name, requirements, less) => {
  const { org, worker, task, accept } = await asked(requirements);
  await changeWorker(db, org, 'w', less);
  const before = [await taskOf(db, org, task.task_id), await workerOf(db, org, 'w')];
  expect(await accept()).toMatchObject({ ok: false, code: 'offer_not_pending' });
  expect([await taskOf(db, org, task.task_id), await workerOf(db, org, 'w')]).toEqual(before);
  // Having got it back in time, they may.
  const { availability, pool_ids, skills, certifications, trust_level, rating } = worker;
  await changeWorker(db, org, 'w', { availability, pool_ids, skills, certifications, trust_level, rating });
  expect(await accept()).toMatchObject({ ok: true, task: { status: 'accepted' } });
});

it('who has lost something else gets it, full as they are', async () => {
  const { org, accept } = await asked({ skills: ['a'], min_rating: 4 });
  await changeWorker(db, org, 'w', { certifications: [], pool_ids: [], trust_level: 0 });
  expect((await workerOf(db, org, 'w')).reservations).toHaveLength(1);
  expect(await accept()).toMatchObject({ ok: true, task: { status: 'accepted' } });
});

it('an accept decided on the worker as they were is decided anew', async () => {
  const { org, accept } = await asked({ certifications: ['c'] });
  const asTheyWere = await workerOf(db, org, 'w');
  await changeWorker(db, org, 'w', { certifications: [] });
  expect(await accept([asTheyWere])).toMatchObject({ ok: false, code: 'offer_not_pending' });
});
