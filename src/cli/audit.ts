// `biolayer audit`: proof that a history is whole, made here and not by the server that keeps it.

import type { Command } from 'commander';
import { firstBroken } from '../state/history.ts';
import { BrokenHistory } from './faults.ts';
import { historyAfter } from './history.ts';
import { openSession, type Streams } from './session.ts';

export function addAuditCommands(program: Command, streams: Streams): void {
  const audit = program.command('audit').description('the histories of tasks');
  audit
    .command('verify')
    .description("recompute the hash chain of a task's history")
    .argument('<task_id>')
    .action(async (taskId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const entries = await historyAfter(api, taskId, 0);
      const broken = firstBroken(entries);
      const head = entries.at(-1)?.hash ?? null;
      const finding = {
        task_id: taskId,
        valid: broken === null,
        entries: entries.length,
        head,
        first_broken: broken,
      };
      out.answer(finding, () => out.record(finding, Object.keys(finding)));
      if (broken !== null) throw new BrokenHistory(`The history does not hold from entry ${broken} on.`);
    });
}
