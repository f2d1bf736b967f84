// Which changes of a task have an outbox entry: those from which something follows. Nothing relays here, so entries stay.
import { expect, it } from 'vitest';
import type { OutboxEntry } from '../../../src/state/outbox.ts';
import type { Command } from '../../../src/state/tasks/command.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { accept, addTask, addWorker, freshOrg, offerIdOf, offerTo, openTestDb } from '../../support/db.ts';
import { addEndpoint } from '../../support/endpoints.ts';

const db = await openTestDb();

async function accepted(org: string): Promise<Task> {
  await addWorker(db, org, { worker_id: 'w', capacity: 9 });
  const task = await addTask(db, org, { review: { mode: 'manual' } });
  return accept(db, await offerTo(db, task, ['w'], 3600_000), 'w');
}

async function entriesOf({ org_id, task_id }: Task): Promise<Extract<OutboxEntry, { kind: 'task' }>[]> {
  const all = await db.redis.xrange(orgKeysOf(db.prefix, org_id).outbox, '-', '+');
  return all.map(([, fields]) => JSON.parse(fields[1] ?? '')).filter((one) => one.task_id === task_id);
}

const start: Command = { name: 'start', worker_id: 'w' };

it('writes no outbox entry from which nothing follows', async () => {
  const task = await accepted(freshOrg(db));
  // The creation requests a match.
  expect(await entriesOf(task)).toMatchObject([{ version: 1, events: [] }]);
});

it('names the events once the org has an endpoint, also in a process that knew of none', async () => {
  const org = freshOrg(db);
  const task = await accepted(org);
  await addEndpoint(db, org, 'https://receiver.example/');
  await changeTask(db, org, task.task_id, [start], { actor: 'worker:w' });
  expect(await entriesOf(task)).toMatchObject([
    { version: 1 },
    { version: 4, events: ['started'], first: 6 },
  ]);
});

it('has the notice of an offer once a worker of the org has a channel', async () => {
  const org = freshOrg(db);
  await accepted(org);
  await db.redis.sadd(orgKeysOf(db.prefix, org).notifiedWorkers, 'w');
  const task = await offerTo(db, await addTask(db, org), ['w'], 3600_000);
  const [, offered] = await entriesOf(task);
  expect(offered?.notices).toMatchObject([
    { worker_id: 'w', notice_id: offerIdOf(task, 'w'), kind: 'offer' },
  ]);
});

it('keeps the entry of an offer that ends soon, which has a job', async () => {
  const org = freshOrg(db);
  await addWorker(db, org, { worker_id: 'w' });
  const task = await offerTo(db, await addTask(db, org), ['w'], 30_000);
  expect((await entriesOf(task))[1]?.scheduled).toMatchObject([{ kind: 'offer_expiry' }]);
});
