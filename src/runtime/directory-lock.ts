/**
 * Locks a data directory for one owner, because two Redis servers on one AOF destroy it. A lock is a file `lock-*` that
 * names the owner and the server it started.
 *
 * A process writes its own file first and then reads the others, so of two simultaneous starts at least one sees the
 * other and withdraws. No process takes over another's file, so there is no race for a stale one; the next start
 * deletes it.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface ProcessIdentity {
  readonly pid: number;
  /** Start time of the process, '' where unknown: a pid alone may be reused, for instance after a reboot. */
  readonly began: string;
}

interface LockFile {
  readonly owner: ProcessIdentity;
  /** The server that the owner runs on the directory. */
  readonly server?: ProcessIdentity;
}

/** A lock held by this process. */
export interface DirectoryLock {
  /**
   * Adds the server to the lock, which is then held while owner or server is alive. Synchronous, so that it can run in
   * the same tick as the spawn: a killed owner never leaves behind a server that the lock does not name.
   */
  addServer(pid: number): void;
  /** Deletes the lock file. */
  release(): Promise<void>;
}

/** Thrown when another process holds the directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError';
}

/**
 * Locks a directory for this process. Locks of dead processes are ignored.
 * @param dir must exist.
 * @param waitMs how long to wait, ms, for a server that outlives its owner and for another process that starts.
 * @throws DirectoryInUseError at once when an owner runs a server on it, else after `waitMs`.
 */
export async function lockDirectory(dir: string, waitMs = 10_000): Promise<DirectoryLock> {
  const path = join(dir, `lock-${process.pid}-${randomUUID()}`);
  const owner = identify(process.pid);
  const deadline = performance.now() + waitMs;
  for (;;) {
    write(path, { owner });
    const others = await livingLocks(dir, path);
    if (others.length === 0) break;

    await rm(path, { force: true });
    const running = others.find((other) => other.server && isAlive(other.owner));
    if (running) {
      throw new DirectoryInUseError(
        `${dir} is in use by another BioLayer (process ${running.owner.pid}). ` +
          'Stop it first, or set another DATA_DIR.',
      );
    }
    if (performance.now() > deadline) {
      const pids = others.map(({ owner, server }) => server?.pid ?? owner.pid);
      throw new DirectoryInUseError(
        `${dir} is still held by process ${pids.join(', ')} of an earlier start.`,
      );
    }
    await sleep(25 + Math.random() * 100);
  }
  return {
    addServer: (pid) => write(path, { owner, server: identify(pid) }),
    release: () => rm(path, { force: true }),
  };
}

/** The locks of living processes, except `own`. Deletes those of dead processes and those that are not readable. */
async function livingLocks(dir: string, own: string): Promise<LockFile[]> {
  const living: LockFile[] = [];
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    if (!name.startsWith('lock-') || path === own) continue;
    const text = await ifExists(readFile(path, 'utf8'));
    if (text === undefined) continue;
    const lock = parse(text);
    if (lock && (isAlive(lock.owner) || (lock.server && isAlive(lock.server)))) living.push(lock);
    else await rm(path, { force: true });
  }
  return living;
}

async function ifExists<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Writes by renaming, so that a reader never sees a partial file. */
function write(path: string, lock: LockFile): void {
  const temporary = join(path, '..', `.temporary-${randomUUID()}`);
  writeFileSync(temporary, JSON.stringify(lock), { mode: 0o600 });
  renameSync(temporary, path);
}

function parse(text: string): LockFile | undefined {
  try {
    const lock: LockFile = JSON.parse(text);
    return typeof lock.owner.pid === 'number' ? lock : undefined;
  } catch {
    return undefined;
  }
}

function identify(pid: number): ProcessIdentity {
  return { pid, began: startOf(pid) ?? '' };
}

function isAlive({ pid, began }: ProcessIdentity): boolean {
  return startOf(pid) === began;
}

/** Start time of a process as the system reports it; '' when it is not known, undefined when no such process runs. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    return state === 'Z' ? undefined : fields[19];
  } catch {
    return isSignalable(pid) ? '' : undefined;
  }
}

function isSignalable(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
