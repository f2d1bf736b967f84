// The `biolayer` command as a test runs it: in the test's own process, over real HTTP, with what it prints
// caught. What only a process of its own can show is tested on one.
import { expect } from 'vitest';
import { runCli } from '../../src/cli/program.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Settings {
  /** What stands on stdin; without it stdin is a terminal. */
  stdin?: string;
  /** The whole environment. */
  env?: Record<string, string | undefined>;
  /** Width of the terminal on stdout; none without it. */
  columns?: number;
}

/** Starts a command line. @returns what it printed so far, and its end. */
export function startCli(args: readonly string[], settings: Settings): { ran: Ran; done: Promise<Ran> } {
  const { stdin, env = {}, columns } = settings;
  const ran: Ran = { code: -1, stdout: '', stderr: '' };
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
export function runCommand(args: readonly string[], settings: Settings): Promise<Ran> {
  return startCli(args, settings).done;
}

/** The one JSON document of a command that must succeed. */
export async function jsonOf<T = Record<string, unknown>>(
  args: readonly string[],
  settings: Settings,
): Promise<T> {
  const ran = await runCommand([...args, '--json'], settings);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout) as T;
}
