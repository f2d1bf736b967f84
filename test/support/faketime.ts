// Clocks of processes that a test sets, with libfaketime. It is looked for where Debian's package puts it
// (apt-get install libfaketime); tests that need it are skipped without it.

import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Path of the library; undefined when it is not installed. */
const library = readdirSync('/usr/lib')
  .map((folder) => `/usr/lib/${folder}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

/** Why a test that needs it is skipped; null when the library is installed. */
export const NO_FAKETIME =
  library === undefined
    ? 'skipped: libfaketime is not installed (Debian: apt-get install libfaketime)'
    : null;

export interface FakeClocks {
  /** Variables of the process whose clock has this name. */
  envOf(name: string): Record<string, string>;
  /** Sets a clock ahead of the real time, as libfaketime reads it: `+2h`, `-90`, `+0 x1.05`. Seen within a second. */
  set(name: string, ahead: string): Promise<void>;
  remove(): Promise<void>;
}

/** Clocks that show the real time until they are set. Monotonic clocks are never changed. */
export async function openFakeClocks(names: readonly string[]): Promise<FakeClocks> {
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-clock-'));
  const fileOf = (name: string) => join(dir, name.replaceAll(' ', '-'));
  const set = async (name: string, ahead: string) => {
    const next = `${fileOf(name)}.next`;
    await writeFile(next, `${ahead}\n`);
    await rename(next, fileOf(name));
  };
  for (const name of names) await set(name, '+0');
  return {
    envOf: (name) => ({
      // libc comes first, because jemalloc reads the time while libfaketime initialises.
      LD_PRELOAD: `${library}:libc.so.6`,
      FAKETIME_TIMESTAMP_FILE: fileOf(name),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }),
    set,
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
