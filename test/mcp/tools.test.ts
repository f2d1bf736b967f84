// Every tool and resource over Streamable HTTP, with the official client, in both protocol versions.
import { randomUUID } from 'node:crypto';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrg, createPool, type Org, startApi, type TaskView, type TestApi } from '../support/api.ts';
import { type EvidenceView, upload } from '../support/uploads.ts';
import { createTaskIn, createTestWorker, OUTPUT, type TestWorker, taskBody } from '../support/workers.ts';
import { callTool, connectHttp, pooledRequest, VERSIONS } from './support.ts';

let api: TestApi;
let org: Org;
let poolId: string;
let worker: TestWorker;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  poolId = await createPool(org.client);
  worker = await createTestWorker(api, org.client, { pool_ids: [poolId] });
});
afterAll(() => api.close());

describe.each(VERSIONS)('protocol %s', (version) => {
  let client: Client;
  beforeAll(async () => {
    client = await connectHttp(api.url, org.client.credential, version);
  });
  afterAll(() => client.close());
  const call = (name: string, args: Record<string, unknown>) => callTool(client, name, args);

  test('lists the tools with schemas and annotations', async () => {
    expect(client.getNegotiatedProtocolVersion()).toBe(version);
    const { tools } = await client.listTools();
    expect(tools.map((one) => one.name)).toEqual([
      'request_human',
      'wait_for_task',
      'get_task',
      'list_tasks',
      'cancel_task',
      'answer_question',
      'review_task',
      'preview_match',
    ]);
    for (const tool of tools) {
      expect(tool.inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(tool.outputSchema).toMatchObject({ type: 'object' });
      expect(tool.annotations?.readOnlyHint).toBeTypeOf('boolean');
      expect(tool.description?.length).toBeGreaterThan(50);
    }
  });

  test('request_human returns the answer of a person, and reports progress meanwhile', async () => {
    const args = pooledRequest(poolId);
    const first = await call('request_human', { ...args, wait_seconds: 0 });
    expect(first.value).toMatchObject({ is_final: false, poll_after_ms: expect.any(Number) });
    const taskId = String(first.value.task_id);
    const messages: unknown[] = [];
    const waiting = callTool(
      client,
      'request_human',
      { ...args, wait_seconds: 30 },
      { onprogress: ({ message }) => messages.push(message) },
    );
    await worker.accept(taskId);
    await worker.start(taskId);
    await worker.submit(taskId);
    const { value, isError } = await waiting;
    expect(isError).toBe(false);
    expect(value).toMatchObject({ task_id: taskId, status: 'completed', is_final: true });
    expect(value.result).toMatchObject({ output: OUTPUT });
    expect(value).not.toHaveProperty('poll_after_ms');
    expect(messages[0]).toMatch(/^The task is /);
  });

  test('wait_for_task returns when the worker asks, and answer_question lets them go on', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const waiting = call('wait_for_task', { task_id: task.task_id });
    await person.client.post(`/v1/worker/tasks/${task.task_id}/messages`, {
      text: 'Which?',
      question: true,
    });
    const asked = await waiting;
    expect(asked.value).toMatchObject({ status: 'started', open_question: { text: 'Which?' } });
    expect(asked.value.next_step).toContain('answer_question');
    const answer = await call('answer_question', { task_id: task.task_id, text: 'The second.' });
    expect(answer).toMatchObject({ isError: false, value: { text: 'The second.' } });
    const again = await call('answer_question', { task_id: task.task_id, text: 'The third.' });
    expect(again).toMatchObject({ isError: true, value: { error: { code: 'question_not_open' } } });
  });

  test('review_task decides on the submission that was seen, which links its files', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const taskId = task.task_id;
    const file = Buffer.from('what I saw');
    const { evidence_id } = (await upload(person.client, taskId, file, {}, 'seen.pdf')).json<EvidenceView>();
    await person.submit(taskId, OUTPUT, { evidence_ids: [evidence_id] });
    const { value, links } = await call('wait_for_task', { task_id: taskId });
    expect(value.next_step).toContain('review_task');
    expect(links).toEqual([`biolayer://tasks/${taskId}/evidence/${evidence_id}`]);
    const { contents } = await client.readResource({ uri: links[0] ?? '' });
    expect(contents).toEqual([{ uri: links[0], mimeType: 'application/pdf', blob: file.toString('base64') }]);
    const stale = await call('review_task', { task_id: taskId, version: 1, decision: 'approve' });
    expect(stale).toMatchObject({ isError: true, value: { error: { code: 'version_mismatch' } } });
    const rework = { task_id: taskId, version: value.version, decision: 'rework' };
    const unexplained = await call('review_task', rework);
    expect(unexplained.value).toMatchObject({ error: { errors: [{ pointer: '/feedback' }] } });
    const decided = await call('review_task', { ...rework, decision: 'approve', rating: 5 });
    expect(decided.isError).toBe(false);
    expect(decided.value.status).toMatch(/verified|completed/);
  });

  test('get_task, list_tasks and cancel_task', async () => {
    const requestId = randomUUID();
    const made = await org.client.post<TaskView>(
      '/v1/tasks',
      taskBody({ origin: { product: 'tests', request_id: requestId } }),
    );
    const whole = await call('get_task', { task_id: made.task_id });
    expect(whole.value).toMatchObject({ task_id: made.task_id, instructions: made.instructions });
    const page = await call('list_tasks', { request_id: [requestId], status: ['created', 'queued'] });
    expect(page.value).toMatchObject({
      data: [{ task_id: made.task_id, urgency: 'normal' }],
      has_more: false,
    });
    const ended = await call('cancel_task', { task_id: made.task_id, reason: 'not needed' });
    expect(ended.value).toMatchObject({
      status: 'cancelled',
      is_final: true,
      cancellation: { reason: 'not needed' },
    });
    const again = await call('cancel_task', { task_id: made.task_id });
    expect(again).toMatchObject({ isError: true, value: { error: { code: 'task_not_cancellable' } } });
  });

  test('preview_match counts who could do a task, and creates nothing', async () => {
    const { idempotency_key: _, ...request } = pooledRequest(poolId);
    const before = await call('list_tasks', { limit: 1 });
    const { value } = await call('preview_match', request);
    expect(value).toMatchObject({ reason: 'eligible', workers: { qualified: 1 } });
    expect((await call('list_tasks', { limit: 1 })).value).toEqual(before.value);
  });

  test('serves task, history, pools and task types as resources', async () => {
    const { task_id } = await org.client.post<TaskView>('/v1/tasks', taskBody());
    const read = async (uri: string) => {
      const [content] = (await client.readResource({ uri })).contents;
      return content !== undefined && 'text' in content ? JSON.parse(content.text) : content;
    };
    expect(await read(`biolayer://tasks/${task_id}`)).toMatchObject({ task_id });
    expect(await read(`biolayer://tasks/${task_id}/history`)).toMatchObject({
      data: [{ type: 'task.created', sequence: 1 }, { type: 'task.queued' }],
    });
    const { data } = await read('biolayer://pools');
    expect(data.map((one: { pool_id: string }) => one.pool_id)).toContain(poolId);
    expect(await read('biolayer://task-types')).toEqual({ data: [] });
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates).toHaveLength(3);
    await expect(client.readResource({ uri: `biolayer://tasks/${randomUUID()}` })).rejects.toThrow(
      /not found/i,
    );
  });

  test('names wrong arguments by JSON pointer, whether the tool or the API finds them', async () => {
    const args = pooledRequest(poolId);
    const wrong = await call('request_human', { ...args, title: '', sla: { urgency: 'soon' }, more: 1 });
    expect(wrong.isError).toBe(true);
    expect(wrong.text).toContain('/title: ');
    expect(wrong.text).toContain('/sla/urgency: must be one of low, normal, high, critical');
    expect(wrong.text).toContain('/more: is not a known argument');
    const missing = await call('request_human', { title: 'x' });
    expect(missing.text).toContain('/idempotency_key: is required');
    const refused = await call('request_human', {
      ...args,
      output: { expected_format: 'structured_json', schema: { seen: 'colour' } },
      requirements: {
        worker_pool_id: 'no_such_pool',
        worker_ids: ['nobody'],
        excluded_tasks: [randomUUID()],
      },
    });
    expect(refused).toMatchObject({ isError: true, value: { error: { code: 'validation_failed' } } });
    expect(refused.text).toContain('/output/schema/seen');
    expect(refused.text).toContain('/requirements/worker_pool_id');
    expect(refused.text).toContain('/requirements/worker_ids/0');
    expect(refused.text).toContain('/requirements/excluded_tasks/0');
    for (const { text } of [wrong, missing, refused]) expect(text).not.toMatch(/at .*\.[tj]s:|node_modules/);
  });
});
