// Upgrades and rollbacks: the system starts with programs of an earlier commit, on a Redis that then is shared with processes of this
// checkout, or passed to them. Needs the history of the repository.

import { execFile, execFileSync } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { System } from '../system.ts';
import { type Fault, pause } from './scene.ts';

const run = promisify(execFile);
const FOLDER = 'node_modules/.cache/biolayer-earlier';
/** How long processes of one version do all the work, ms. */
const STAY_MS = 5000;
/** Time limit of a row, ms: processes start nine times. */
const LIMIT_MS = 600_000;

const WORKERS = ['worker 1', 'worker 2'] as const;
type Process = (typeof WORKERS)[number] | 'web';
/** The order in which processes are replaced by newer ones, and by older ones. */
const UPGRADE = [...WORKERS, 'web'] as const;
const ROLLBACK = ['web', ...WORKERS] as const;

/** Ends each process as a supervisor does, one after the other, and starts it again. @param dist of the new processes */
export async function restartAll(
  system: System,
  dist?: string,
  order: readonly Process[] = UPGRADE,
): Promise<void> {
  for (const part of order) {
    await system.terminate(part);
    await system.start(part, dist);
  }
}

/** The full id of a commit; null without the history of the repository. */
function commitOf(name: string): string | null {
  try {
    const rev = ['rev-parse', '--verify', '--quiet', `${name}^{commit}`];
    return execFileSync('git', rev, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/** Builds as a commit does; the earlier ones compiled each file. */
const BUILD =
  'if [ -e script/bundle ]; then script/bundle dist; else node_modules/.bin/tsc --project tsconfig.build.json --noCheck --outDir dist; fi';

/** Builds a commit. @returns the folder of its programs. */
async function build(commit: string): Promise<string> {
  const folder = join(FOLDER, commit);
  await mkdir(folder, { recursive: true });
  await run('sh', ['-c', `git archive ${commit} | tar -x -C ${folder}`]);
  const root = process.cwd();
  for (const linked of ['node_modules', 'portal/dist', 'packages/sdk/dist'])
    await symlink(join(root, linked), join(folder, linked)).catch(() => undefined);
  await run('sh', ['-c', BUILD], { cwd: folder });
  return join(folder, 'dist');
}

/** A row that starts with processes of an earlier commit. @param change gets the folder of their programs. */
function fromEarlier(
  title: (commit: string) => string,
  name: string,
  change: (system: System, old: string) => Promise<void>,
): Fault {
  const commit = commitOf(name);
  let dist = '';
  return {
    name: title(name.slice(0, 7)),
    skipped: commit === null ? 'needs the history of the repository' : null,
    system: async () => {
      dist = await build(commit ?? name);
      return { dist };
    },
    inject: async ({ system }) => change(system, dist),
    limitMs: LIMIT_MS,
  };
}

/** All processes are replaced one after the other, and back, and again. */
async function upgradeAndBack(system: System, old: string): Promise<void> {
  await restartAll(system, 'dist');
  await pause(STAY_MS);
  await restartAll(system, old, ROLLBACK);
  await pause(STAY_MS);
  await restartAll(system, 'dist');
}

/** All processes are stopped, and then those of this checkout are started with the data of the others. */
async function fullStop(system: System): Promise<void> {
  for (const part of ROLLBACK) await system.terminate(part);
  await Promise.all(UPGRADE.map((part) => system.start(part, 'dist')));
}

/** The earliest commit whose keys in Redis have their present names. It does not know short references in the feed. */
const FIRST_LAYOUT = '1aa1e92';
/** Knows short references in the feed, but not 256 partitions nor jobs of moments. */
const SHORT_REFERENCES = 'b18b260';
/** The last commit before the present one that an operator may run; FAULT_OLD_COMMIT names another. */
const EARLIER = process.env.FAULT_OLD_COMMIT ?? 'c1be7bf';

export const UPGRADE_FAULTS: readonly Fault[] = [
  fromEarlier((commit) => `upgrade from ${commit} with a full stop`, FIRST_LAYOUT, fullStop),
  ...[SHORT_REFERENCES, EARLIER].map((name) =>
    fromEarlier(
      (commit) => `rolling upgrade from ${commit}, rollback, and upgrade again`,
      name,
      upgradeAndBack,
    ),
  ),
];
