// The grammar of the command: nouns, verbs, flags, help. What each verb does stands in the noun's own file.

import { Command } from 'commander';
import { addAuditCommands } from './audit.ts';
import { addClientCommands } from './clients.ts';
import { addClockCommands } from './clock.ts';
import { addDeadEntryCommands } from './dead-entries.ts';
import { EXIT, type ExitCode, explain } from './faults.ts';
import { addIssuerCommands } from './issuers.ts';
import { addKeyCommands } from './keys.ts';
import { addMemberCommands } from './members.ts';
import { addOrgCommands } from './orgs.ts';
import { addPoolCommands } from './pools.ts';
import { addSecretCommands } from './secrets.ts';
import { addGlobalFlags, type Streams } from './session.ts';
import { addTaskCommands } from './tasks.ts';
import { addWebhookCommands } from './webhooks.ts';
import { addWorkerCommands } from './workers.ts';

const MORE = `
Environment:
  BIOLAYER_URL      base URL of the API (default: http://127.0.0.1:3000)
  BIOLAYER_API_KEY  an API key of the org, blk_…
  OPERATOR_TOKEN    the operator's token, for orgs, secrets and the clock

Exit codes:
  0  done
  1  the API refused; stderr says why
  2  the command line, its environment or a file is wrong
  3  the API was not reached
  4  audit verify: the history does not hold
`;

/**
 * Runs one command line.
 * @param args without the names of node and script.
 * @returns the exit code. @throws what is a fault of ours.
 */
export async function runCli(args: readonly string[], streams: Streams): Promise<ExitCode> {
  const program = new Command('biolayer')
    .description('Hand work to people, from the shell.')
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
  addWorkerCommands(program, streams);
  addPoolCommands(program, streams);
  addKeyCommands(program, streams);
  addClientCommands(program, streams);
  addMemberCommands(program, streams);
  addIssuerCommands(program, streams);
  addWebhookCommands(program, streams);
  addOrgCommands(program, streams);
  addSecretCommands(program, streams);
  addClockCommands(program, streams);
  addAuditCommands(program, streams);
  addDeadEntryCommands(program, streams);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    const { code, lines } = explain(error);
    for (const line of lines) streams.stderr.write(`${line}\n`);
    return code;
  }
}
