// Runs all checks of a partition that are due at a moment. Many tasks that are due together share one job, their reads and
// their way to Redis. The index of due times says which tasks they are; each check of a task is a change of its own, as if it had
// a job of its own.
//
// 1. The job claims a page of tasks, runs their checks, ends the claims, and goes on until no task is left.
// 2. While there are more, another job shares the work, in this process or in another.
// 3. The first job of a moment ends only when no task is claimed by others either. If their process dies, the claims end, and
//    it runs these checks.
// 4. A check that fails on its own gets a job of its own, where it is repeated and seen. An unreadable task is put off.

import type { Jobs, MomentJob } from '../queues/catalogue.ts';
import { checkJob, momentJob } from '../queues/new-jobs.ts';
import { putOffJob } from '../queues/redis-time.ts';
import { checkKey, checksOf, nextDue, type ScheduledCheck } from '../state/tasks/scheduled-checks.ts';
import type { Task } from '../state/tasks/task.ts';
import { commit } from '../store/redis/commit.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import type { Scored } from '../store/redis/score-pages.ts';
import { concernsOneItem, reportFailed, UnreadableRecord } from '../store/redis/unreadable.ts';
import { claimDue, finishDue, releaseDue } from '../store/tasks/due-index.ts';
import { loadTask } from '../store/tasks/tasks.ts';
import type { RunnableJob } from './job-guard.ts';
import { actOnMember } from './overdue-members.ts';
import { runCheck, runCheckJob, type SlaDeps } from './timers.ts';

/** Tasks of a page. */
const PAGE = 100;
/** Most pages of a run of a job, which then goes on behind other jobs. */
const MOST_PAGES = 100;
/** Most jobs that share the work of a moment. */
const MOST_PARTS = 8;
/** The first job of a moment looks again after this while others work, ms. */
const AWAIT_OTHERS_MS = 1000;
/** A task whose checks are due although nothing came of them is looked at again after this, ms. */
const RETRY_MS = 30_000;
/** Checks of one task that are run at a time; a run may make further checks due. */
const MOST_CHECKS = 20;

/** What became of a task: its checks were run; or it stays as it is, and is to be looked at after this time, ms, or not again. */
type Outcome = { kind: 'done' } | { kind: 'stays'; wait: number | null };
const DONE: Outcome = { kind: 'done' };

/** Runs a job of the `sla` queue. @param job to put it off. @param token BullMQ's, of its lock. */
export async function runSlaJob(
  deps: SlaDeps,
  read: Jobs['sla'],
  job: Pick<RunnableJob, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  await (read.name === 'moment'
    ? runMoment(deps, read.data, job, token)
    : runCheckJob(deps, read.data, job, token));
}

/** Runs the job of a moment. @param job to put it off. @param token BullMQ's, of its lock. */
async function runMoment(
  deps: SlaDeps,
  { partition, at, part }: MomentJob,
  job: Pick<RunnableJob, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  const { db, queues } = deps;
  const early = at - db.clock.now();
  if (early > 0) await putOffJob(job, early, token);
  const kept: Scored[] = [];
  const waits: number[] = [];
  let isShared = part === MOST_PARTS;
  try {
    for (let pages = 0; ; pages += 1) {
      if (pages === MOST_PAGES) {
        waits.push(1);
        break;
      }
      const { members, others } = await claimDue(db, partition, at, PAGE);
      if (members.length === 0) {
        if (others > kept.length && part === 1) waits.push(AWAIT_OTHERS_MS);
        break;
      }
      if (members.length === PAGE && !isShared) {
        isShared = true;
        await queues.add([momentJob({ partition, at, part: part + 1 }, db.clock.now())]);
      }
      const stays = await runPage(deps, partition, members);
      for (const { member, wait } of stays) {
        kept.push(member);
        if (wait !== null) waits.push(wait);
      }
      // Nothing may expire now, which holds for the others too.
      if (stays.length === members.length && waits.length > 0) break;
    }
  } finally {
    // If Redis does not answer, the claims end by themselves.
    await releaseDue(db, partition, kept).catch(() => undefined);
  }
  if (waits.length > 0) await putOffJob(job, Math.min(...waits), token);
}

/** Runs the checks of claimed tasks. @returns the tasks that stay as they are; their claims are kept meanwhile. */
async function runPage(
  deps: SlaDeps,
  partition: string,
  members: readonly Scored[],
): Promise<{ member: Scored; wait: number | null }[]> {
  const { db } = deps;
  const index = { partition, key: partitionKeys(db.prefix, partition).due, pattern: /^\S+ \S+$/ };
  const outcomes = await Promise.allSettled(
    members.map(async (member) => {
      let outcome = DONE;
      // A malformed member, or one of an unreadable task, leaves the page.
      await actOnMember(db, deps.log, index, member, async () => {
        outcome = await runChecksOf(deps, index.key, member);
      });
      return outcome;
    }),
  );
  const failed = outcomes.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    // An outage: the job is repeated, and claims these tasks again.
    await releaseDue(db, partition, members).catch(() => undefined);
    throw failed.reason;
  }
  const done: Scored[] = [];
  const stays: { member: Scored; wait: number | null }[] = [];
  for (const [at, member] of members.entries()) {
    const one = outcomes[at];
    if (one?.status === 'fulfilled' && one.value.kind === 'stays')
      stays.push({ member, wait: one.value.wait });
    else done.push(member);
  }
  await finishDue(db, partition, done, db.clock.now() + RETRY_MS);
  return stays;
}

/** Runs the checks of a task that are due, until none is left. */
async function runChecksOf(deps: SlaDeps, key: string, [member, score]: Scored): Promise<Outcome> {
  const { db, queues } = deps;
  const [org_id = '', task_id = ''] = member.split(' ');
  const loaded = await loadTask(db, org_id, task_id);
  if (loaded === null || dueChecks(loaded.task, db.clock.now()).length === 0) {
    await correct(deps, key, [member, score], loaded?.task ?? null);
    return DONE;
  }
  let { task } = loaded;
  const tried = new Set<string>();
  for (let count = 0; count < MOST_CHECKS; count += 1) {
    const [check] = dueChecks(task, db.clock.now()).filter((one) => !tried.has(checkKey(one)));
    if (check === undefined) return DONE;
    tried.add(checkKey(check));
    // It runs elsewhere; the sweeper adds its job again if it was lost.
    if (check.kind === 'verify') return { kind: 'stays', wait: null };
    try {
      const ran = await runCheck(deps, task, check, task === loaded.task ? loaded : undefined);
      if (ran.kind === 'not_yet') return { kind: 'stays', wait: ran.wait };
      if (ran.task !== null) task = ran.task;
    } catch (error) {
      if (error instanceof UnreadableRecord || !concernsOneItem(error)) throw error;
      reportFailed(db, `${key} ${member}`, error);
      await queues.add([checkJob(task, check, db.clock.now())]);
    }
  }
  return DONE;
}

/** The checks of the index that are due, the earliest first. @param now ms */
function dueChecks(task: Task, now: number): Exclude<ScheduledCheck, { kind: 'match' }>[] {
  return checksOf(task)
    .filter((one) => one.kind !== 'match')
    .filter((one) => one.at <= now)
    .sort((one, other) => one.at - other.at);
}

/** Corrects the due time of a task that has nothing due, unless it has changed since. */
async function correct(
  { db }: SlaDeps,
  key: string,
  [member, score]: Scored,
  task: Task | null,
): Promise<void> {
  const due = task === null ? null : nextDue(checksOf(task));
  if (due === score) return;
  await commit(db.redis, {
    guards: [{ kind: 'score', key, member, score }],
    writes: [due === null ? ['ZREM', key, member] : ['ZADD', key, due, member]],
  });
}
