// `biolayer secrets`: secrets sealed with SECRETS_KEY, for the operator.

import type { ResealSecretsResponse } from '@biolayer/sdk';
import type { Command } from 'commander';
import { givenOnly } from './flags.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer secrets`. */
export function addSecretCommands(program: Command, streams: Streams): void {
  const secrets = program.command('secrets').description('secrets sealed with SECRETS_KEY, for the operator');
  secrets
    .command('reseal')
    .description('reseal all secrets with SECRETS_KEY; SECRETS_KEY_PREVIOUS can be removed afterwards')
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      let [resealed, lost] = [0, 0];
      let lostItems: ResealSecretsResponse['lost_items'] = [];
      // Repeated until a pass finds nothing: a task may be written back with secrets it was read with before the reseal.
      for (let found = 1; found > 0; resealed += found) {
        found = 0;
        lost = 0;
        lostItems = [];
        for (let cursor: string | null | undefined; cursor !== null; ) {
          const step = await api.admin.resealSecrets(givenOnly({ cursor }));
          found += step.resealed;
          lost += step.lost;
          lostItems.push(...step.lost_items);
          cursor = step.next_cursor;
        }
      }
      const done = { resealed, lost };
      const answer = lost === 0 ? done : { ...done, lost_items: lostItems };
      out.answer(answer, () => {
        out.record(done, ['resealed', 'lost']);
        if (lost > 0) out.table(lostItems, ['kind', 'org_id', 'mode', 'id', 'key_id']);
      });
    });
}
