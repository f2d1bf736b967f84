// What can go wrong with a command, as exit codes and as words. Scripts go by the code, people by the words.

import { CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { printable } from './output.ts';
import { at } from './value.ts';

/**
 * - 0: done. · 1: the API refused. · 2: the command line, its environment or a file it names is wrong.
 * - 3: the API was not reached. · 4: `audit verify` found a history that does not hold.
 */
export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, broken: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The API said no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  /** The problem document (RFC 9457), or whatever else came instead. */
  readonly problem: unknown;

  constructor(status: number, problem: unknown) {
    super(String(at(problem, 'detail') ?? `HTTP ${status}`));
    this.status = status;
    this.problem = problem;
  }
}

/** Nobody answered, or not in time. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** The command cannot be carried out as it was given. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A history was changed after it was written. */
export class BrokenHistory extends Error {
  override readonly name = 'BrokenHistory';
}

/** The exit code for what was thrown, and the lines to say on stderr. Anything unknown is thrown again. */
export function explain(error: unknown): { code: ExitCode; lines: string[] } {
  if (error instanceof Refused) return { code: EXIT.refused, lines: refusal(error) };
  if (error instanceof Unreachable) return { code: EXIT.unreachable, lines: [error.message] };
  if (error instanceof UsageError) return { code: EXIT.usage, lines: [error.message] };
  if (error instanceof BrokenHistory) return { code: EXIT.broken, lines: [error.message] };
  if (error instanceof ConfigError) return { code: EXIT.usage, lines: [...error.faults] };
  // Commander has said it already; help that was asked for is no fault.
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? EXIT.done : EXIT.usage, lines: [] };
  throw error;
}

/** `code: detail`, then a line for each pointer, then how to find the request in the server's log. */
function refusal({ status, problem, message }: Refused): string[] {
  const code = at(problem, 'code') ?? `http_${status}`;
  const errors = at(problem, 'errors');
  const places = Array.isArray(errors) ? errors : [];
  const title = at(problem, 'title');
  const requestId = at(problem, 'request_id');
  return [
    // The detail of a validation repeats its places; the title says it once.
    `${code}: ${places.length > 0 && typeof title === 'string' ? title : message}`,
    ...places.map((one) => `  ${at(one, 'pointer') || '/'}  ${at(one, 'message')}`),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ].map(printable);
}
