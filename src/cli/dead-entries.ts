// `biolayer dead-entries`: entries and records that could not be processed, for the operator.

import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, givenOnly, type PageFlags, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

const COLUMNS = ['entry_id', 'kind', 'at', 'reason', 'name'];

/** Adds `biolayer dead-entries`. */
export function addDeadEntryCommands(program: Command, streams: Streams): void {
  const entries = program
    .command('dead-entries')
    .description('entries and records that could not be processed, for the operator');
  addPageFlags(entries.command('list'))
    .description('list dead entries with their reasons')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const { limit, cursor } = flags;
      const page = await api.admin.listDeadEntries(givenOnly({ limit, cursor }));
      showPage(out, page, COLUMNS);
    });
  entries
    .command('replay')
    .description('process an entry again; it becomes a dead entry again if that fails')
    .argument('[entry_id]')
    .option('--all', 'all current dead entries')
    .action(async (id: string | undefined, flags: { all?: true }, command: Command) => {
      if ((id === undefined) === (flags.all === undefined))
        throw new UsageError('Pass either an entry id or --all.');
      const { api, out } = await openSession(command, streams, 'operator');
      let replayed = 0;
      if (id !== undefined) {
        await api.admin.replayDeadEntry(id);
        replayed = 1;
      } else
        for (let cursor: string | null | undefined; cursor !== null; ) {
          const step = await api.admin.replayDeadEntries(givenOnly({ cursor }));
          replayed += step.replayed;
          cursor = step.next_cursor;
        }
      const done = { replayed };
      out.answer(done, () => out.record(done, ['replayed']));
    });
  entries
    .command('discard')
    .description('delete an entry for good')
    .argument('<entry_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      await api.admin.discardDeadEntry(id);
      const done = { discarded: id };
      out.answer(done, () => out.record(done, ['discarded']));
    });
}
