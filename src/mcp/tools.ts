// The tools: what each is for, its arguments and result, and which calls of the API it makes.

import type { CreateTaskBody, Task } from '@biolayer/sdk';
import { type CallToolResult, requireScopes, type ToolAnnotations } from '@modelcontextprotocol/server';
import type { Static, TSchema } from 'typebox';
import { errorResult, evidenceLinks, resultOf } from './results.ts';
import * as schema from './schemas.ts';
import { TOOL_SCOPES } from './scopes.ts';
import { standardSchema } from './standard-schema.ts';
import { stateOf, summaryOf } from './task-state.ts';
import { type WaitContext, waitUntilFinal } from './wait-until-final.ts';

const PAGE = 20;

interface ToolDefinition<Input extends TSchema> {
  name: keyof typeof TOOL_SCOPES;
  title: string;
  description: string;
  input: Input;
  output: TSchema;
  annotations: ToolAnnotations;
  run(args: Static<Input>, context: WaitContext): Promise<CallToolResult>;
}

/** A tool, ready to be registered. */
export type Tool = ReturnType<typeof tool>;

function tool<Input extends TSchema>({ input, output, run, annotations, ...texts }: ToolDefinition<Input>) {
  return {
    ...texts,
    annotations: { openWorldHint: true, ...annotations },
    inputSchema: standardSchema(input),
    outputSchema: standardSchema(output),
    scopeChallenge: requireScopes(...TOOL_SCOPES[texts.name]),
    /** Calls the tool; never throws. @param args already checked */
    async call(args: unknown, context: WaitContext): Promise<CallToolResult> {
      try {
        return await run(args as Static<Input>, context);
      } catch (error) {
        return errorResult(error);
      }
    },
  };
}

const READS = { readOnlyHint: true, idempotentHint: true } as const;
const WRITES = { readOnlyHint: false, destructiveHint: false } as const;

export const TOOLS: readonly Tool[] = [
  tool({
    name: 'request_human',
    title: 'Ask a person',
    description:
      'Hands a task to a qualified person and waits up to 50 seconds for the answer. Use it for what needs human judgement, approval, knowledge of the real world or an action that you cannot take. People take minutes to hours: when the result is not final yet, do something else and call wait_for_task. Costs the time of a person.',
    input: schema.RequestHuman,
    output: schema.TaskState,
    annotations: { ...WRITES, idempotentHint: true },
    async run({ idempotency_key, wait_seconds, ...request }, context) {
      const { client, signal } = context;
      const created = await client.tasks.create(bodyOf(request, idempotency_key), {
        idempotencyKey: idempotency_key,
        signal,
      });
      // The answer to a repeated key is the task as it was when it was created.
      const task = await client.tasks.get(created.task_id, {}, { signal }).catch(() => created);
      return stateResult(await waitUntilFinal(task, wait_seconds ?? schema.LONGEST_WAIT, context));
    },
  }),
  tool({
    name: 'wait_for_task',
    title: 'Wait for a task',
    description:
      'Waits up to 50 seconds until a task is over, or its worker asks a question or hands in something to review. Call it again while is_final is false.',
    input: schema.WaitForTask,
    output: schema.TaskState,
    annotations: READS,
    async run({ task_id, wait_seconds }, context) {
      const { client, signal } = context;
      const task = await client.tasks.get(task_id, {}, { signal });
      return stateResult(await waitUntilFinal(task, wait_seconds ?? schema.LONGEST_WAIT, context));
    },
  }),
  tool({
    name: 'get_task',
    title: 'Read a task',
    description:
      'Returns everything about a task at once: what was asked, who works on it, submission, result, reviews. To wait for the answer use wait_for_task.',
    input: schema.TaskOnly,
    output: schema.WholeTask,
    annotations: READS,
    async run({ task_id }, { client, signal }) {
      const task = await client.tasks.get(task_id, {}, { signal });
      return resultOf(task, evidenceLinks(task));
    },
  }),
  tool({
    name: 'list_tasks',
    title: 'Find tasks',
    description:
      'Lists tasks, newest first, with one line each. Use it to find a task whose id you do not know, or those that wait for you (has_open_question, in_review).',
    input: schema.ListTasks,
    output: schema.TaskPage,
    annotations: READS,
    async run({ limit = PAGE, ...filters }, { client, signal }) {
      const page = await client.tasks.list({ limit, ...filters }, { signal });
      const { has_more, next_cursor } = page;
      return resultOf({ data: page.data.map(summaryOf), has_more, next_cursor });
    },
  }),
  tool({
    name: 'cancel_task',
    title: 'Cancel a task',
    description:
      'Ends a task whose answer is no longer needed; its worker is told. Not possible after the submission. Cannot be undone.',
    input: schema.CancelTask,
    output: schema.TaskState,
    annotations: { ...WRITES, destructiveHint: true },
    async run({ task_id, ...body }, { client, signal }) {
      return stateResult(await client.tasks.cancel(task_id, body, { signal }));
    },
  }),
  tool({
    name: 'answer_question',
    title: 'Answer a question',
    description:
      'Answers the question that the worker of a task has asked (open_question), so that they can go on. The first answer counts.',
    input: schema.AnswerQuestion,
    output: schema.Answered,
    annotations: WRITES,
    async run({ task_id, text, message_id }, { client, signal }) {
      const answers =
        message_id ?? (await client.tasks.get(task_id, {}, { signal })).open_question?.message_id;
      if (answers === undefined) return noQuestion(task_id);
      const message = await client.tasks.sendMessage(task_id, { text, answers }, { signal });
      return resultOf({ ...message, task_id });
    },
  }),
  tool({
    name: 'review_task',
    title: 'Review a submission',
    description:
      'Decides on what a worker has handed in for a task with manual review, or on a task that a worker has reported. Read the submission first, with get_task or wait_for_task.',
    input: schema.ReviewTask,
    output: schema.TaskState,
    annotations: { ...WRITES, destructiveHint: true },
    async run({ task_id, version, ...body }, { client, signal }) {
      const headers = { 'If-Match': `"${version}"` };
      return stateResult(await client.tasks.review(task_id, body, { signal, headers }));
    },
  }),
  tool({
    name: 'preview_match',
    title: 'Check who could do a task',
    description:
      'Tells how many people could do a task now, which requirement rules out how many, and the estimated wait. Creates nothing. Use it before request_human when the requirements are unusual.',
    input: schema.PreviewMatch,
    output: schema.Match,
    annotations: READS,
    async run(request, { client, signal }) {
      return resultOf(await client.tasks.previewMatch(bodyOf(request, 'preview'), { signal }));
    },
  }),
];

/** The body of a new task. What is left out comes from the task type, or the API names it. */
function bodyOf(
  { origin, ...request }: Static<typeof schema.PreviewMatch>,
  requestId: string,
): CreateTaskBody {
  return {
    ...request,
    origin: { ...(origin ?? { product: 'mcp', request_id: requestId }), created_by: 'agent' },
  } as CreateTaskBody;
}

function stateResult(task: Task): CallToolResult {
  return resultOf(stateOf(task, Date.now()), evidenceLinks(task));
}

function noQuestion(taskId: string): CallToolResult {
  const detail = `Task ${taskId} has no open question.`;
  return {
    isError: true,
    content: [{ type: 'text', text: JSON.stringify({ error: { code: 'question_not_open', detail } }) }],
  };
}
