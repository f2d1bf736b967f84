// The verb `remove`, which several nouns have in common.

import type { BioLayer } from '@biolayer/sdk';
import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';

/** Adds `remove <id>` to a noun. @param idName name of the id, such as `member_id`. */
export function addRemoveCommand(
  noun: Command,
  idName: string,
  description: string,
  remove: (api: BioLayer, id: string) => Promise<unknown>,
  streams: Streams,
): void {
  noun
    .command('remove')
    .description(description)
    .argument(`<${idName}>`)
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      await remove(api, id);
      out.answer({ [idName]: id, removed: true }, () => out.line(`Removed ${id}.`));
    });
}
