// The life of a file: orphaned until one commit makes it evidence, orphaned again when its task is purged, and removed
// by the sweep wherever this was interrupted.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Task } from '../../../src/state/tasks/task.ts';
import {
  addEvidence,
  evidencePurge,
  loadEvidence,
  type Staged,
  stageEvidence,
} from '../../../src/store/evidence/evidence.ts';
import { openEvidenceFiles } from '../../../src/store/evidence/files.ts';
import { dropStaged } from '../../../src/store/evidence/orphaned-files.ts';
import { countUsage } from '../../../src/store/identity/usage.ts';
import { sweepEvidence } from '../../../src/store/maintenance/evidence-sweep.ts';
import { commit, EMPTY_CHANGE } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerTo,
  openTestDb,
} from '../../support/db.ts';
import { filesIn } from '../../support/uploads.ts';

const db = await openTestDb();
const folder = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
const files = await openEvidenceFiles(folder);
afterAll(() => rm(folder, { recursive: true, force: true }));

const WHAT = { name: 'a.pdf', media_type: 'application/pdf' };
const HOUR = 3600 * 1000;

let orgId: string;
let workerId: string;
let task: Task;
beforeEach(async () => {
  // Removes what the previous test left.
  await sweepEvidence(db, files, -1);
  orgId = freshOrg(db);
  workerId = (await addWorker(db, orgId)).worker_id;
  task = await accept(db, await offerTo(db, await addTask(db, orgId), [workerId]), workerId);
});

async function stage(bytes = randomBytes(100)): Promise<Staged> {
  const incoming = await files.receive();
  await incoming.fill(Readable.from([bytes]), () => undefined);
  return stageEvidence(db, files, orgId, task.task_id, incoming).finally(() => incoming.close());
}

function add(staged: Staged) {
  const to = { org_id: orgId, task_id: task.task_id, worker_id: workerId, incarnation: '', limit: 1e6 };
  return addEvidence(db, to, staged, WHAT, () => EMPTY_CHANGE);
}

const purge = async ({ task_id }: Task) => {
  return commit(db.redis, await evidencePurge(db, orgId, task_id));
};

/** The org's files, its orphaned files, and the ids of the task's evidence. */
async function left() {
  const { orphanedFiles } = orgKeysOf(db.prefix, orgId);
  const ofOrg = (path: string) => path.startsWith(orgId);
  const ids = (await loadEvidence(db, orgId, task.task_id)).items.map((one) => one.evidence_id);
  return {
    files: (await filesIn(folder)).filter(ofOrg),
    orphanedFiles: (await db.redis.zrange(orphanedFiles, '0', '-1')).filter(ofOrg),
    ids,
  };
}

const NOTHING = { files: [], orphanedFiles: [], ids: [] };

describe('a staged file', () => {
  it('is stored as an orphaned file and is not evidence', async () => {
    const { path } = await stage();
    expect(await left()).toEqual({ files: [path], orphanedFiles: [path], ids: [] });
  });

  it('becomes evidence and leaves the orphaned files in one commit', async () => {
    const staged = await stage();
    const added = await add(staged);
    expect(added).toMatchObject({ ok: true, evidence: { ...WHAT, worker_id: workerId, bytes: 100 } });
    expect(await left()).toEqual({ files: [staged.path], orphanedFiles: [], ids: [staged.evidence_id] });
  });

  it('is not dropped after it has become evidence', async () => {
    const staged = await stage();
    await add(staged);
    await dropStaged(db, files, staged);
    expect((await left()).files).toEqual([staged.path]);
  });

  it('cannot become evidence after it was dropped', async () => {
    const staged = await stage();
    await dropStaged(db, files, staged);
    expect(await add(staged)).toEqual({ ok: false, code: 'contended' });
    expect(await left()).toEqual(NOTHING);
  });

  it.each([
    ['cancelled', { name: 'cancel', reason: null }, 'invalid_transition'],
    ['given back', { name: 'release', worker_id: '', reason: null }, 'not_yours'],
  ] as const)('is not added to a task that was %s after the upload', async (_, command, code) => {
    const staged = await stage();
    await applyCommands(db, task, command.name === 'release' ? { ...command, worker_id: workerId } : command);
    expect(await add(staged)).toEqual({ ok: false, code });
    await dropStaged(db, files, staged);
    expect(await left()).toEqual(NOTHING);
  });

  it('is not added to a task that is cancelled between load and commit', async () => {
    const staged = await stage();
    const { hgetall } = db.redis;
    // The task was requested before its evidence, in the same step.
    vi.spyOn(db.redis, 'hgetall').mockImplementationOnce(async (key) => {
      await applyCommands(db, task, { name: 'cancel', reason: null });
      return hgetall.call(db.redis, key);
    });
    expect(await add(staged)).toEqual({ ok: false, code: 'invalid_transition' });
    expect(await left()).toMatchObject({ ids: [] });
  });

  it('is added while the task and its evidence change concurrently', async () => {
    const staged = await Promise.all(Array.from({ length: 20 }, () => stage()));
    const added = await Promise.all([
      ...staged.map(add),
      applyCommands(db, task, { name: 'start', worker_id: workerId }),
    ]);
    expect(added.slice(0, 20)).toEqual(Array(20).fill(expect.objectContaining({ ok: true })));
    const { version, items } = await loadEvidence(db, orgId, task.task_id);
    expect(version).toBe(20);
    expect(items.map((one) => one.evidence_id)).toEqual(staged.map((one) => one.evidence_id).sort());
  });
});

it('never exceeds the quota of the org with concurrent uploads to two tasks', async () => {
  const second = (await addWorker(db, orgId)).worker_id;
  const other = await accept(db, await offerTo(db, await addTask(db, orgId), [second]), second);
  const upload = async ({ task_id }: Task, worker_id: string, limit: number) => {
    const incoming = await files.receive();
    await incoming.fill(Readable.from([randomBytes(100)]), () => undefined);
    const staged = await stageEvidence(db, files, orgId, task_id, incoming);
    await incoming.close();
    return () =>
      addEvidence(db, { org_id: orgId, task_id, worker_id, incarnation: '', limit }, staged, WHAT, () => ({
        guards: [],
        writes: [],
      }));
  };
  const both = [await upload(task, workerId, 150), await upload(other, second, 150)];
  const added = await Promise.all(both.map((add) => add()));
  expect(added.map((one) => (one.ok ? 'ok' : one.code)).sort()).toEqual(['ok', 'over_quota']);
  expect(await countUsage(db, orgId, 'evidence_bytes')).toBe(100);
  await Promise.all([purge(task), purge(other)]);
  expect(await countUsage(db, orgId, 'evidence_bytes')).toBe(0);
});

describe('the purge of a task', () => {
  it('removes all evidence of the task and none of another', async () => {
    const [one, two] = [await stage(), await stage()];
    await add(one);
    await add(two);
    const purged = task;
    task = await accept(
      db,
      await offerTo(db, await addTask(db, orgId), [
        (await addWorker(db, orgId, { worker_id: 'second' })).worker_id,
      ]),
      'second',
    );
    workerId = 'second';
    const other = await stage();
    await add(other);

    await purge(purged);
    expect(await sweepEvidence(db, files)).toBe(1);
    expect((await loadEvidence(db, orgId, purged.task_id)).version).toBe(0);
    expect(await left()).toEqual({ files: [other.path], orphanedFiles: [], ids: [other.evidence_id] });
    await purge(purged);
    expect(await sweepEvidence(db, files)).toBe(0);
    expect(await left()).toEqual({ files: [other.path], orphanedFiles: [], ids: [other.evidence_id] });
  });

  it('is finished by the sweep when the bytes could not be removed', async () => {
    await add(await stage());
    vi.spyOn(files, 'removeAll').mockRejectedValueOnce(new Error('the disk is away'));
    await purge(task);
    await expect(sweepEvidence(db, files)).rejects.toThrow('the disk is away');
    expect(await left()).toMatchObject({ orphanedFiles: [`${orgId}/${task.task_id}`], ids: [] });
    expect((await left()).files).toHaveLength(1);
    expect(await sweepEvidence(db, files)).toBe(1);
    expect(await left()).toEqual(NOTHING);
  });
});

describe('the sweep', () => {
  it('keeps a recent orphaned file, whose upload may still be running', async () => {
    const staged = await stage();
    expect(await sweepEvidence(db, files, HOUR)).toBe(0);
    expect(await add(staged)).toMatchObject({ ok: true });
  });

  it('removes an old orphaned file, which then cannot become evidence, and no evidence', async () => {
    const kept = await stage();
    await add(kept);
    const orphanedFile = await stage();
    expect(await sweepEvidence(db, files, -1)).toBe(1);
    expect(await add(orphanedFile)).toEqual({ ok: false, code: 'contended' });
    expect(await left()).toEqual({ files: [kept.path], orphanedFiles: [], ids: [kept.evidence_id] });
  });

  it('removes the path of a file whose bytes were never stored', async () => {
    const { orphanedFiles } = orgKeysOf(db.prefix, orgId);
    await db.redis.zadd(orphanedFiles, 1, `${orgId}/${task.task_id}/018f0000-0000-7000-8000-000000000001`);
    expect(await sweepEvidence(db, files)).toBe(1);
    expect(await left()).toEqual(NOTHING);
  });

  it('continues after a file that cannot be removed, and throws its error', async () => {
    const [bad, good] = [await stage(), await stage()];
    // Removing a folder as a file fails.
    await rm(join(folder, bad.path));
    await mkdir(join(folder, bad.path));
    await expect(sweepEvidence(db, files, -1)).rejects.toThrow('could not remove a file');
    expect(await left()).toEqual({ files: [], orphanedFiles: [bad.path], ids: [] });
    expect(await add(good)).toEqual({ ok: false, code: 'contended' });
    await rmdir(join(folder, bad.path));
    expect(await sweepEvidence(db, files)).toBe(1);
    expect(await left()).toEqual(NOTHING);
  });
});
