// Notices to workers. A hash for each worker holds the newest of them for a while; a pending one is also a member of the
// partition's `pending-notices` set, scored by its next step. A worker process leases a notice by moving that time past
// the end of its attempt, so that two attempts never overlap. If it dies, the notice is due again when the lease ends.

import type { Notice } from '../../state/notices/notice.ts';
import type { OutboxEntry } from '../../state/outbox.ts';
import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import { type Change, commit, type Guard, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { defineScript } from '../redis/scripts.ts';
import {
  fetched,
  forEachIntact,
  nullIfUnreadable,
  RETRY_UNREADABLE_AFTER_MS,
  required,
} from '../redis/unreadable.ts';

/** Most notices that are kept for a worker. */
const KEPT_NOTICES = 100;
/** How long a notice is kept, ms. */
const NOTICE_LIFE_MS = 30 * 24 * 3600_000;

/** Names a notice. */
export interface NoticeRef {
  org_id: string;
  worker_id: string;
  notice_id: string;
}

const SHAPE: Shape<Notice> = {
  notice_id: 'string',
  kind: 'string',
  task_id: 'string or null',
  pool: 'string or null',
  channel_id: 'string or null',
  at: 'number',
  status: 'string',
  reason: 'string or null',
  attempts: 'list',
};

// Adds notices to a worker who has channels. A notice that is there already was added before and may be settled. Ids sort
// by time, so the oldest beyond the limit are removed.
// KEYS: workers with channels, notices of the worker, pending notices.
// ARGV: worker, now, life, most notices; for each notice its id, JSON and member.
const ADD = `
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
for i = 5, #ARGV, 3 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then redis.call('ZADD', KEYS[3], ARGV[2], ARGV[i + 2]) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local excess = redis.call('HLEN', KEYS[2]) - tonumber(ARGV[4])
if excess > 0 then
  local ids = redis.call('HKEYS', KEYS[2])
  table.sort(ids)
  redis.call('HDEL', KEYS[2], unpack(ids, 1, excess))
end
return 1
`;

const runAdd = defineScript<number>(ADD);

type TaskEntry = Extract<OutboxEntry, { kind: 'task' }>;

/**
 * Adds the notices of outbox entries for the workers who have channels. Those of a worker whose records are damaged are left
 * out and reported: a notice must not keep a task from going on.
 * @returns all of these notices, also those added before.
 */
export async function addNotices(db: Db, entries: readonly OutboxEntry[]): Promise<NoticeRef[]> {
  const added = new Map<string, NoticesOfWorker>();
  for (const entry of entries)
    if (entry.kind === 'task')
      for (const { worker_id, notice } of noticesIn(entry)) {
        const { org_id } = entry;
        const key = `${org_id} ${worker_id}`;
        const of = added.get(key) ?? { org_id, worker_id, notices: [] };
        added.set(key, { ...of, notices: [...of.notices, notice] });
      }
  const notified = await withChannels(db, [...added.values()]);
  const done: NoticeRef[] = [];
  const nameOf = (one: NoticesOfWorker) => orgKeysOf(db.prefix, one.org_id).notices(one.worker_id);
  await forEachIntact(db, notified, nameOf, async (one) => {
    await addTo(db, one);
    const { org_id, worker_id } = one;
    done.push(...one.notices.map(({ notice_id }) => ({ org_id, worker_id, notice_id })));
  });
  return done;
}

interface NoticesOfWorker {
  org_id: string;
  worker_id: string;
  notices: Notice[];
}

function noticesIn({ task_id, pool, at, notices = [] }: TaskEntry): { worker_id: string; notice: Notice }[] {
  return notices.map(({ worker_id, notice_id, kind }) => ({
    worker_id,
    notice: newNotice({ notice_id, kind, task_id, pool, channel_id: null, at }),
  }));
}

/** Those of the workers who have channels: one look-up for each org. */
async function withChannels(db: Db, all: readonly NoticesOfWorker[]): Promise<NoticesOfWorker[]> {
  const found: NoticesOfWorker[] = [];
  const nameOf = (orgId: string) => orgKeysOf(db.prefix, orgId).notifiedWorkers;
  await forEachIntact(db, new Set(all.map(({ org_id }) => org_id)), nameOf, async (orgId) => {
    const ofOrg = all.filter(({ org_id }) => org_id === orgId);
    const ids = ofOrg.map(({ worker_id }) => worker_id);
    const are = await db.redis.smismember(nameOf(orgId), ...ids);
    found.push(...ofOrg.filter((_, index) => are[index] === 1));
  });
  return found;
}

async function addTo(db: Db, { org_id, worker_id, notices }: NoticesOfWorker): Promise<void> {
  const keys = orgKeysOf(db.prefix, org_id);
  await runAdd(
    db.redis,
    [keys.notifiedWorkers, keys.notices(worker_id), keys.pendingNotices],
    [
      worker_id,
      db.clock.now(),
      NOTICE_LIFE_MS,
      KEPT_NOTICES,
      ...notices.flatMap((notice) => [
        notice.notice_id,
        JSON.stringify(notice),
        pendingNoticeMember({ org_id, worker_id, notice_id: notice.notice_id }),
      ]),
    ],
  );
}

/** A new notice: pending, without attempts. */
export function newNotice(
  about: Pick<Notice, 'notice_id' | 'kind' | 'task_id' | 'pool' | 'channel_id' | 'at'>,
): Notice {
  return { ...about, status: 'pending', reason: null, attempts: [] };
}

/** Writes that add a notice for one channel, with its outbox entry, to a commit that guards the channel. */
export function noticeWrites(db: Db, about: { org_id: string; worker_id: string }, notice: Notice): Write[] {
  const { org_id, worker_id } = about;
  const { notice_id } = notice;
  const keys = orgKeysOf(db.prefix, org_id);
  const ref = { org_id, worker_id, notice_id };
  return [
    ['HSET', keys.notices(worker_id), notice_id, JSON.stringify(notice)],
    ['PEXPIRE', keys.notices(worker_id), NOTICE_LIFE_MS],
    ['ZADD', keys.pendingNotices, db.clock.now(), pendingNoticeMember(ref)],
    ...outboxWrites(keys.outbox, { kind: 'notice', ...ref }),
  ];
}

/** A notice as it is stored, to be guarded. */
export interface StoredNotice {
  ref: NoticeRef;
  notice: Notice;
  /** As stored. */
  text: string;
  /** When its next step is due, ms; null once it is settled. */
  due: number | null;
}

/** Loads a notice; null when there is none. @throws UnreadableRecord */
export async function loadNotice(db: Db, ref: NoticeRef): Promise<StoredNotice | null> {
  const keys = orgKeysOf(db.prefix, ref.org_id);
  const key = keys.notices(ref.worker_id);
  const [text, score] = await Promise.all([
    fetched(key, db.redis.hget(key, ref.notice_id)),
    db.redis.zscore(keys.pendingNotices, pendingNoticeMember(ref)),
  ]);
  if (text === null) return null;
  const notice = required(`${key} ${ref.notice_id}`, readJsonShape(text, SHAPE));
  return { ref, notice, text, due: score === null ? null : Number(score) };
}

/**
 * Replaces a pending notice.
 * @param due when its next step is due, ms; null: it is settled. @param extra written in the same commit.
 * @returns it as stored now; null when it has changed since it was loaded, or its worker was removed.
 */
export async function saveNotice(
  db: Db,
  before: StoredNotice,
  notice: Notice,
  due: number | null,
  extra: Change = { guards: [], writes: [] },
): Promise<StoredNotice | null> {
  const { ref } = before;
  const keys = orgKeysOf(db.prefix, ref.org_id);
  const key = keys.notices(ref.worker_id);
  const member = pendingNoticeMember(ref);
  const text = JSON.stringify(notice);
  const guards: Guard[] = [
    { kind: 'field', key, field: ref.notice_id, value: before.text },
    { kind: 'score', key: keys.pendingNotices, member, score: before.due },
    ...extra.guards,
  ];
  const writes: Write[] = [
    ['HSET', key, ref.notice_id, text],
    due === null ? ['ZREM', keys.pendingNotices, member] : ['ZADD', keys.pendingNotices, due, member],
    ...extra.writes,
  ];
  return (await commit(db.redis, { guards, writes })) ? { ref, notice, text, due } : null;
}

/** Postpones a notice whose records cannot be read by ten minutes. */
export async function putOffNotice(db: Db, ref: NoticeRef): Promise<void> {
  const { pendingNotices } = orgKeysOf(db.prefix, ref.org_id);
  await db.redis.zadd(
    pendingNotices,
    'XX',
    db.clock.now() + RETRY_UNREADABLE_AFTER_MS,
    pendingNoticeMember(ref),
  );
}

/** Removes what is left of a notice whose worker or task was removed. */
export async function dropPendingNotice(db: Db, ref: NoticeRef): Promise<void> {
  await db.redis.zrem(orgKeysOf(db.prefix, ref.org_id).pendingNotices, pendingNoticeMember(ref));
}

/** The notices of a worker that are still shown, oldest first; one that cannot be read is left out and reported. */
export async function listNotices(db: Db, orgId: string, workerId: string): Promise<Notice[]> {
  const since = db.clock.now() - NOTICE_LIFE_MS;
  return (await storedNotices(db, orgId, workerId))
    .filter((one) => one.at > since)
    .sort((a, b) => (a.notice_id < b.notice_id ? -1 : 1))
    .slice(-KEPT_NOTICES);
}

async function storedNotices(db: Db, orgId: string, workerId: string): Promise<Notice[]> {
  const key = orgKeysOf(db.prefix, orgId).notices(workerId);
  const all = Object.entries(await fetched(key, db.redis.hgetall(key)));
  const read = await Promise.all(
    all.map(([id, text]) =>
      nullIfUnreadable(db, async () => required(`${key} ${id}`, readJsonShape<Notice>(text, SHAPE))),
    ),
  );
  return read.filter((one) => one !== null);
}

/** Writes that remove the notices of a task from those of a worker. */
export async function noticePurge(db: Db, orgId: string, workerId: string, taskId: string): Promise<Write[]> {
  const notices = await storedNotices(db, orgId, workerId);
  const ids = notices.flatMap(({ notice_id, task_id }) => (task_id === taskId ? [notice_id] : []));
  return ids.length === 0 ? [] : [['HDEL', orgKeysOf(db.prefix, orgId).notices(workerId), ...ids]];
}

/** Member of `pending-notices`. */
function pendingNoticeMember({ org_id, worker_id, notice_id }: NoticeRef): string {
  return `${org_id} ${worker_id} ${notice_id}`;
}
