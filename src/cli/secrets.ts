// `biolayer secrets`: for the operator.

import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

export function addSecretCommands(program: Command, streams: Streams): void {
  const secrets = program
    .command('secrets')
    .description('what is sealed under SECRETS_KEY, for the operator');
  secrets
    .command('reseal')
    .description('seal with SECRETS_KEY what SECRETS_KEY_PREVIOUS sealed, so that it is needed no more')
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      let [resealed, lost] = [0, 0];
      let lostItems: unknown[] = [];
      // Once more after a walk that found something: a task may have been written just then as it was read before.
      for (let found = 1; found > 0; resealed += found) {
        found = 0;
        lost = 0;
        lostItems = [];
        for (let body = {}; ; ) {
          const step = await api.send('POST', '/admin/secrets/reseal', { body });
          found += Number(at(step, 'resealed'));
          lost += Number(at(step, 'lost'));
          lostItems.push(...listAt(step, 'lost_items'));
          if (at(step, 'next_cursor') === null) break;
          body = { cursor: textAt(step, 'next_cursor') };
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
