// A submission that is checked while its task changes: the check holds for the version that is committed.
import { afterEach, expect, test, vi } from 'vitest';
import { startApiOfFile, type TaskView } from '../../../support/api.ts';
import { createTaskIn } from '../../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true });
afterEach(() => vi.restoreAllMocks());

/** Runs `meanwhile` once, after the evidence of a task has been read and before the result is used. */
function whenEvidenceIsRead(meanwhile: () => Promise<unknown>): void {
  const { redis } = api.web.db;
  const hgetall = redis.hgetall.bind(redis);
  let isFirst = true;
  vi.spyOn(redis, 'hgetall').mockImplementation(async (key) => {
    const found = await hgetall(key);
    if (isFirst && String(key).includes(':evidence:')) {
      isFirst = false;
      await meanwhile();
    }
    return found;
  });
}

test('loads the task once for each request, and once more after waiting for another change', async () => {
  const { task, person } = await createTaskIn(api, org, 'started', {
    output: { expected_format: 'structured_json', schema: { seen: 'boolean' }, review: { mode: 'manual' } },
  });
  const loads = vi.spyOn(api.web.db.redis, 'hmgetBuffer');
  const path = `/v1/worker/tasks/${task.task_id}/submit`;
  const invalid = () => person.client.request('POST', path, { body: { output: { seen: 'yes' } } });
  const answers = await Promise.all([invalid(), invalid()]);
  expect(answers.map((one) => one.outcome)).toEqual(['422 validation_failed', '422 validation_failed']);
  const ofTask = loads.mock.calls.filter(([key]) => String(key).endsWith(`:task:${task.task_id}`));
  // The second waits, unless the first has ended before it.
  expect([2, 3]).toContain(ofTask.length);
});

test.each([
  ['an output that breaks the schema', { output: { seen: 'yes' } }, false],
  ['an output without the evidence it needs', { output: { seen: true } }, true],
])('refuses %s when the task is started meanwhile', async (_name, body, evidence_required) => {
  const output = { expected_format: 'structured_json', schema: { seen: 'boolean' }, evidence_required };
  const { task, person } = await createTaskIn(api, org, 'accepted', {
    output: { ...output, review: { mode: 'manual' } },
  });
  const path = `/v1/worker/tasks/${task.task_id}`;
  whenEvidenceIsRead(() => person.start(task.task_id));
  const answer = await person.client.request('POST', `${path}/submit`, { body });
  expect(['409 invalid_transition', '422 validation_failed']).toContain(answer.outcome);
  expect(await person.client.get<TaskView>(path)).toMatchObject({ status: 'started', submission: null });
});
