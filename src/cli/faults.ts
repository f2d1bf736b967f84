// Failures of a command: the exit code for scripts and the message for users.

import { CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { printable } from './output.ts';
import { at } from './value.ts';

/**
 * Exit codes. 0: done. 1: the API refused the request. 2: wrong command line, environment or file. 3: the API could not
 * be reached. 4: `audit verify` found an invalid history.
 */
export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, broken: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The API refused the request. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  /** The problem document (RFC 9457), or another body. */
  readonly problem: unknown;

  constructor(status: number, problem: unknown) {
    super(String(at(problem, 'detail') ?? `HTTP ${status}`));
    this.status = status;
    this.problem = problem;
  }
}

/** The API did not respond, or not in time. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** The command line is wrong, or a file that it names. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A history or an export was changed after it was written. */
export class BrokenHistory extends Error {
  override readonly name = 'BrokenHistory';
}

/** Exit code and lines for stderr of a failure. @throws the error itself when it is not a known failure. */
export function explain(error: unknown): { code: ExitCode; lines: string[] } {
  if (error instanceof Refused) return { code: EXIT.refused, lines: refusal(error) };
  if (error instanceof Unreachable) return { code: EXIT.unreachable, lines: [error.message] };
  if (error instanceof UsageError) return { code: EXIT.usage, lines: [error.message] };
  if (error instanceof BrokenHistory) return { code: EXIT.broken, lines: [error.message] };
  if (error instanceof ConfigError) return { code: EXIT.usage, lines: [...error.faults] };
  // Commander has printed the message already. Requested help also arrives here, with code 0.
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? EXIT.done : EXIT.usage, lines: [] };
  throw error;
}

/** `code: detail`, then a line for each error, then the request id, which the server's log contains. */
function refusal({ status, problem, message }: Refused): string[] {
  const code = at(problem, 'code') ?? `http_${status}`;
  const errors = at(problem, 'errors');
  const listed = Array.isArray(errors) ? errors : [];
  const title = at(problem, 'title');
  const requestId = at(problem, 'request_id');
  return [
    // With listed errors the title is enough, because the detail repeats them.
    `${code}: ${listed.length > 0 && typeof title === 'string' ? title : message}`,
    ...listed.map((one) => `  ${at(one, 'pointer') || '/'}  ${at(one, 'message')}`),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ].map(printable);
}
