// A rolling upgrade and back: processes of an earlier commit and of this checkout share a Redis.

import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { restartAll } from './process-faults.ts';
import type { Fault, Scene } from './scene.ts';

const run = promisify(execFile);
const FOLDER = 'node_modules/.cache/biolayer-earlier';

/**
 * The commit from which on the keys in Redis have their present layout; FAULT_OLD_COMMIT names another. Null without the
 * history of the repository.
 */
async function earlierCommit(): Promise<string | null> {
  const named = process.env.FAULT_OLD_COMMIT;
  const layout = ['rev-list', '-1', 'HEAD', '--', 'src/store/redis/keys.ts'];
  try {
    const { stdout } = await run('git', named === undefined ? layout : ['rev-parse', named]);
    return stdout.trim() || null;
  } catch {
    return null;
  }
}

/** Bundles a commit. @returns the folder of its bundles. */
async function bundle(commit: string): Promise<string> {
  const folder = join(FOLDER, commit);
  await mkdir(folder, { recursive: true });
  await run('sh', ['-c', `git archive ${commit} | tar -x -C ${folder}`]);
  const root = process.cwd();
  for (const linked of ['node_modules', 'portal/dist', 'packages/sdk/dist'])
    await symlink(join(root, linked), join(folder, linked)).catch(() => undefined);
  await run(join(root, 'script/bundle'), ['dist'], { cwd: folder });
  return join(folder, 'dist');
}

async function upgradeAndBack(scene: Scene): Promise<void> {
  const commit = await earlierCommit();
  if (commit === null) {
    scene.note = 'skipped: no history of the repository';
    return;
  }
  const dist = await bundle(commit);
  await restartAll(scene, dist);
  await restartAll(scene);
  scene.note = `to ${commit.slice(0, 7)} and back`;
}

export const UPGRADE_FAULTS: readonly Fault[] = [
  { name: 'rolling downgrade to an earlier version, and upgrade', inject: upgradeAndBack },
];
