// Starts processes of the system as an operator does, each with its children in its own process group.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface RunningProcess {
  readonly process: ChildProcess;
  /** The output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with exit code, signal and all output. */
  readonly ended: Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>;
  /** Resolves with the fields of the log line that says it is ready. */
  readonly ready: Promise<{ url?: string }>;
  /** Whether a process of its group is still running. */
  hasOrphans(): boolean;
}

/**
 * Starts a command in the project's folder; its group is killed at the end of the test.
 * @param atEnd of the file, where it is started for all its tests
 */
export function startProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  atEnd: (end: () => void) => void = onTestFinished,
): RunningProcess {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, detached: true });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`);
  const signalGroup = (signal: NodeJS.Signals | 0) => {
    try {
      return process.kill(-pid, signal);
    } catch {
      return false; // The whole group has ended.
    }
  };
  atEnd(() => void signalGroup('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ready = new Promise<{ url?: string }>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      const line = stdout.split('\n').find((one) => one.includes('"msg":"ready"'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
    child.once('close', () => reject(new Error(`${command} ended: ${stdout}${stderr}`)));
  });
  ready.catch(() => undefined);
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    ready,
    hasOrphans: () => signalGroup(0),
  };
}
