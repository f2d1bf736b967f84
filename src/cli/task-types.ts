// `biolayer task-types`: versioned defaults of tasks.

import type { Command } from 'commander';
import { addPageFlags, asNumber, type PageFlags, pageQuery, showPage } from './flags.ts';
import { readJson } from './json.ts';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['name', 'version', 'domain', 'title', 'sla.urgency', 'created_at', 'created_by'];

/** Adds `biolayer task-types`. */
export function addTaskTypeCommands(program: Command, streams: Streams): void {
  const types = program.command('task-types').description('versioned defaults of tasks');
  addPageFlags(types.command('list'))
    .description('list task types with their newest versions')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.taskTypes.list(pageQuery(flags));
      showPage(out, page, FIELDS);
    });
  types
    .command('get')
    .description('show a task type')
    .argument('<name>')
    .option('--number <n>', 'a version (default: the newest)', asNumber)
    .action(async (name: string, flags: { number?: number }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { number } = flags;
      const type = await (number === undefined
        ? api.taskTypes.get(name)
        : api.taskTypes.getVersion(name, String(number)));
      out.answer(type, () => out.record(type, FIELDS));
    });
  types
    .command('put')
    .description('register a task type, or give it its next version, from JSON')
    .argument('<name>')
    .option('--file <file>', 'file with the JSON (default: stdin)')
    .action(async (name: string, flags: { file?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const type = await api.taskTypes.save(name, await readJson(flags.file, streams));
      out.answer(type, () => out.record(type, FIELDS));
    });
  types
    .command('delete')
    .description('retire a task type: its name is free text again')
    .argument('<name>')
    .action(async (name: string, _flags: object, command: Command) => {
      const { api, out } = await openSession(command, streams);
      await api.taskTypes.retire(name);
      out.answer({ name, retired: true }, () => out.line(`${name} is retired`));
    });
  addPageFlags(types.command('versions'))
    .description('list the versions of a task type')
    .argument('<name>')
    .action(async (name: string, flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.taskTypes.listVersions(name, pageQuery(flags));
      showPage(out, page, FIELDS);
    });
}
