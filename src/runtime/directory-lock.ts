/**
 * One owner per data directory. Two Redis servers on one AOF destroy it, so whoever starts one holds the
 * directory first, with a `lock-*` file that names the owner and the process it started there.
 *
 * Announce first, look second: of two starts at once, at least one sees the other and withdraws. Nobody
 * takes over another's file, so there is no race for a stale one; whoever comes next sweeps it away.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface ProcessIdentity {
  readonly pid: number;
  /** When the process began, where the system tells: after a reboot a pid alone may be another's. */
  readonly began: string;
}

interface LockFile {
  readonly owner: ProcessIdentity;
  /** What the owner runs on the directory, and where it listens. */
  readonly server?: ProcessIdentity;
  readonly url?: string;
}

export interface DirectoryLock {
  /**
   * Adds the server to the lock, so that it is held while either lives. Synchronous: called in the same
   * tick as the spawn, there is no moment at which the owner's death leaves a server unnamed.
   */
  addServer(pid: number, url: string): void;
  release(): Promise<void>;
}

/** Thrown when another process holds the directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError';
}

/**
 * Takes `dir`, which must exist, for this process. A lock of dead processes does not count; for a server
 * that outlives its owner, or a rival as undecided as we are, it waits up to `patience` milliseconds.
 */
export async function lockDirectory(dir: string, patience = 10_000): Promise<DirectoryLock> {
  const path = join(dir, `lock-${process.pid}-${randomUUID()}`);
  const owner = identify(process.pid);
  const deadline = performance.now() + patience;
  for (;;) {
    write(path, { owner });
    const others = await livingLocks(dir, path);
    if (others.length === 0) break;

    await rm(path, { force: true });
    const running = others.find((other) => other.server && isAlive(other.owner));
    if (running) {
      throw new DirectoryInUseError(
        `${dir} is in use by another BioLayer (process ${running.owner.pid}). ` +
          'Stop that one first, or give this one another DATA_DIR.',
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
    addServer: (pid, url) => write(path, { owner, server: identify(pid), url }),
    release: () => rm(path, { force: true }),
  };
}

/** Where the server listens that now runs on `dir`, if one does. */
export async function runningServerUrl(dir: string): Promise<string | undefined> {
  const locks = await livingLocks(dir);
  return locks.find(({ server }) => server && isAlive(server))?.url;
}

/** The locks of living processes but for `own`; those of the dead, or cut short by a power loss, go. */
async function livingLocks(dir: string, own?: string): Promise<LockFile[]> {
  const living: LockFile[] = [];
  for (const name of (await ifThere(readdir(dir))) ?? []) {
    const path = join(dir, name);
    if (!name.startsWith('lock-') || path === own) continue;
    const text = await ifThere(readFile(path, 'utf8'));
    if (text === undefined) continue;
    const lock = parse(text);
    if (lock && (isAlive(lock.owner) || (lock.server && isAlive(lock.server)))) living.push(lock);
    else await rm(path, { force: true });
  }
  return living;
}

async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Whole or not at all: a reader never meets half a lock. */
function write(path: string, lock: LockFile): void {
  const transition = join(path, '..', `.draft-${randomUUID()}`);
  writeFileSync(transition, JSON.stringify(lock), { mode: 0o600 });
  renameSync(transition, path);
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
  return { pid, began: beginning(pid) ?? '' };
}

function isAlive({ pid, began }: ProcessIdentity): boolean {
  return beginning(pid) === began;
}

/** Undefined when no such process runs; '' when one does and the system tells no more about it. */
function beginning(pid: number): string | undefined {
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
