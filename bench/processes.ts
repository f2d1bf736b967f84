// What the system says of a process: its CPU time, its memory and whether it is running (proc(5)).

import { readdir, readFile } from 'node:fs/promises';

/** CPU time that all threads of a process have used, microseconds; null without /proc. */
export async function cpuMicroseconds(pid: number): Promise<number | null> {
  const all = await ofThreads(pid, 'schedstat', (text) => Number(text.split(' ')[0]));
  return all === null ? null : all.reduce((sum, one) => sum + one, 0) / 1000;
}

/** Whether a thread of a process runs or waits for a processor; false without /proc. */
export async function isRunning(pid: number): Promise<boolean> {
  // The state follows the name, which may contain parentheses.
  const states = await ofThreads(pid, 'stat', (text) => text.at(text.lastIndexOf(')') + 2));
  return states?.includes('R') ?? false;
}

/** Resident memory of a process, MB of 2^20 bytes. */
export async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Reads a file of each thread; null without /proc. */
async function ofThreads<T>(pid: number, file: string, parse: (text: string) => T): Promise<T[] | null> {
  try {
    const found: T[] = [];
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      // A thread may end meanwhile.
      const text = await readFile(`/proc/${pid}/task/${thread}/${file}`, 'utf8').catch(() => null);
      if (text !== null) found.push(parse(text));
    }
    return found;
  } catch {
    return null;
  }
}
