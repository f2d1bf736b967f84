// A person as a tool of an agent. `askAPerson` has the shape of a tool of the Vercel AI SDK:
//
//   tools: { askAPerson: tool({ ...askAPerson(client), inputSchema: jsonSchema(INPUT_SCHEMA) }) }
//
// `askAPersonNode` is a node of a LangGraph graph: it takes the state and returns what changes.

import { type BioLayer, TaskNotCompletedError } from '@biolayer/sdk';

export const INPUT_SCHEMA = {
  type: 'object',
  properties: {
    question: { type: 'string', description: 'What the person is asked, with everything they need to know' },
  },
  required: ['question'],
  additionalProperties: false,
} as const;

/** What an agent learns: the answer, or why there is none. */
export type Answer = { answer: string } | { error: string };

/** A tool that asks a person. Its call has an id, so that a restarted agent waits for the same task. */
export function askAPerson(client: BioLayer) {
  return {
    description: 'Ask a person, who can call, look and judge. The answer takes minutes.',
    inputSchema: INPUT_SCHEMA,
    execute: ({ question }: { question: string }, call: { toolCallId: string; abortSignal?: AbortSignal }) =>
      ask(client, question, call.toolCallId, call.abortSignal),
  };
}

export interface State {
  threadId: string;
  question: string;
  answer?: Answer;
}

/** A node that asks the question of the state. */
export function askAPersonNode(client: BioLayer) {
  return async ({ threadId, question }: State): Promise<Pick<State, 'answer'>> => ({
    answer: await ask(client, question, threadId),
  });
}

async function ask(
  client: BioLayer,
  question: string,
  idempotencyKey: string,
  signal?: AbortSignal,
): Promise<Answer> {
  try {
    const { result } = await client.tasks.createAndWait(
      {
        origin: { product: 'agent', request_id: idempotencyKey },
        task_type: 'question',
        domain: 'general',
        title: 'A question of an agent',
        instructions: question,
        sla: { urgency: 'normal' },
        output: {
          expected_format: 'structured_json',
          schema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
        },
      },
      { idempotencyKey, signal },
    );
    return { answer: result.output.answer };
  } catch (error) {
    // The agent can go on without an answer; anything else is for its caller.
    if (error instanceof TaskNotCompletedError) return { error: error.message };
    throw error;
  }
}
