// `biolayer worker`: what a worker does besides the work itself, with the worker's token instead of an API key.

import { type Command, Option } from 'commander';
import { REPORT_REASONS } from '../state/tasks/report.ts';
import { addPageFlags, givenOnly, type PageFlags, pageQuery } from './flags.ts';
import { parseJson } from './json.ts';
import { showMessage, showMessages } from './messages.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer worker`. */
export function addOwnTaskCommands(program: Command, streams: Streams): void {
  const worker = program
    .command('worker')
    .description('a worker and their tasks, with the token of the worker');
  addPageFlags(worker.command('messages'))
    .description('list the messages of one of my tasks, oldest first')
    .argument('<task_id>')
    .action(async (taskId: string, flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showMessages(out, await api.worker.listMessages(taskId, pageQuery(flags)));
    });
  worker
    .command('send')
    .description('write to the requester of one of my tasks')
    .argument('<task_id>')
    .argument('<text>')
    .option('--question', 'it waits for an answer')
    .option('--answers <message_id>', 'it answers this open question')
    .action(
      async (
        taskId: string,
        text: string,
        { question, answers }: { question?: true; answers?: string },
        command: Command,
      ) => {
        const { api, out } = await openSession(command, streams);
        const message = await api.worker.sendMessage(taskId, givenOnly({ text, question, answers }));
        out.answer(message, () => showMessage(out, message));
      },
    );
  worker
    .command('draft')
    .description('show my draft of a task, or save it')
    .argument('<task_id>')
    .option('--output <json>', 'save this output')
    .option('--notes <text>', 'save these notes')
    .action(async (taskId: string, flags: { output?: string; notes?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { notes } = flags;
      const output = flags.output === undefined ? undefined : parseJson<unknown>(flags.output, '--output');
      // A save replaces the whole draft.
      if (output !== undefined || notes !== undefined)
        await api.worker.saveDraft(taskId, givenOnly({ output, notes }));
      const draft = await api.worker.getDraft(taskId);
      out.answer(draft, () => out.record(draft, ['version', 'saved_at', 'output', 'notes']));
    });
  worker
    .command('report')
    .description('report a task that nobody should have to do; a reviewer decides on it')
    .argument('<task_id>')
    .addOption(new Option('--reason <reason>', 'what is wrong').choices(REPORT_REASONS).makeOptionMandatory())
    .option('--text <text>', 'the reviewer reads it')
    .action(
      async (
        taskId: string,
        { reason, text }: { reason: (typeof REPORT_REASONS)[number]; text?: string },
        command: Command,
      ) => {
        const { api, out } = await openSession(command, streams);
        await api.worker.reportTask(taskId, givenOnly({ reason, text }));
        out.answer(null, () => out.note('Reported. The task was given to a reviewer.'));
      },
    );
}
