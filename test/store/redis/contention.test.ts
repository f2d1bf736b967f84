// Compare-and-set on a record that changes at each attempt ends with an error.
import { afterEach, expect, it, vi } from 'vitest';
import { asApiError } from '../../../src/api/http/problem.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import { CONFLICT, ContendedError, updateWithRetry } from '../../../src/store/redis/contention.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { replaceInput } from '../../../src/store/tasks/replace-input.ts';
import { addTask, freshOrg, openTestDb } from '../../support/db.ts';

const db = await openTestDb();
afterEach(() => vi.restoreAllMocks());

/** Without the pauses between attempts. */
const withoutPauses = () => vi.spyOn(Math, 'random').mockReturnValue(0);

it('limits the number of attempts', async () => {
  withoutPauses();
  let last = 0;
  const update = updateWithRetry('record', async () => {
    last += 1;
    return CONFLICT;
  });
  await expect(update).rejects.toThrow(ContendedError);
  expect(last).toBe(50);
});

it('ends an update of a record that changes at each attempt', async () => {
  withoutPauses();
  const org = freshOrg(db);
  const { task_id } = await addTask(db, org);
  const key = orgKeysOf(db.prefix, org).task(task_id);
  let tries = 0;
  const update = replaceInput(db, org, task_id, (input) => {
    tries += 1;
    // Sent before the commit, on the same connection.
    void db.redis.hincrby(key, 'v', 1);
    return { ...input, title: `${tries}` };
  });
  await expect(update).rejects.toThrow(ContendedError);
  expect(tries).toBe(50);
});

it('answers 503 when no commit of a task succeeds', async () => {
  withoutPauses();
  const org = freshOrg(db);
  const { task_id } = await addTask(db, org);
  const key = orgKeysOf(db.prefix, org).task(task_id);
  const error = await changeTask(db, org, task_id, [{ name: 'cancel', reason: null }], {
    actor: 'test',
    extraWrites: () => ({ guards: [{ kind: 'absent', key }], writes: [] }),
  }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ContendedError);
  const shown = asApiError(error);
  expect([shown.status, shown.code, shown.headers]).toEqual([503, 'unavailable', { 'Retry-After': '2' }]);
});
