// Relaxation steps: which workers are offered a task when, hard requirements, and invalid steps.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createOrg,
  type OfferView,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { createTestWorker, taskBody } from '../../../support/workers.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ processors: true });
});

afterAll(() => api.close());

const WANTED = { skills: ['a', 'b'], certifications: ['c'], trust_level: 3, min_rating: 4 };

test('relaxation steps lower the requirements over time, except those in hard', async () => {
  const { client } = await createOrg(api);
  const half = await createTestWorker(api, client, {
    skills: ['a'],
    certifications: ['c'],
    trust_level: 3,
    rating: 3,
  });
  const uncertified = await createTestWorker(api, client, { skills: ['a', 'b'], trust_level: 5 });
  const requirements = {
    ...WANTED,
    hard: ['certifications'],
    steps: [
      { after_seconds: 1, requirements: { ...WANTED, skills: ['a'], certifications: undefined } },
      { after_seconds: 2, requirements: { skills: ['a'] } },
      { after_seconds: 600, requirements: {} },
    ],
  };
  const { task_id, created_at, ...task } = await client.post<TaskView>(
    '/v1/tasks',
    taskBody({ requirements }),
  );
  expect(task.requirements).toEqual(JSON.parse(JSON.stringify(requirements)));
  const offer = await half.offerOf(task_id);
  const waited = Date.parse(String(offer.offered_at)) - Date.parse(created_at);
  expect(waited).toBeGreaterThanOrEqual(2000);
  expect(waited).toBeLessThan(8000);
  expect((await uncertified.client.get<Page<OfferView>>('/v1/worker/offers')).data).toEqual([]);
  // Given back, the task keeps the requirements of the current step.
  await half.client.patch('/v1/worker', { availability: 'away' });
  await expect.poll(async () => (await client.get<TaskView>(`/v1/tasks/${task_id}`)).status).toBe('queued');
  const match = await client.get<Record<string, unknown>>(`/v1/tasks/${task_id}/match`);
  expect(match).toMatchObject({
    step: 2,
    next_step_at: new Date(Date.parse(created_at) + 600_000).toISOString(),
    requirements: [
      { requirement: 'skills', wanted: 'a', rules_out: 0 },
      { requirement: 'certifications', wanted: 'c', rules_out: 1 },
    ],
  });
});

const step = (after_seconds: unknown, requirements: unknown) => ({ after_seconds, requirements });

test.each<[string, Record<string, unknown>, string[]]>([
  ['no time', { steps: [step(0, {})] }, ['/steps/0/after_seconds']],
  ['a time before the last', { steps: [step(9, {}), step(9, {})] }, ['/steps/1/after_seconds']],
  ['more of a skill', { steps: [step(1, { skills: ['z'] })] }, ['/steps/0/requirements/skills']],
  [
    'more than the step before',
    { steps: [step(1, { min_rating: 2 }), step(2, { min_rating: 3 })] },
    ['/steps/1/requirements/min_rating'],
  ],
  [
    'what is hard',
    { hard: ['min_rating'], steps: [step(1, { min_rating: 1 })] },
    ['/steps/0/requirements/min_rating'],
  ],
  [
    'another pool',
    { steps: [step(1, { worker_pool_id: 'other' })] },
    ['/steps/0/requirements/worker_pool_id'],
  ],
  ['no requirements', { steps: [{ after_seconds: 1 }] }, ['/steps/0/requirements']],
  ['no list', { steps: step(1, {}), hard: 'skills' }, ['/hard', '/steps']],
  ['hard that is no requirement', { hard: ['worker_pool_id'] }, ['/hard/0']],
  ['too many', { steps: Array.from({ length: 11 }, (_, index) => step(index + 1, {})) }, ['/steps']],
])('%s is refused', async (_name, fields, pointers) => {
  const { client } = await createOrg(api);
  const body = taskBody({ requirements: { ...WANTED, ...fields } });
  const answer = await client.request('POST', '/v1/tasks', { body });
  expect(answer.outcome).toBe('422 validation_failed');
  expect(answer.problem.errors?.map((one) => one.pointer).sort()).toEqual(
    pointers.map((one) => `/requirements${one}`),
  );
  expect((await client.get<Page<TaskView>>('/v1/tasks')).data).toEqual([]);
});
