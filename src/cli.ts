// The `biolayer` command: an HTTP client of the API for the shell. It shares no code with the server but
// the form of an event and the check of its hash chain, so what it can do, any client can.

import { runCli } from './cli/program.ts';

// Whoever reads our output may stop early, as in `biolayer tasks list | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
});
