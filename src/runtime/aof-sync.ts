/**
 * Syncs the append-only file of the embedded Redis to disk, every second.
 *
 * With `appendfsync everysec` Redis answers before it has written a command to the file while the sync of earlier ones
 * takes longer than a second (aof.c, `aof_flush_postponed_start`): a kill -9 of Redis then loses up to two seconds of
 * answered commands. With `no` it always writes before it answers, so only a power failure can lose what is not synced.
 */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const EVERY_MS = 1000;

/**
 * Starts to sync what Redis writes under `dir`. It does not keep the process alive.
 * @param dir the `appendonlydir` of Redis; it may not exist yet.
 * @param sync syncs one file; replaced in tests.
 * @returns stops it.
 */
export function keepSynced(dir: string, sync: (path: string) => Promise<void> = syncFile): () => void {
  let isSyncing = false;
  let lastSync = 0;
  const timer = setInterval(() => {
    // A sync may take longer than a second; the next one covers what was written meanwhile.
    if (isSyncing) return;
    isSyncing = true;
    const start = Date.now();
    syncChanged(dir, lastSync, sync)
      .then(
        () => {
          lastSync = start;
        },
        () => {}, // Not there yet, or rewritten at this moment: the next second tries again.
      )
      .finally(() => {
        isSyncing = false;
      });
  }, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Syncs the files written since `since`, ms; a second earlier counts too, because file times are coarse. */
async function syncChanged(dir: string, since: number, sync: (path: string) => Promise<void>): Promise<void> {
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    if ((await stat(path)).mtimeMs >= since - EVERY_MS) await sync(path);
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}
