// The `biolayer` command: a client of the API for the shell, with the SDK. The only code that it shares with the server is
// the form of events and the check of their hash chain, so any other client can do the same.

import { runCli } from './cli/program.ts';

// The reader of stdout may close it early, as in `biolayer tasks list | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
});
