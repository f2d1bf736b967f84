// `biolayer mcp`: the same tools over stdio, in a process of their own.
import { fileURLToPath } from 'node:url';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, test } from 'vitest';
import { createPool, startApiOfFile } from '../support/api.ts';
import { runCommand } from '../support/cli.ts';
import { createTestWorker, OUTPUT } from '../support/workers.ts';
import { callTool, newClient, pooledRequest, VERSIONS } from './support.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { api, client: keys } = await startApiOfFile({ processors: true });

function serverProcess(env: Record<string, string>) {
  return new StdioClientTransport({
    command: process.execPath,
    args: ['bin/biolayer.js', 'mcp'],
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', BIOLAYER_URL: api.url, ...env },
    stderr: 'pipe',
  });
}

test.each(VERSIONS)('serves the tools over stdio, protocol %s', async (version) => {
  const poolId = await createPool(keys);
  const worker = await createTestWorker(api, keys, { pool_ids: [poolId] });
  const client = newClient(version);
  const transport = serverProcess({ BIOLAYER_API_KEY: keys.credential ?? '' });
  await client.connect(transport);
  expect((await client.listTools()).tools).toHaveLength(8);
  const { idempotency_key: _, ...request } = pooledRequest(poolId);
  expect((await callTool(client, 'preview_match', request)).value).toMatchObject({ reason: 'eligible' });
  const asked = await callTool(client, 'request_human', { ...pooledRequest(poolId), wait_seconds: 0 });
  const taskId = String(asked.value.task_id);
  const messages: unknown[] = [];
  const waiting = callTool(
    client,
    'wait_for_task',
    { task_id: taskId },
    { onprogress: ({ message }) => messages.push(message) },
  );
  await worker.accept(taskId);
  await worker.start(taskId);
  await worker.client.post(`/v1/worker/tasks/${taskId}/messages`, { text: 'Which?', question: true });
  expect((await waiting).value).toMatchObject({ open_question: { text: 'Which?' } });
  const answer = await callTool(client, 'answer_question', { task_id: taskId, text: 'The second.' });
  expect(answer.isError).toBe(false);
  await worker.submit(taskId);
  const end = await callTool(client, 'wait_for_task', { task_id: taskId });
  expect(end.value).toMatchObject({ status: 'completed', result: { output: OUTPUT } });
  expect(messages.length).toBeGreaterThan(0);
  expect((await callTool(client, 'get_task', { task_id: taskId })).isError).toBe(false);
  expect((await callTool(client, 'list_tasks', {})).value).toMatchObject({ data: expect.any(Array) });
  expect((await client.readResource({ uri: 'biolayer://pools' })).contents).toHaveLength(1);
  const review = { task_id: taskId, version: 1, decision: 'approve' };
  expect(await callTool(client, 'review_task', review)).toMatchObject({ isError: true });
  const other = await callTool(client, 'request_human', { ...pooledRequest(poolId), wait_seconds: 0 });
  const cancelled = await callTool(client, 'cancel_task', { task_id: other.value.task_id });
  expect(cancelled.value).toMatchObject({ status: 'cancelled' });
  const wrong = await callTool(client, 'cancel_task', { task_id: 'x' });
  expect(wrong.text).toContain('/task_id: ');
  await client.close();
});

test('a wrong key makes each tool fail with the reason', async () => {
  const client = newClient('2026-07-28');
  await client.connect(serverProcess({ BIOLAYER_API_KEY: 'blk_live_wrong' }));
  expect(await callTool(client, 'list_tasks', {})).toMatchObject({
    isError: true,
    value: { error: { code: 'invalid_credential', status: 401 } },
  });
  await client.close();
});

test('does not start without a key', async () => {
  expect(await runCommand(['mcp'], { env: {} })).toMatchObject({
    code: 2,
    stdout: '',
    stderr: 'No API key: set BIOLAYER_API_KEY, or pass a file with --api-key-file.\n',
  });
});
