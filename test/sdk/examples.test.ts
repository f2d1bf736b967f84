// The examples against the real server: what they print and return when a worker answers.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BioLayer } from '@biolayer/sdk';
import { expect, test } from 'vitest';
import { askAPerson, askAPersonNode } from '../../examples/agent-tool.ts';
import { startApiOfFile } from '../support/api.ts';
import { createTestWorker } from '../support/workers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { api, org } = await startApiOfFile({ processors: true });
const apiKey = org.client.credential ?? '';
const client = new BioLayer({ apiKey, baseUrl: api.url });
const worker = await createTestWorker(api, org.client, { unpooled_tasks: true, capacity: 5 });

/** The id of the task with this request id, once it exists. */
async function taskOf(requestId: string): Promise<string> {
  const list = async () => (await client.tasks.list({ request_id: [requestId] })).data;
  await expect.poll(async () => (await list()).length, { timeout: 20_000 }).toBe(1);
  return (await list())[0]?.task_id ?? '';
}

async function answer(requestId: string, output: object): Promise<void> {
  const taskId = await taskOf(requestId);
  await worker.accept(taskId);
  await worker.start(taskId);
  await worker.submit(taskId, output);
}

test('ask-a-person.ts prints what the person found out', async () => {
  const env = { ...process.env, BIOLAYER_URL: api.url, BIOLAYER_API_KEY: apiKey };
  const command = ['--import', 'tsx', '--conditions', 'biolayer-source', 'examples/ask-a-person.ts'];
  const ran = promisify(execFile)(process.execPath, command, { cwd: ROOT, env });
  await answer('ask-a-person', { open: true });
  expect(await ran).toMatchObject({ stdout: 'It is open.\n', stderr: '' });
}, 60_000);

test('the tool and the node of an agent return the answer, also to an agent that starts again', async () => {
  const toolCallId = randomUUID();
  const { execute } = askAPerson(client);
  const first = execute({ question: 'What is on the sign?' }, { toolCallId });
  await answer(toolCallId, { answer: 'No entry' });
  expect(await first).toEqual({ answer: 'No entry' });
  expect(await execute({ question: 'What is on the sign?' }, { toolCallId })).toEqual({ answer: 'No entry' });

  const threadId = randomUUID();
  const node = askAPersonNode(client)({ threadId, question: 'And below?' });
  await client.tasks.cancel(await taskOf(threadId));
  expect(await node).toEqual({ answer: { error: expect.stringContaining('is cancelled') } });
});
