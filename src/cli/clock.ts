// `biolayer clock`: Redis' clock, for the operator.

import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['now', 'held', 'jump'];

/** Adds `biolayer clock`. */
export function addClockCommands(program: Command, streams: Streams): void {
  const clock = program.command('clock').description("Redis' clock, for the operator");
  clock
    .command('show')
    .description("show the time that all processes use, and whether Redis' clock has jumped")
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const shown = await api.admin.getClock();
      out.answer(shown, () => out.record(shown, FIELDS));
    });
  clock
    .command('confirm')
    .description(
      "confirm the time of Redis' clock after a jump; processes then use it and act on everything that is due",
    )
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const shown = await api.admin.confirmClock();
      out.answer(shown, () => out.record(shown, FIELDS));
    });
}
