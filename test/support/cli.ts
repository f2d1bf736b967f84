// Runs the `biolayer` command in the process of the test, over HTTP, and captures its output.
import { expect } from 'vitest';
import { runCli } from '../../src/cli/program.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Settings {
  /** Content of stdin; without it stdin is a terminal. */
  stdin?: string;
  /** The whole environment. */
  env?: Record<string, string | undefined>;
  /** Width of stdout; without it stdout is not a terminal. */
  columns?: number;
}

/** Starts a command line. @returns its output so far, and a promise of its result. */
export function startCli(
  args: readonly string[],
  settings: Settings,
): { ran: CommandResult; done: Promise<CommandResult> } {
  const { stdin, env = {}, columns } = settings;
  const ran: CommandResult = { code: -1, stdout: '', stderr: '' };
  const input = (async function* () {
    yield stdin ?? '';
  })();
  const stdout = {
    columns,
    write(text: string) {
      ran.stdout += text;
    },
  };
  const stderr = {
    write(text: string) {
      ran.stderr += text;
    },
  };
  const streams = { stdin: Object.assign(input, { isTTY: stdin === undefined }), stdout, stderr, env };
  const done = runCli(args, streams).then((code) => Object.assign(ran, { code }));
  return { ran, done };
}

/** Runs a command line to its end. */
export function runCommand(args: readonly string[], settings: Settings): Promise<CommandResult> {
  return startCli(args, settings).done;
}

/** Runs a command with `--json`, expects that it succeeds, and returns its JSON document. */
export async function jsonOf<T = Record<string, unknown>>(
  args: readonly string[],
  settings: Settings,
): Promise<T> {
  const ran = await runCommand([...args, '--json'], settings);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout) as T;
}
