// The archive wherever its work breaks off: every task is in Redis or in a segment, once, and reads as it did before.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Task } from '../../../src/state/tasks/task.ts';
import { openEvidenceFiles } from '../../../src/store/evidence/files.ts';
import { callbackAuthContext } from '../../../src/store/identity/orgs.ts';
import { listDead, moveMemberToDead, replayDead } from '../../../src/store/maintenance/dead-entries.ts';
import { sweepEvidence } from '../../../src/store/maintenance/evidence-sweep.ts';
import { forgetLostSegment } from '../../../src/store/maintenance/lost-segments.ts';
import { resealSome } from '../../../src/store/maintenance/resealing.ts';
import { withUnreadableLog } from '../../../src/store/maintenance/unreadable-log.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { UnreadableRecord } from '../../../src/store/redis/unreadable.ts';
import { filteredOfAllTime } from '../../../src/store/tasks/filtered.ts';
import { purgeTimesOf, retentionEntry } from '../../../src/store/tasks/retention-index.ts';
import { loadTask, loadWhole } from '../../../src/store/tasks/tasks.ts';
import { resend } from '../../../src/store/webhooks/fan-out.ts';
import {
  ARCHIVED_IN,
  type ArchiveParts,
  archivedIds,
  DAY,
  keysAbout,
  openArchive,
  runArchiver,
} from '../../support/archive.ts';
import { startBucketServer } from '../../support/bucket-server.ts';
import { interceptCommits } from '../../support/commits.ts';
import {
  accept,
  addOrg,
  addTask,
  addWorker,
  applyCommands,
  offerTo,
  openTestDb,
  type TestDb,
} from '../../support/db.ts';
import { sealer, withClockAhead } from '../../support/processors.ts';
import { recordAsBefore } from '../../support/retention.ts';
import type { InputChange } from '../../support/tasks.ts';
import { filesIn } from '../../support/uploads.ts';

const store = await openTestDb();
const folder = await mkdtemp(join(tmpdir(), 'biolayer-archive-'));
const files = await openEvidenceFiles(folder);
const archive = openArchive({ db: store, files, sealer });
/** The store of a web process. */
const db: TestDb = { ...store, archive };
const parts: ArchiveParts = { db, files, sealer };
afterAll(() => rm(folder, { recursive: true, force: true }));

const HOUR = 3600_000;
const SILENT = { info: () => undefined, error: () => undefined };
const RESTORED_IN = 365 * DAY - 1800_000;
const BACK_AGAIN = { order: 'asc', after: null, from: null, to: null } as const;

async function cancelled(orgId: string, change: InputChange = {}): Promise<Task> {
  return applyCommands(db, await addTask(db, orgId, change), { name: 'cancel', reason: null });
}

/** Everything that is read of the tasks, wherever they are. */
async function read(tasks: readonly Task[]): Promise<unknown[]> {
  return Promise.all(
    tasks.map(async ({ org_id, task_id }) => {
      const whole = await loadWhole(db, org_id, task_id);
      return [whole?.task, whole?.head, whole?.history];
    }),
  );
}

/** The same store as a process that dies at its commit number `at`, before or after it is carried out. */
function dyingAt(at: number, isCarriedOut: boolean): Db & { died(): boolean } {
  let commits = 0;
  const dying = interceptCommits(db, async (run) => {
    commits += 1;
    if (commits < at) return run();
    if (commits === at && isCarriedOut) await run();
    throw new Error('the process has died');
  });
  return { ...dying, died: () => commits >= at };
}

const segmentsOf = async (orgId: string) => {
  const { archive: key, segments } = orgKeysOf(db.prefix, orgId);
  const named = (await db.redis.hkeys(key)).filter((one) => one !== 'k').sort();
  const due = await db.redis.zrange(segments, '0', '-1');
  expect(
    due
      .filter((one) => one.startsWith(orgId))
      .map((one) => one.split(' ')[1])
      .sort(),
  ).toEqual(named);
  return named;
};
const filesOf = async (orgId: string) =>
  (await filesIn(folder))
    .filter((one) => one.startsWith(orgId))
    .map((one) => one.split('/')[2])
    .sort();

describe('a crash', () => {
  it.for([
    ['before', false],
    ['after', true],
  ] as const)('%s any commit loses and doubles nothing', { timeout: 60_000 }, async ([, isCarriedOut]) => {
    const org = await addOrg(db);
    const tasks: Task[] = [];
    for (let made = 0; made < 21; made += 1) tasks.push(await cancelled(org));
    const before = await read(tasks);
    for (const ahead of [ARCHIVED_IN, RESTORED_IN]) {
      let deaths = 0;
      for (let at = 1, died = true; died; at += 1) {
        const dying = dyingAt(at, isCarriedOut);
        // Each run is later than the last: a segment that could not be dissolved waits an hour.
        await runArchiver({ ...parts, db: dying }, ahead + at * 2 * HOUR).catch(() => undefined);
        died = dying.died();
        deaths += Number(died);
        expect(await read(tasks)).toEqual(before);
        const ids = await archivedIds(db, org);
        expect(new Set(ids).size).toBe(ids.length);
      }
      expect(deaths).toBeGreaterThan(2);
      const isArchived = ahead === ARCHIVED_IN;
      expect(await archivedIds(db, org)).toHaveLength(isArchived ? tasks.length : 0);
      // The files of segments that were not registered are removed, the others are there.
      await sweepEvidence(withClockAhead(db, ahead + DAY), files, 0);
      expect(await filesOf(org)).toEqual(await segmentsOf(org));
    }
    expect(await filesOf(org)).toEqual([]);
    for (const { task_id } of tasks.slice(0, 3))
      expect(await keysAbout(db, org, task_id)).toContain('index:status:cancelled');
  });
});

describe('a task whose purge an earlier version recorded', () => {
  it('is archived, and comes back with the time of its purge', async () => {
    const org = await addOrg(db);
    const tasks = [await cancelled(org), await cancelled(org), await cancelled(org)];
    const ids = tasks.map((one) => one.task_id);
    const log_required = false;
    const logged = await cancelled(org, { more: { audit: { log_required, retain_days: 365 } } });
    const due = await purgeTimesOf(db, org, ids);
    expect(due).toEqual(tasks.map((one) => one.status_changed_at + 365 * DAY));
    for (const one of [tasks[0], tasks[1], logged]) if (one !== undefined) await recordAsBefore(db, one);
    expect(await purgeTimesOf(db, org, ids)).toEqual(due);
    const before = await read(tasks);
    await runArchiver(parts);
    // A history that is to be purged keeps its task in Redis.
    expect(await archivedIds(db, org)).toEqual(ids);
    expect(await purgeTimesOf(db, org, ids)).toEqual([null, null, null]);
    expect(await purgeTimesOf(db, org, [logged.task_id], true)).toEqual([logged.status_changed_at]);
    expect(await read(tasks)).toEqual(before);
    await runArchiver(parts, RESTORED_IN);
    expect(await archivedIds(db, org)).toEqual([]);
    expect(await purgeTimesOf(db, org, ids)).toEqual(due);
    const { retain } = orgKeysOf(db.prefix, org);
    const left = (await db.redis.zrange(retain, 0, '-1')).filter((one) => one.startsWith(org));
    expect(left.map((one) => one.split(' ')[1])).toEqual([logged.task_id, logged.task_id]);
  });

  it('is not archived when it was put off meanwhile', async () => {
    const org = await addOrg(db);
    const task = await cancelled(org);
    const { key, member } = retentionEntry(db, { org_id: org, task_id: task.task_id, log: false });
    const racing = interceptCommits(db, async (run) => {
      await db.redis.zincrby(key, 1, member);
      return run();
    });
    await runArchiver({ ...parts, db: racing });
    expect(await archivedIds(db, org)).toEqual([]);
    await runArchiver(parts);
    expect(await archivedIds(db, org)).toEqual([task.task_id]);
  });
});

describe('two processes', () => {
  it('archive and restore the same tasks once', async () => {
    const org = await addOrg(db);
    const tasks = await Promise.all(Array.from({ length: 30 }, () => cancelled(org)));
    const before = await read(tasks);
    for (const ahead of [ARCHIVED_IN, RESTORED_IN]) {
      await Promise.all([runArchiver(parts, ahead), runArchiver(parts, ahead)]);
      const ids = await archivedIds(db, org);
      expect(ids.toSorted()).toEqual(ahead === ARCHIVED_IN ? tasks.map((one) => one.task_id).sort() : []);
      expect(await read(tasks)).toEqual(before);
      await sweepEvidence(db, files, 0);
      expect(await filesOf(org)).toEqual(await segmentsOf(org));
    }
  });
});

describe('a task', () => {
  it('stays while a delivery is pending, and when one is sent again while it is archived', async () => {
    const org = await addOrg(db);
    const callback = { handoff: { callback_url: 'https://receiver.example/hook' } };
    const pending = await cancelled(org, callback);
    const [one, another] = [await cancelled(org), await cancelled(org)];
    const endpoint = { org_id: org, task_id: one.task_id, sequence: 1, endpoint_id: 'e' };
    let isSent = false;
    const racing = interceptCommits(db, async (run) => {
      // The first commit registers the segment; the tasks are loaded by then.
      const result = await run();
      if (!isSent) await resend(store, endpoint, null, one.created_at, 'x', null);
      isSent = true;
      return result;
    });
    await runArchiver({ ...parts, db: racing });
    expect(await archivedIds(db, org)).toEqual([another.task_id]);
    expect(await keysAbout(db, org, one.task_id)).toContain(`deliveries:${one.task_id}`);
    expect(await keysAbout(db, org, pending.task_id)).toContain('index:all');
  });

  it('stays while its dispute is open, and comes back to be disputed', async () => {
    const org = await addOrg(db);
    const rejected = async () => {
      const { worker_id } = await addWorker(db, org);
      const queued = await addTask(db, org, { review: { mode: 'manual' } });
      const task = await accept(db, await offerTo(db, queued, [worker_id]), worker_id);
      const submission = { output: 'done', evidence: [], notes: null };
      await applyCommands(db, task, { name: 'start', worker_id }, { name: 'submit', worker_id, submission });
      return applyCommands(db, task, { name: 'reject', feedback: 'no' });
    };
    const [disputed, other] = [await rejected(), await rejected()];
    const dispute = (task: Task) => {
      const worker_id = task.submission?.worker_id ?? '';
      return applyCommands(db, task, { name: 'dispute', worker_id, text: 'It is right.' });
    };
    await dispute(disputed);
    await runArchiver(parts);
    expect(await archivedIds(db, org)).toEqual([other.task_id]);
    await dispute(other);
    expect(await archivedIds(db, org)).toEqual([]);
    expect(await keysAbout(db, org, other.task_id)).toContain('index:in_review:true');
  });
});

describe('a page of a list', () => {
  it('reads few segments, and the next ones go on behind them', async () => {
    const org = await addOrg(db);
    const made: string[] = [];
    for (let at = 0; at < 12; at += 1) {
      const isOpen = at % 4 === 3;
      made.push((isOpen ? await addTask(db, org) : await cancelled(org)).task_id);
      // Each in a segment of its own.
      if (!isOpen) await runArchiver(parts);
    }
    expect(await segmentsOf(org)).toHaveLength(9);
    for (const order of ['asc', 'desc'] as const)
      for (const limit of [1, 5, 50]) {
        const found: string[] = [];
        const pages: number[] = [];
        for (let after: string | null = null, more = true; more; ) {
          const range = { ...BACK_AGAIN, order, after };
          const { items, next } = await filteredOfAllTime(db, {
            orgId: org,
            filters: { gold: false },
            range,
            limit,
          });
          found.push(...items.map((one) => one.task.task_id));
          pages.push(items.length);
          after = next;
          more = next !== null;
        }
        expect(found).toEqual(order === 'asc' ? made : made.toReversed());
        // Eight segments, and the open tasks among them.
        if (limit === 50) expect(pages).toEqual(order === 'asc' ? [10, 2] : [11, 1]);
      }
  });
});

describe('an archive', () => {
  it('opens with the new SECRETS_KEY after a reseal, with the secrets of its tasks', async () => {
    const [earlier, current] = [randomBytes(32), randomBytes(32)];
    const org = await addOrg(db);
    const sealed = createSealer([earlier]).seal('planted-token', callbackAuthContext(org));
    const callback_auth = { type: 'bearer', sealed } as const;
    const events: [] = [];
    const task = await cancelled(org, {
      handoff: { callback_url: 'https://r.example', callback_auth, events },
    });
    await runArchiver({ ...parts, sealer: createSealer([earlier]) });
    const read = (keys: [Buffer, ...Buffer[]]) => {
      const opened = openArchive({ ...parts, sealer: createSealer(keys) });
      return loadTask({ ...store, archive: opened }, org, task.task_id);
    };
    await expect(read([current])).rejects.toThrow('not configured');
    for (let after: string | null = null, more = true; more; more = after !== null)
      after = (await resealSome(db, createSealer([current, earlier]), after)).next;
    const auth = (await read([current]))?.task.input.handoff?.callback_auth;
    if (auth?.type !== 'bearer') throw new Error('no credentials');
    expect(createSealer([current]).open(auth.sealed, callbackAuthContext(org))).toBe('planted-token');
  });

  it('says that a lost or altered file is unavailable, and leaves other tasks alone', async () => {
    const org = await addOrg(db);
    const task = await cancelled(org);
    await runArchiver(parts);
    const [id] = await segmentsOf(org);
    await files.remove(`${org}/archive/${id}`);
    const later = { ...store, archive: openArchive(parts) };
    await expect(loadTask(later, org, task.task_id)).rejects.toThrow('a file is not in the file store');
    const query = { orgId: org, filters: {}, range: BACK_AGAIN, limit: 10 };
    await expect(filteredOfAllTime(later, query)).rejects.toThrow('a file is not in the file store');
    const other = await cancelled(org);
    expect((await loadTask(later, org, other.task_id))?.task.status).toBe('cancelled');
    // It is tried again, and does not keep other segments from being dissolved.
    const another = await cancelled(await addOrg(db));
    await runArchiver({ ...parts, db: later });
    await runArchiver({ ...parts, db: later }, RESTORED_IN);
    expect(await archivedIds(db, another.org_id)).toEqual([]);
    expect(await archivedIds(db, org)).toContain(task.task_id);
  });

  it('sets a segment aside whose file is lost for a day, and brings it back when the file is', async () => {
    const org = await addOrg(db);
    const task = await cancelled(org);
    await runArchiver(parts);
    const [id = ''] = await segmentsOf(org);
    const path = join(folder, org, 'archive', id);
    await rename(path, `${path}.away`);
    const later = () => withUnreadableLog({ ...store, archive: openArchive(parts) }, SILENT);
    const { partition, segments } = orgKeysOf(db.prefix, org);
    const entries = async () => (await listDead(db, null, 1000)).filter(({ name }) => name.includes(id));
    const query = { orgId: org, filters: {}, range: BACK_AGAIN, limit: 10 };
    const run = (hours: number) => {
      const ahead = RESTORED_IN + hours * HOUR;
      const { onUnreadable } = withUnreadableLog(withClockAhead(store, ahead), SILENT);
      return runArchiver({ ...parts, db: { ...later(), ...(onUnreadable && { onUnreadable }) } }, ahead);
    };

    await run(0);
    await expect.poll(entries).toMatchObject([{ kind: 'record', name: `${segments} ${org} ${id}` }]);
    await run(23);
    expect(await db.redis.zscore(segments, `${org} ${id}`)).not.toBeNull();
    await expect(filteredOfAllTime(later(), query)).rejects.toThrow('not in the file store');
    await run(25);
    expect(await entries()).toMatchObject([{ kind: 'member', partition, name: `${org} ${id}` }]);
    // Lists go on without its tasks.
    const other = await cancelled(org);
    expect((await filteredOfAllTime(later(), query)).items.map((one) => one.task.task_id)).toEqual([
      other.task_id,
    ]);
    await expect(loadTask(later(), org, task.task_id)).rejects.toThrow(UnreadableRecord);

    await rename(`${path}.away`, path);
    expect((await loadTask(later(), org, task.task_id))?.task.status).toBe('cancelled');
    const [entry] = await entries();
    if (entry === undefined) throw new Error('there is no dead entry');
    await replayDead(db, entry);
    await run(27);
    expect(await archivedIds(db, org)).toEqual([]);
    expect(await keysAbout(db, org, task.task_id)).toContain('index:all');
  });

  it('forgets the tasks of a segment whose file is lost when its dead entry is discarded', async () => {
    const org = await addOrg(db);
    const task = await cancelled(org);
    await runArchiver(parts);
    const other = await cancelled(org);
    await runArchiver(parts);
    const { partition, segments, archive: registered } = orgKeysOf(db.prefix, org);
    const held = await db.redis.zrange(segments, '0', '-1', 'WITHSCORES');
    const at = held.findIndex((one) => one.startsWith(org));
    const [name = '', score] = held.slice(at, at + 2);
    const [, id = ''] = name.split(' ');
    await rm(join(folder, org, 'archive', id));
    const member = { name, score: Number(score), reason: 'lost' };
    const discard = async () => {
      const entry = (await listDead(db, null, 1000)).find((one) => one.name === name);
      if (entry === undefined) throw new Error('there is no dead entry');
      await forgetLostSegment(db, entry);
      return entry;
    };
    await moveMemberToDead(db, partition, segments, member);

    // Another operator replays it meanwhile.
    await db.redis.zadd(segments, score ?? '', name);
    await discard();
    expect(await archivedIds(db, org)).toEqual([task.task_id, other.task_id].sort());
    await db.redis.zrem(segments, name);

    await discard();
    const kept = await archivedIds(db, org);
    expect(kept).toHaveLength(1);
    expect(await db.redis.hexists(registered, id)).toBe(0);
    const lost = kept.includes(task.task_id) ? other : task;
    const later = { ...store, archive: openArchive(parts) };
    expect(await loadTask(later, org, lost.task_id)).toBeNull();
    expect((await loadTask(later, org, kept[0] ?? ''))?.task.status).toBe('cancelled');
  });

  describe('in a bucket', () => {
    let server: Awaited<ReturnType<typeof startBucketServer>>;
    beforeAll(async () => {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
      server = await startBucketServer();
    });
    afterAll(async () => {
      vi.unstubAllEnvs();
      await server.close();
    });

    it('is written, read and removed', async () => {
      const bucket = await openEvidenceFiles(`s3://evidence/some/prefix?endpoint=${server.endpoint}`);
      const own = { ...parts, files: bucket };
      const org = await addOrg(db);
      const task = await cancelled(org);
      await runArchiver(own);
      expect([...server.objects.keys()].filter((one) => one.includes(`${org}/archive/`))).toHaveLength(1);
      const web = { ...store, archive: openArchive(own) };
      expect((await loadTask(web, org, task.task_id))?.task).toEqual(task);
      await runArchiver(own, RESTORED_IN);
      await sweepEvidence(db, bucket, 0);
      expect(await loadTask(store, org, task.task_id)).toMatchObject({ task });
      expect([...server.objects.keys()].filter((one) => one.includes(org))).toEqual([]);
      bucket.close();
    });
  });
});
