// The verbs `sessions` and `sign-out`, which workers and members have in common.

import type { BioLayer } from '@biolayer/sdk';
import type { Command } from 'commander';
import { showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

/** Columns of a list of sessions. */
const FIELDS = ['session_id', 'signed_in_with', 'created_at', 'expires_at', 'user_agent'];

/**
 * Adds `sessions` and `sign-out` to a noun.
 * @param who singular of the noun; its ids are called `<who>_id`. @param stays what signing out does not end.
 */
export function addSessionCommands(
  noun: Command,
  who: 'worker' | 'member',
  stays: string,
  streams: Streams,
): void {
  const argument = `<${who}_id>`;
  const resource = (api: BioLayer) => (who === 'worker' ? api.workers : api.members);
  noun
    .command('sessions')
    .description(`list the browsers in which a ${who} is signed in`)
    .argument(argument)
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showPage(out, await resource(api).listSessions(id), FIELDS);
    });
  noun
    .command('sign-out')
    .description(`sign a ${who} out everywhere; ${stays} stay`)
    .argument(argument)
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      await resource(api).endSessions(id);
      out.answer({ [`${who}_id`]: id, signed_out: true }, () => out.line(`Signed out ${id}.`));
    });
}
