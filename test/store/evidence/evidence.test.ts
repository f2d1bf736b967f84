// The life of a file in the store: a stray until one commit makes it evidence, a stray again when its task is
// purged, and gone with the sweep whatever broke off in between.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Task } from '../../../src/state/tasks/task.ts';
import {
  addEvidence,
  dropStaged,
  evidencePurge,
  loadEvidence,
  type Staged,
  stageEvidence,
  sweepEvidence,
} from '../../../src/store/evidence/evidence.ts';
import { openEvidenceFiles } from '../../../src/store/evidence/files.ts';
import { countUsage } from '../../../src/store/identity/usage.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { accept, addTask, addWorker, freshOrg, offerTo, openTestDb, step } from '../../support/db.ts';
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
  // What the test before has left is none of this one's.
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
  return addEvidence(db, to, staged, WHAT, () => ({ guards: [], writes: [] }));
}

const purge = async ({ task_id }: Task) => {
  const { guards, writes } = await evidencePurge(db, orgId, task_id);
  return commit(db.redis, guards, writes);
};

/** What is left of this org: files, strays, and ids of evidence of the task. */
async function left() {
  const { orphanedFiles } = orgKeysOf(db.prefix, orgId);
  const ofOrg = (place: string) => place.startsWith(orgId);
  const ids = (await loadEvidence(db, orgId, task.task_id)).items.map((one) => one.evidence_id);
  return {
    files: (await filesIn(folder)).filter(ofOrg),
    orphanedFiles: (await db.redis.zrange(orphanedFiles, '0', '-1')).filter(ofOrg),
    ids,
  };
}

const NOTHING = { files: [], orphanedFiles: [], ids: [] };

describe('a staged file', () => {
  it('is a stray with its bytes, and nobody’s evidence', async () => {
    const { place } = await stage();
    expect(await left()).toEqual({ files: [place], orphanedFiles: [place], ids: [] });
  });

  it('becomes evidence and is no stray any more, in one step', async () => {
    const staged = await stage();
    const added = await add(staged);
    expect(added).toMatchObject({ ok: true, evidence: { ...WHAT, worker_id: workerId, bytes: 100 } });
    expect(await left()).toEqual({ files: [staged.place], orphanedFiles: [], ids: [staged.evidence_id] });
  });

  it('that is evidence by now is not dropped', async () => {
    const staged = await stage();
    await add(staged);
    await dropStaged(db, files, staged);
    expect((await left()).files).toEqual([staged.place]);
  });

  it('that was dropped cannot become evidence', async () => {
    const staged = await stage();
    await dropStaged(db, files, staged);
    expect(await add(staged)).toEqual({ ok: false, code: 'contended' });
    expect(await left()).toEqual(NOTHING);
  });

  it.each([
    ['cancelled', { name: 'cancel', reason: null }, 'invalid_transition'],
    ['given back', { name: 'release', worker_id: '', reason: null }, 'not_yours'],
  ] as const)('is not added to a task that was %s meanwhile', async (_, command, code) => {
    const staged = await stage();
    await step(db, task, command.name === 'release' ? { ...command, worker_id: workerId } : command);
    expect(await add(staged)).toEqual({ ok: false, code });
    await dropStaged(db, files, staged);
    expect(await left()).toEqual(NOTHING);
  });

  it('is not added to a task that is cancelled between the look at it and the commit', async () => {
    const staged = await stage();
    const { hgetall } = db.redis;
    // The task has been asked for by then; its evidence is looked at together with it.
    vi.spyOn(db.redis, 'hgetall').mockImplementationOnce(async (key) => {
      await step(db, task, { name: 'cancel', reason: null });
      return hgetall.call(db.redis, key);
    });
    expect(await add(staged)).toEqual({ ok: false, code: 'invalid_transition' });
    expect(await left()).toMatchObject({ ids: [] });
  });

  it('is added whatever else happens to the task and its evidence at once', async () => {
    const staged = await Promise.all(Array.from({ length: 20 }, () => stage()));
    const added = await Promise.all([
      ...staged.map(add),
      step(db, task, { name: 'start', worker_id: workerId }),
    ]);
    expect(added.slice(0, 20)).toEqual(Array(20).fill(expect.objectContaining({ ok: true })));
    const { version, items } = await loadEvidence(db, orgId, task.task_id);
    expect(version).toBe(20);
    expect(items.map((one) => one.evidence_id)).toEqual(staged.map((one) => one.evidence_id).sort());
  });
});

it('of an org is bounded exactly, whatever tasks it comes for at once', async () => {
  const second = (await addWorker(db, orgId)).worker_id;
  const other = await accept(db, await offerTo(db, await addTask(db, orgId), [second]), second);
  const handIn = async ({ task_id }: Task, worker_id: string, limit: number) => {
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
  const both = [await handIn(task, workerId, 150), await handIn(other, second, 150)];
  const added = await Promise.all(both.map((add) => add()));
  expect(added.map((one) => (one.ok ? 'ok' : one.code)).sort()).toEqual(['ok', 'over_quota']);
  expect(await countUsage(db, orgId, 'evidence_bytes')).toBe(100);
  await Promise.all([purge(task), purge(other)]);
  expect(await countUsage(db, orgId, 'evidence_bytes')).toBe(0);
});

describe('the purge of a task', () => {
  it('takes all its evidence and nothing of another', async () => {
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
    expect(await left()).toEqual({ files: [other.place], orphanedFiles: [], ids: [other.evidence_id] });
    await purge(purged);
    expect(await sweepEvidence(db, files)).toBe(0);
    expect(await left()).toEqual({ files: [other.place], orphanedFiles: [], ids: [other.evidence_id] });
  });

  it('that breaks off before the bytes are gone is finished by the sweep', async () => {
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
  it('leaves a young stray alone, whose upload may still be at work', async () => {
    const staged = await stage();
    expect(await sweepEvidence(db, files, HOUR)).toBe(0);
    expect(await add(staged)).toMatchObject({ ok: true });
  });

  it('removes an old stray, which cannot become evidence then, and no evidence', async () => {
    const kept = await stage();
    await add(kept);
    const orphanedFile = await stage();
    expect(await sweepEvidence(db, files, -1)).toBe(1);
    expect(await add(orphanedFile)).toEqual({ ok: false, code: 'contended' });
    expect(await left()).toEqual({ files: [kept.place], orphanedFiles: [], ids: [kept.evidence_id] });
  });

  it('removes the note of a stray whose bytes never came', async () => {
    const { orphanedFiles } = orgKeysOf(db.prefix, orgId);
    await db.redis.zadd(orphanedFiles, 1, `${orgId}/${task.task_id}/018f0000-0000-7000-8000-000000000001`);
    expect(await sweepEvidence(db, files)).toBe(1);
    expect(await left()).toEqual(NOTHING);
  });

  it('goes on past one that cannot be removed, and says so', async () => {
    const [bad, good] = [await stage(), await stage()];
    // A folder is not removed as a file.
    await rm(join(folder, bad.place));
    await mkdir(join(folder, bad.place));
    await expect(sweepEvidence(db, files, -1)).rejects.toThrow('could not remove a file');
    expect(await left()).toEqual({ files: [], orphanedFiles: [bad.place], ids: [] });
    expect(await add(good)).toEqual({ ok: false, code: 'contended' });
    await rmdir(join(folder, bad.place));
    expect(await sweepEvidence(db, files)).toBe(1);
    expect(await left()).toEqual(NOTHING);
  });
});
