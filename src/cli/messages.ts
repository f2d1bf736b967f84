// `biolayer messages`: the conversation between the requester of a task and its worker.

import type { BioLayer } from '@biolayer/sdk';
import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, givenOnly, type PageFlags, pageQuery } from './flags.ts';
import type { Output } from './output.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

/** Adds `biolayer messages`. */
export function addMessageCommands(program: Command, streams: Streams): void {
  const messages = program.command('messages').description('messages between requester and worker');
  addPageFlags(messages.command('list'))
    .description('list the messages of a task, oldest first')
    .argument('<task_id>')
    .action(async (taskId: string, flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showMessages(out, await api.tasks.listMessages(taskId, pageQuery(flags)));
    });
  messages
    .command('send')
    .description('write to the worker of a task')
    .argument('<task_id>')
    .argument('<text>')
    .option('--question', 'it waits for an answer')
    .action(async (taskId: string, text: string, { question }: { question?: true }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const message = await api.tasks.sendMessage(taskId, givenOnly({ text, question }));
      out.answer(message, () => showMessage(out, message));
    });
  messages
    .command('answer')
    .description('answer the open question of a task')
    .argument('<task_id>')
    .argument('<text>')
    .option('--question-id <message_id>', 'default: the question that is open now')
    .action(async (taskId: string, text: string, flags: { questionId?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const answers = flags.questionId ?? (await openQuestion(api, taskId));
      const message = await api.tasks.sendMessage(taskId, { text, answers });
      out.answer(message, () => showMessage(out, message));
    });
}

/** Id of the task's open question. @throws UsageError when it has none */
async function openQuestion(api: BioLayer, taskId: string): Promise<string> {
  const { open_question } = await api.tasks.get(taskId);
  if (open_question === null) throw new UsageError('The task has no open question.');
  return open_question.message_id;
}

/** Answers with a page of messages. */
export function showMessages(out: Output, page: unknown): void {
  out.answer(page, () => {
    for (const message of listAt(page, 'data')) showMessage(out, message);
    if (listAt(page, 'data').length === 0) out.note('No entries.');
    const next = textAt(page, 'next_cursor');
    if (next !== '') out.note(`More entries: --cursor ${next}`);
  });
}

/** Prints a message: a line about it, then its text, indented. */
export function showMessage(out: Output, message: unknown): void {
  const isQuestion = at(message, 'question') === true;
  const kind = isQuestion ? 'question' : textAt(message, 'answers') === '' ? 'message' : 'answer';
  const author = `${textAt(message, 'author', 'kind')} ${textAt(message, 'author', 'id')}`;
  out.line(`${textAt(message, 'sent_at')}  ${kind}  ${author}  ${textAt(message, 'message_id')}`);
  for (const line of textAt(message, 'text').split('\n')) out.line(`  ${line}`);
}
