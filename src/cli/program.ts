// Assembles the `biolayer` command. Each noun has its own file with its verbs and flags.

import { createRequire } from 'node:module';
import addCompletion from '@bomb.sh/tab/commander';
import { Command } from 'commander';
import { addAuditCommands } from './audit.ts';
import { addBulkActionCommands } from './bulk-actions.ts';
import { addClientCommands } from './clients.ts';
import { addClockCommands } from './clock.ts';
import { addDeadEntryCommands } from './dead-entries.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEventCommands } from './events.ts';
import { EXIT, type ExitCode, explain } from './faults.ts';
import { addIssuerCommands } from './issuers.ts';
import { addKeyCommands } from './keys.ts';
import { addMcpCommand } from './mcp.ts';
import { addMemberCommands } from './members.ts';
import { addMessageCommands } from './messages.ts';
import { addOrgCommands } from './orgs.ts';
import { addPoolCommands } from './pools.ts';
import { addReviewCommands } from './reviews.ts';
import { addSecretCommands } from './secrets.ts';
import { addGlobalFlags, type Streams } from './session.ts';
import { addSimulateCommand } from './simulate.ts';
import { addStatsCommands } from './stats.ts';
import { addTaskTypeCommands } from './task-types.ts';
import { addTaskCommands } from './tasks.ts';
import { addWebhookCommands } from './webhooks.ts';
import { addOwnTaskCommands } from './worker.ts';
import { addWorkerCommands } from './workers.ts';

const { version } = createRequire(import.meta.url)('#package') as { version: string };

const MORE = `
Environment:
  BIOLAYER_URL      base URL of the API (default: http://127.0.0.1:3000)
  BIOLAYER_API_KEY  an API key of the org, blk_…
  OPERATOR_TOKEN    the operator's token, for orgs, secrets, the clock and the doctor

Exit codes:
  0  done
  1  the API refused the request; stderr says why
  2  wrong command line, environment or file
  3  the API could not be reached
  4  audit verify: the history or export is not valid; doctor: something is at fault;
     simulate: an invariant is broken
`;

/**
 * Runs one command line.
 * @param args the arguments after the name of the command.
 * @returns the exit code. @throws any error that is a bug of the command itself.
 */
export async function runCli(args: readonly string[], streams: Streams): Promise<ExitCode> {
  const program = new Command('biolayer')
    .description('Hand work to people from the shell.')
    .version(version, '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .addHelpText('after', MORE);
  addGlobalFlags(program);
  addTaskCommands(program, streams);
  addBulkActionCommands(program, streams);
  addReviewCommands(program, streams);
  addStatsCommands(program, streams);
  addMessageCommands(program, streams);
  addEventCommands(program, streams);
  addTaskTypeCommands(program, streams);
  addWorkerCommands(program, streams);
  addOwnTaskCommands(program, streams);
  addPoolCommands(program, streams);
  addKeyCommands(program, streams);
  addClientCommands(program, streams);
  addMemberCommands(program, streams);
  addIssuerCommands(program, streams);
  addWebhookCommands(program, streams);
  addOrgCommands(program, streams);
  addSecretCommands(program, streams);
  addClockCommands(program, streams);
  addDoctorCommand(program, streams);
  addAuditCommands(program, streams);
  addDeadEntryCommands(program, streams);
  addSimulateCommand(program, streams);
  addMcpCommand(program, streams, version);
  addCompletion(program, { completionCommandName: 'completion' });
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    const { code, lines } = explain(error);
    for (const line of lines) streams.stderr.write(`${line}\n`);
    return code;
  }
}
