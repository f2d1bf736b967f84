// Failures of a command: the exit code for scripts and the message for users.

import { ApiError, ConnectionError, TimeoutError } from '@biolayer/sdk';
import { CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { printable } from './output.ts';

/**
 * Exit codes. 0: done. 1: the API refused the request. 2: wrong command line, environment or file. 3: the API could not
 * be reached. 4: `audit verify` found an invalid history, `doctor` a fault, or `simulate` a broken invariant.
 */
export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, broken: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line is wrong, or a file that it names. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was checked is not in order: a changed history or export, a deployment at fault, or a broken invariant. */
export class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
}

/** Exit code and lines for stderr of a failure. @throws the error itself when it is not a known failure. */
export function explain(error: unknown): { code: ExitCode; lines: string[] } {
  if (error instanceof ApiError) return { code: EXIT.refused, lines: refusal(error) };
  if (error instanceof ConnectionError || error instanceof TimeoutError)
    return { code: EXIT.unreachable, lines: [unreachable(error)] };
  if (error instanceof UsageError) return { code: EXIT.usage, lines: [error.message] };
  if (error instanceof CheckFailed) return { code: EXIT.broken, lines: [error.message] };
  if (error instanceof ConfigError) return { code: EXIT.usage, lines: [...error.faults] };
  // Commander has printed the message already. Requested help also arrives here, with code 0.
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? EXIT.done : EXIT.usage, lines: [] };
  throw error;
}

/** `code: detail`, then a line for each error, then the request id, which the server's log contains. */
function refusal({ status, code, problem, detail, errors, requestId }: ApiError): string[] {
  return [
    // With listed errors the title is enough, because the detail repeats them.
    `${problem === null ? `http_${status}` : code}: ${(errors.length > 0 && problem?.title) || detail}`,
    ...errors.map(({ pointer, message }) => `  ${pointer || '/'}  ${message}`),
    ...(requestId === null ? [] : [`request ${requestId}`]),
  ].map(printable);
}

/** That the API did not respond, and why. */
export function unreachable(error: ConnectionError | TimeoutError): string {
  const reason = error instanceof TimeoutError ? 'no response in time' : error.reason;
  return `${error.origin} could not be reached: ${reason}`;
}
