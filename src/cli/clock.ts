// `biolayer clock`: for the operator.

import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['now', 'held', 'jump'];

export function addClockCommands(program: Command, streams: Streams): void {
  const clock = program.command('clock').description("Redis' clock, for the operator");
  clock
    .command('show')
    .description("the time that all processes go by, and whether Redis' clock has jumped")
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const shown = await api.send('GET', '/admin/clock');
      out.answer(shown, () => out.record(shown, FIELDS));
    });
  clock
    .command('confirm')
    .description("take the time of Redis' clock after a jump for right: what is due by it ends from now on")
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const shown = await api.send('POST', '/admin/clock/confirm', { body: {} });
      out.answer(shown, () => out.record(shown, FIELDS));
    });
}
