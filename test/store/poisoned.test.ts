// One damaged record of each kind among intact ones: every walk processes all the others.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { FeedTails, type TailEvent } from '../../src/api/streams/feed-tails.ts';
import { stepReplay } from '../../src/processors/webhooks/replays.ts';
import { newAuditEvent } from '../../src/state/audit/audit.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import { commitAudited } from '../../src/store/audit/audit-log.ts';
import { exportAudit } from '../../src/store/audit/export.ts';
import { openEvidenceFiles } from '../../src/store/evidence/files.ts';
import { callbackAuthContext } from '../../src/store/identity/orgs.ts';
import { sweepEvidence } from '../../src/store/maintenance/evidence-sweep.ts';
import { resealSome } from '../../src/store/maintenance/resealing.ts';
import { connectSubscriber, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { Changes } from '../../src/store/redis/pub-sub.ts';
import { createSealer } from '../../src/store/redis/sealing.ts';
import { loadReplay, loadReplays } from '../../src/store/webhooks/replays.ts';
import { deadEntries, withLoggedUnreadables } from '../support/damaged-records.ts';
import { addOrg, addTask, applyCommands, openTestDb } from '../support/db.ts';
import { addEndpoint, beginReplay } from '../support/endpoints.ts';
import { withClockAhead } from '../support/processors.ts';
import { freshPrefix, testTopology } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): Db => withLoggedUnreadables({ ...shared, prefix: freshPrefix() });
const HOUR = 3600_000;

/** Three tasks, of which the second is damaged: its JSON, or even the type of its key. */
async function threeTasks(db: Db, org: string, isHash: boolean, change = {}): Promise<[Task, Task, Task]> {
  const [first, broken, last] = [
    await addTask(db, org, change),
    await addTask(db, org, change),
    await addTask(db, org, change),
  ];
  const key = orgKeysOf(db.prefix, org).task(broken.task_id);
  if (isHash) await db.redis.hset(key, 's', '{"half', 'i', '{"half');
  else await db.redis.del(key).then(() => db.redis.set(key, 'nonsense'));
  return [first, broken, last];
}

const DAMAGES = [
  ['whose JSON is cut off', true],
  ['of another type', false],
] as const;

it.each(DAMAGES)('a replay sends all events but those of a task %s', async (_name, isHash) => {
  const db = ownStore();
  const org = await addOrg(db);
  await threeTasks(db, org, isHash);
  const replay = await beginReplay(db, await addEndpoint(db, org, 'https://receiver.example/'));
  await stepReplay(db, org, replay.replay_id);
  expect(await loadReplay(db, org, replay.replay_id)).toMatchObject({ examined: 6, sent: 4 });
});

it('a damaged replay neither hides nor stops others', async () => {
  const db = ownStore();
  const org = await addOrg(db);
  await addTask(db, org);
  const begin = async () => beginReplay(db, await addEndpoint(db, org, 'https://receiver.example/'));
  const [broken, other] = [await begin(), await begin()];
  await db.redis.hset(orgKeysOf(db.prefix, org).replay(broken.replay_id), 'd', '[]');
  await expect(stepReplay(db, org, broken.replay_id)).rejects.toThrow('cannot be read');
  await stepReplay(db, org, other.replay_id);
  const shown = await loadReplays(db, org, [broken.replay_id, other.replay_id]);
  expect(shown).toMatchObject([null, { replay_id: other.replay_id, sent: 2 }]);
});

it.each(DAMAGES)('resealing continues after a task %s, and names it', async (_name, isHash) => {
  const db = ownStore();
  const [earlier, current] = [randomBytes(32), randomBytes(32)];
  const org = await addOrg(db);
  const sealed = createSealer([earlier]).seal('token', callbackAuthContext(org));
  const handoff = {
    callback_url: 'https://receiver.example/',
    callback_auth: { type: 'bearer', sealed },
    events: ['task.created'],
    ordering: 'none',
    retry_policy: { max_retries: 0, backoff_seconds: 1 },
  };
  const [, broken] = await threeTasks(db, org, isHash, { handoff });
  const other = await addOrg(db);
  await db.redis.set(orgKeysOf(db.prefix, other).index('all'), 'nonsense');
  const { resealed, lost, next } = await resealSome(db, createSealer([current, earlier]), null);
  expect({ resealed, next }).toEqual({ resealed: 2, next: null });
  expect(lost).toEqual([{ kind: 'task', tenant: org, id: broken.task_id, key_id: null }]);
});

it.each(DAMAGES)('an audit export contains all chains but that of a task %s', async (_name, isHash) => {
  const db = ownStore();
  const org = await addOrg(db);
  for (const name of ['a', 'b', 'c'])
    await commitAudited(
      withClockAhead(db, -HOUR),
      org,
      newAuditEvent('operator', 'thing.made', 'thing', name),
      {
        guards: [],
        writes: [],
      },
    );
  const { audit } = orgKeysOf(db.prefix, org);
  const [, second] = await db.redis.xrange(audit, '-', '+');
  await db.redis.xdel(audit, second?.[0] ?? '');
  await db.redis.xadd(audit, `${second?.[0].split('-')[0]}-99`, 'd', '{"half').catch(() => undefined);
  const [first, broken, last] = await threeTasks(withClockAhead(db, -HOUR), org, isHash);
  let text = '';
  const sealer = createSealer([randomBytes(32)]);
  for await (const piece of exportAudit(db, sealer, org, { from: 0, to: null })) text += piece;
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; chain?: string });
  const heads = lines.filter(({ kind }) => kind === 'head').map(({ chain }) => chain);
  expect(heads).toEqual(['org', `task/${first.task_id}`, `task/${last.task_id}`]);
  expect(text).not.toContain(`task/${broken.task_id}`);
  expect(lines.filter(({ kind, chain }) => kind === 'entry' && chain === 'org')).toHaveLength(2);
});

it('the sweep of evidence sets a member aside that is no file, and removes all others', async () => {
  const db = ownStore();
  const org = await addOrg(db);
  const folder = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { orphanedFiles } = orgKeysOf(db.prefix, org);
  await db.redis.zadd(orphanedFiles, 1, '../../etc', 1, `${org}/task/one`, 2, `${org}/task/two`);
  expect(await sweepEvidence(db, await openEvidenceFiles(folder), 0)).toBe(2);
  expect(await db.redis.zcard(orphanedFiles)).toBe(0);
  const dead = (await deadEntries(db)).map(({ kind, name }) => [kind, name]);
  expect(dead).toContainEqual(['member', '../../etc']);
});

it('the tail of a feed sends all events but those that cannot be read', async () => {
  const db = ownStore();
  const org = await addOrg(db);
  const subscriber = connectSubscriber(testTopology(), 'patient', () => undefined);
  await whenReady(subscriber);
  onTestFinished(() => subscriber.disconnect());
  const told: TailEvent[] = [];
  const follower = {
    position: '0-0/0',
    receive: (events: readonly TailEvent[]) => void told.push(...events),
    ready: async () => undefined,
    isClosed: false,
  };
  const stop = await new FeedTails(db, new Changes(subscriber, db.prefix)).follow(org, follower);
  onTestFinished(stop);
  const { feed, changes } = orgKeysOf(db.prefix, org);
  await db.redis.xadd(feed, '*', 'task', 'x', 'sequence', 'none', 'events', 'created');
  await db.redis.xadd(feed, '*', 'o', '{"half');
  const [first, broken, last] = await threeTasks(db, org, true);
  const cancelled = await applyCommands(db, last, { name: 'cancel', reason: null });
  await db.redis.spublish(changes, 'feed');
  const ofTask = ({ task_id }: Task) =>
    told.filter(({ event }) => 'task_id' in event && event.task_id === task_id).length;
  await expect.poll(() => [ofTask(first), ofTask(cancelled)]).toEqual([2, 3]);
  // Events that were read before the damage are still sent.
  expect(ofTask(broken)).toBeLessThanOrEqual(2);
});
