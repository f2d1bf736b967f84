// The lifecycle of a task through the routes: cancellation in each state, the commands of workers, and reviews. The
// transition table has its own tests; these test how each route applies it.
import { describe, expect, test } from 'vitest';
import {
  createPool,
  type EventView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import {
  createTaskIn,
  createTestWorker,
  OUTPUT,
  type TargetStatus,
  taskBody,
} from '../../../support/workers.ts';

const { api, org, client } = await startApiOfFile({ processors: true });

const NEVER = '0190163d-8694-739b-aea5-966c26f8ad90';

async function typesOf(taskId: string): Promise<string[]> {
  const { data } = await client.get<Page<EventView>>(`/v1/tasks/${taskId}/events`);
  return data.map((one) => one.type.replace('task.', ''));
}

async function activeTasks(workerId: string): Promise<number> {
  return (await client.get<{ active_tasks: number }>(`/v1/workers/${workerId}`)).active_tasks;
}

describe('nesting', () => {
  const nested = (levels: number, leaf = '1') =>
    JSON.parse('{"a":'.repeat(levels) + leaf + '}'.repeat(levels)) as object;

  test('an output of 128 levels is accepted and returned, one of 129 is refused', async () => {
    const schema = { extra: 'object' };
    const output = { expected_format: 'structured_json', schema, review: { mode: 'manual' } };
    const { task, person } = await createTaskIn(api, org, 'started', { output });
    const path = `/v1/worker/tasks/${task.task_id}/submit`;
    const deeper = await person.client.request('POST', path, { body: { output: { extra: nested(128) } } });
    expect(deeper.outcome).toBe('422 validation_failed');
    expect(deeper.problem.errors).toEqual([
      { pointer: `/output/extra${'/a'.repeat(127)}`, message: 'is nested more than 128 levels deep' },
    ]);
    const submitted = { extra: nested(127) };
    expect((await person.submit(task.task_id, submitted)).status).toBe('submitted');
    const shown = await client.get<{ submission: { output: unknown } }>(`/v1/tasks/${task.task_id}`);
    expect(shown.submission.output).toEqual(submitted);
  });

  test('an output schema of 32 levels is accepted, one of 33 is refused', async () => {
    const levels = (leaf: string) =>
      JSON.parse(`${'{"properties":{"a":'.repeat(15)}${leaf}${'}}'.repeat(15)}`) as object;
    const create = (schema: object) =>
      client.request('POST', '/v1/tasks', {
        body: taskBody({
          output: { expected_format: 'structured_json', schema: { type: 'object', ...schema } },
        }),
      });
    expect((await create(levels('{"properties":{}}'))).outcome).toBe('201');
    const refused = await create(levels('{"properties":{"a":{}}}'));
    expect(refused.outcome).toBe('422 validation_failed');
    expect(refused.problem.errors?.[0]?.message).toBe('is nested more than 32 levels deep');
  });
});

describe('cancel', () => {
  test.each<TargetStatus>(['queued', 'offered', 'accepted', 'started'])(
    'cancels a task that is %s',
    async (status) => {
      const { task, person } = await createTaskIn(api, org, status);
      const body = { reason: 'changed our minds ✋' };
      const cancelled = await client.post<TaskView>(`/v1/tasks/${task.task_id}/cancel`, body);
      expect(cancelled.status).toBe('cancelled');
      expect(cancelled.cancellation).toEqual({
        reason: body.reason,
        cancelled_by: expect.stringMatching(/^api_key:/),
      });
      expect(await client.get(`/v1/tasks/${task.task_id}`)).toEqual(cancelled);
      expect((await typesOf(task.task_id)).at(-1)).toBe('cancelled');
      // The worker's capacity is released, and their commands for the task are rejected.
      expect(await activeTasks(person.worker_id)).toBe(0);
      for (const list of ['offers', 'tasks'])
        expect((await person.client.get<Page<unknown>>(`/v1/worker/${list}`)).data).toEqual([]);
      if (status === 'accepted' || status === 'started') {
        expect((await person.client.get<TaskView>(`/v1/worker/tasks/${task.task_id}`)).status).toBe(
          'cancelled',
        );
        const late = await person.client.request('POST', `/v1/worker/tasks/${task.task_id}/submit`, {
          body: { output: OUTPUT },
        });
        expect(late.outcome).toBe('409 invalid_transition');
      }
    },
  );

  test.each<TargetStatus>(['submitted', 'completed', 'failed', 'cancelled'])(
    'returns 409 for a task that is %s',
    async (status) => {
      const { task } = await createTaskIn(api, org, status);
      const answer = await client.request('POST', `/v1/tasks/${task.task_id}/cancel`, {
        body: { reason: 'late' },
      });
      expect(answer.outcome).toBe('409 task_not_cancellable');
      expect(await client.get(`/v1/tasks/${task.task_id}`)).toEqual(task);
    },
  );

  test('accepts no body, an empty one and a reason with null characters, and refuses other fields', async () => {
    const cancelling = async (options: object) => {
      const { task } = await createTaskIn(api, org, 'queued');
      return client.request('POST', `/v1/tasks/${task.task_id}/cancel`, options);
    };
    expect((await cancelling({})).as<TaskView>().cancellation?.reason).toBeNull();
    expect((await cancelling({ body: {} })).as<TaskView>().cancellation?.reason).toBeNull();
    expect((await cancelling({ body: { reason: 'a\u0000b' } })).as<TaskView>().cancellation?.reason).toBe(
      'a\u0000b',
    );
    const wrong = await cancelling({ body: { reason: 5, force: true } });
    expect(wrong.problem.errors?.map((one) => one.pointer).sort()).toEqual(['/force', '/reason']);
  });

  test('lets one of cancel and accept win, with the worker in the matching state', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { task, person } = await createTaskIn(api, org, 'offered');
      const { offer_id } = await person.offerOf(task.task_id);
      const [cancel, accept] = await Promise.all([
        client.request('POST', `/v1/tasks/${task.task_id}/cancel`),
        person.client.request('POST', `/v1/worker/offers/${offer_id}/accept`),
      ]);
      expect(cancel.outcome).toBe('200');
      expect(['200', '409 offer_not_pending']).toContain(accept.outcome);
      expect(await activeTasks(person.worker_id)).toBe(0);
    }
  });
});

describe('a worker', () => {
  test('takes the steps only in their order', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    const { offer_id } = await person.offerOf(task.task_id);
    const offer = `/v1/worker/offers/${offer_id}`;
    const mine = `/v1/worker/tasks/${task.task_id}`;
    const outcome = async (path: string, body: unknown = {}) =>
      (await person.client.request('POST', path, { body })).outcome;
    // The task is not the worker's until they accept it.
    expect(await outcome(`${mine}/start`)).toBe('404 not_found');
    expect(await outcome(`${offer}/accept`)).toBe('200');
    expect(await outcome(`${offer}/accept`)).toBe('409 offer_not_pending');
    expect(await outcome(`${offer}/decline`)).toBe('409 offer_not_pending');
    expect(await outcome(`${mine}/submit`, { output: OUTPUT })).toBe('409 invalid_transition');
    expect(await outcome(`${mine}/start`)).toBe('200');
    expect(await outcome(`${mine}/start`)).toBe('409 invalid_transition');
    expect(await outcome(`${mine}/submit`, { output: OUTPUT })).toBe('200');
    expect(await outcome(`${mine}/submit`, { output: OUTPUT })).toBe('409 invalid_transition');
    expect(await outcome(`${mine}/release`)).toBe('409 invalid_transition');
  });

  test('sees in an offer what they need to decide, without the handoff', async () => {
    const handoff = {
      callback_url: 'https://example.com/secret-hook',
      callback_auth: { type: 'bearer', token: 'tok-secret' },
    };
    const context = { background: 'why', data: { ticket: 7 } };
    const { task, person } = await createTaskIn(api, org, 'queued', {
      handoff,
      context,
      metadata: { internal: 'yes' },
    });
    await person.client.patch('/v1/worker', { availability: 'available' });
    const offer = await person.offerOf(task.task_id);
    expect(offer).toMatchObject({
      status: 'pending',
      task: { title: task.title, instructions: task.instructions, context },
    });
    expect(Date.parse(String(offer.expires_at))).toBeGreaterThan(Date.now());
    const { text: list } = await person.client.request('GET', '/v1/worker/offers');
    await person.accept(task.task_id);
    const { text: alone } = await person.client.request('GET', `/v1/worker/tasks/${task.task_id}`);
    for (const text of [list, alone]) {
      for (const word of ['secret-hook', 'tok-secret', 'callback', 'handoff'])
        expect(text).not.toContain(word);
    }
  });

  test.each([
    ['nothing', {}, ['/output']],
    ['an empty object', { output: {} }, ['/output/seen']],
    ['a wrong type', { output: { seen: 'yes' } }, ['/output/seen']],
    ['a field too many', { output: { seen: true, 'a/b': 1 } }, ['/output/a~1b']],
    ['no object', { output: [true] }, ['/output']],
    ['null', { output: null }, ['/output']],
    ['several', { output: { seen: 1, x: 1, y: 2 } }, ['/output/seen', '/output/x', '/output/y']],
    ['notes that are none', { output: OUTPUT, notes: 5 }, ['/notes']],
    ['fields that are not known', { output: OUTPUT, status: 'completed' }, ['/status']],
  ])('who submits %s gets 422 with pointers, and the task stays started', async (_name, body, pointers) => {
    const { task, person } = await started();
    const answer = await person.client.request('POST', `/v1/worker/tasks/${task.task_id}/submit`, { body });
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors?.map((one) => one.pointer).sort()).toEqual(pointers);
    expect((await client.get<TaskView>(`/v1/tasks/${task.task_id}`)).version).toBe(task.version);
  });

  /** One started task, shared by tests whose submissions are all rejected. */
  let kept: ReturnType<typeof createTaskIn> | undefined;
  function started(): ReturnType<typeof createTaskIn> {
    kept ??= createTaskIn(api, org, 'started');
    return kept;
  }

  test('who declines gets the task again when no other worker is available', async () => {
    const poolId = await createPool(client, { offer_ttl_seconds: 1 });
    const person = await createTestWorker(api, client, { pool_ids: [poolId] });
    const body = taskBody({ requirements: { worker_pool_id: poolId } });
    const { task_id } = await client.post<TaskView>('/v1/tasks', body);
    const { offer_id } = await person.offerOf(task_id);
    const answer = await person.client.request('POST', `/v1/worker/offers/${offer_id}/decline`, {
      body: { reason: 'busy' },
    });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await person.offerOf(task_id)).offer_id).not.toBe(offer_id);
    const { data } = await client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
    expect(data.find((one) => one.data.reason === 'declined')?.data).toMatchObject({ detail: 'busy' });
  });

  test('can release a task', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    await person.client.patch('/v1/worker', { availability: 'away' });
    const path = `/v1/worker/tasks/${task.task_id}/release`;
    expect((await person.client.request('POST', path, { body: { reason: 'ill' } })).status).toBeLessThan(300);
    const back = await client.get<TaskView>(`/v1/tasks/${task.task_id}`);
    expect([back.status, back.assignment, back.attempt]).toEqual(['queued', null, 2]);
    expect(await activeTasks(person.worker_id)).toBe(0);
  });

  test('gets 404 for offers and tasks that do not exist', async () => {
    const person = await createTestWorker(api, client);
    for (const path of [
      `offers/${NEVER}/accept`,
      `offers/${NEVER}/decline`,
      `tasks/${NEVER}/start`,
      `tasks/${NEVER}/release`,
    ])
      expect((await person.client.request('POST', `/v1/worker/${path}`)).outcome).toBe('404 not_found');
  });

  test('sets their availability; away, they get no offers', async () => {
    const poolId = await createPool(client);
    const person = await createTestWorker(api, client, { pool_ids: [poolId], availability: 'offline' });
    for (const availability of ['away', 'offline', 'available'])
      expect(await person.client.patch('/v1/worker', { availability })).toMatchObject({ availability });
    for (const body of [{}, { availability: 'busy' }, { availability: null }, { rating: 5 }, { capacity: 9 }])
      expect((await person.client.request('PATCH', '/v1/worker', { body })).outcome).toBe(
        '422 validation_failed',
      );
    expect(await person.client.get('/v1/worker')).toMatchObject({
      worker_id: person.worker_id,
      rating: 5,
      capacity: 1,
    });
  });

  test('who is removed while at work returns the task to the queue', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'started');
    await client.delete(`/v1/workers/${person.worker_id}`);
    expect((await person.client.request('GET', '/v1/worker')).outcome).toBe('401 invalid_credential');
    const other = await createTestWorker(api, client, { pool_ids: [poolId] });
    await other.accept(task.task_id);
    expect((await client.get<TaskView>(`/v1/tasks/${task.task_id}`)).assignment?.worker_id).toBe(
      other.worker_id,
    );
  });
});

describe('review', () => {
  const review = (taskId: string, body: unknown) =>
    client.request('POST', `/v1/tasks/${taskId}/review`, { body });

  test.each([
    ['approve', 'completed', ['verified', 'completed']],
    ['reject', 'failed', ['failed']],
    ['rework', 'started', ['started']],
  ])('%s', async (decision, status, types) => {
    const { task, person } = await createTaskIn(api, org, 'submitted');
    const before = await typesOf(task.task_id);
    const answer = await review(task.task_id, { decision, feedback: 'because' });
    expect([answer.status, answer.as<TaskView>().status]).toEqual([200, status]);
    expect((await typesOf(task.task_id)).slice(before.length)).toEqual(types);
    expect(await activeTasks(person.worker_id)).toBe(decision === 'rework' ? 1 : 0);
    if (decision === 'approve')
      expect(answer.as<TaskView>().result).toMatchObject({
        output: OUTPUT,
        worker_id: person.worker_id,
        evidence: [],
      });
    if (decision === 'reject') expect(answer.as<TaskView>().failure?.code).toBe('rejected');
    if (decision !== 'rework') return;
    const mine = await person.client.get<TaskView>(`/v1/worker/tasks/${task.task_id}`);
    expect(mine).toMatchObject({ status: 'started', feedback: 'because', attempt: 2 });
    await person.submit(task.task_id);
    expect((await review(task.task_id, { decision: 'approve' })).as<TaskView>().status).toBe('completed');
  });

  test('reassign returns the task to the queue', async () => {
    const { task, person } = await createTaskIn(api, org, 'submitted');
    await person.client.patch('/v1/worker', { availability: 'away' });
    const answer = await review(task.task_id, { decision: 'reassign' });
    expect(answer.as<TaskView>()).toMatchObject({
      status: 'queued',
      assignment: null,
      result: null,
      attempt: 2,
    });
  });

  test('reassign waits for another worker although the previous one is available', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'submitted');
    await review(task.task_id, { decision: 'reassign' });
    const { reason } = await client.get<{ reason: string }>(`/v1/tasks/${task.task_id}/match`);
    expect(reason).toBe('cooling_down');
    const other = await createTestWorker(api, client, { pool_ids: [poolId] });
    await other.accept(task.task_id);
    const { data } = await client.get<Page<EventView>>(`/v1/tasks/${task.task_id}/events`);
    const asked = data.filter((one) => one.type === 'task.offered').map((one) => one.data.worker_id);
    expect(asked).toEqual([person.worker_id, other.worker_id]);
    // This does not count as declined by the worker.
    expect(await client.get(`/v1/workers/${person.worker_id}`)).toMatchObject({ acceptance_rate: 1 });
  });

  test.each<TargetStatus>(['queued', 'offered', 'accepted', 'started', 'completed', 'failed', 'cancelled'])(
    'returns 409 for a task that is %s',
    async (status) => {
      const { task } = await createTaskIn(api, org, status);
      for (const decision of ['approve', 'reject', 'rework', 'reassign'])
        expect((await review(task.task_id, { decision, feedback: 'because' })).outcome).toBe(
          '409 invalid_transition',
        );
      expect((await client.get<TaskView>(`/v1/tasks/${task.task_id}`)).version).toBe(task.version);
    },
  );

  test.each(['approve', 'rework', 'reassign', 'reject'])(
    "%s with a rating changes the worker's rating once, by the formula",
    async (decision) => {
      const { task, person } = await createTaskIn(api, org, 'submitted');
      await person.client.patch('/v1/worker', { availability: 'away' });
      const headers = { 'Idempotency-Key': 'one review' };
      const path = `/v1/tasks/${task.task_id}/review`;
      const body = { decision, rating: 1, feedback: 'poor' };
      const answer = await client.request('POST', path, { body, headers });
      expect((await client.request('POST', path, { body, headers })).text).toBe(answer.text);
      expect(answer.as<TaskView>().reviews).toMatchObject([
        { decision, rating: 1, feedback: 'poor', worker_id: person.worker_id },
      ]);
      // (10 × 5 + 1) / 11
      const worker = { rating: 4.636, rating_count: 1, acceptance_rate: 1, lapse_rate: 0 };
      expect(await client.get(`/v1/workers/${person.worker_id}`)).toMatchObject(worker);
      const { data } = await client.get<Page<EventView>>(`/v1/tasks/${task.task_id}/events`);
      expect(data.filter((one) => one.data.rating === 1)).toHaveLength(decision === 'reject' ? 0 : 1);
    },
  );

  test('changes which tasks the worker is eligible for', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'submitted');
    const requirements = { worker_pool_id: poolId, min_rating: 4.8 };
    await review(task.task_id, { decision: 'approve', rating: 1 });
    const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    await client.patch(`/v1/workers/${person.worker_id}`, { rating: 4.8 });
    await person.offerOf(task_id);
    const { data } = await client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
    expect(data.map((one) => one.type)).toEqual([
      'task.created',
      'task.queued',
      'task.matched',
      'task.offered',
    ]);
    expect(await client.get(`/v1/workers/${person.worker_id}`)).toMatchObject({
      rating: 4.8,
      rating_count: 0,
    });
  });

  test.each([1, 2])('fails the task after its %i attempts', async (max_attempts) => {
    const poolId = await createPool(client);
    const person = await createTestWorker(api, client, { pool_ids: [poolId] });
    const output = {
      expected_format: 'structured_json',
      schema: { seen: 'boolean' },
      review: { mode: 'manual' },
    };
    const requirements = { worker_pool_id: poolId, max_attempts };
    const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody({ output, requirements }));
    await person.accept(task_id);
    await person.start(task_id);
    for (let attempt = 1; attempt <= max_attempts; attempt += 1) {
      await person.submit(task_id);
      const after = (await review(task_id, { decision: 'rework', feedback: `no ${attempt}` })).as<TaskView>();
      const ended = attempt === max_attempts;
      expect([after.status, after.failure?.code]).toEqual(
        ended ? ['failed', 'attempts_exhausted'] : ['started', undefined],
      );
    }
    const mine = await person.client.get<TaskView>(`/v1/worker/tasks/${task_id}`);
    expect(mine).toMatchObject({ status: 'failed', feedback: `no ${max_attempts}` });
  });

  test('shows its feedback to the next worker too, and is refused to worker tokens', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'submitted');
    const path = `/v1/tasks/${task.task_id}/review`;
    const own = await person.client.request('POST', path, { body: { decision: 'approve', rating: 5 } });
    expect(own.outcome).toBe('403 insufficient_scope');
    await person.client.patch('/v1/worker', { availability: 'away' });
    await review(task.task_id, { decision: 'reassign', feedback: 'look twice' });
    const other = await createTestWorker(api, client, { pool_ids: [poolId] });
    expect(await other.offerOf(task.task_id)).toMatchObject({ task: { feedback: 'look twice' } });
  });

  test.each([
    [{}, ['/decision']],
    ...[0, 0.9, 5.1, -1, '5', null, [5]].map((rating): [object, string[]] => [
      { decision: 'approve', rating },
      ['/rating'],
    ]),
    [{ decision: 'maybe' }, ['/decision']],
    [{ decision: 'rework' }, ['/feedback']],
    [{ decision: 'rework', rating: 0 }, ['/feedback', '/rating']],
    [{ decision: 'reject', feedback: ' ' }, ['/feedback']],
    [{ decision: null, feedback: 1, more: 1 }, ['/decision', '/feedback', '/more']],
  ])('refuses the review %j', async (body, pointers) => {
    const { task } = await createTaskIn(api, org, 'queued');
    const answer = await review(task.task_id, body);
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors?.map((one) => one.pointer).sort()).toEqual(pointers);
  });

  test('shows no result before the task is completed', async () => {
    const { task } = await createTaskIn(api, org, 'submitted');
    expect(task.result).toBeNull();
    expect(
      (await review(task.task_id, { decision: 'reject', feedback: 'wrong' })).as<TaskView>().result,
    ).toBeNull();
  });
});
