// `biolayer doctor`: what is not in order with a deployment, for the operator.

import type { Command } from 'commander';
import { CheckFailed } from './faults.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer doctor`. */
export function addDoctorCommand(program: Command, streams: Streams): void {
  program
    .command('doctor')
    .description('check a deployment and say what to do, for the operator')
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const found = await api.admin.diagnose();
      out.answer(found, () => {
        for (const { name, status, detail, remedy } of found.checks) {
          out.line(`${status.padEnd(8)} ${name.padEnd(13)} ${detail}`);
          if (remedy !== null) out.line(`${' '.repeat(23)}${remedy}`);
        }
      });
      const faults = found.checks.filter(({ status }) => status === 'fault').map(({ name }) => name);
      if (faults.length > 0) throw new CheckFailed(`At fault: ${faults.join(', ')}.`);
    });
}
