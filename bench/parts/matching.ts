// The duration of matching among many ready workers and waiting tasks, in orgs of different size, to show how it grows. Runs the look-ups and commits of the processors in this process.

import { setTimeout as sleep } from 'node:timers/promises';
import { matchTask } from '../../src/processors/matching.ts';
import type { Requirements, TaskInput } from '../../src/state/tasks/task.ts';
import { newTrackRecord } from '../../src/state/workers/track-record.ts';
import type { Worker } from '../../src/state/workers/worker.ts';
import { createTask } from '../../src/store/commands/change.ts';
import { RedisClock } from '../../src/store/redis/clock.ts';
import { commit } from '../../src/store/redis/commit.ts';
import { connect, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { newId } from '../../src/store/redis/ids.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { firstWaitingFor } from '../../src/store/workers/candidates.ts';
import { workerWrites } from '../../src/store/workers/workers.ts';
import { inTurns } from '../measures.ts';
import {
  inRounds,
  type Measured,
  type Plot,
  quantile,
  type Row,
  row,
  type Size,
  summary,
} from '../rounds.ts';
import type { BenchEnvironment } from '../stage.ts';

const WORKERS = 10_000;
const TASKS = 100_000;
/** Shares of both, each in an org of its own. */
const SHARES = [0.01, 0.1, 1];
const SKILLS = 40;
/** Trust levels and ratings that waiting tasks ask for: with the skills, 2040 matching queues. */
const TRUST_LEVELS = 3;
const RATINGS = 17;
/** Matches of a round. */
const MATCHES = 150;

export async function measureMatching(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const redis = connect(readTopology(stage.redisUrl), 'patient', () => undefined);
  await whenReady(redis);
  const clock = new RedisClock(redis);
  await clock.sync();
  const db: Db = { redis, prefix: 'bl', clock };
  const orgs = new Map<number, Record<string, Match>>();
  for (const share of SHARES) orgs.set(share, await fill(db, scale * share));
  const [, tenth = 0, whole = 0] = SHARES;
  const rows: Row[] = [];
  const points: Plot['points'] = [];
  for (const name of Object.keys(orgs.get(whole) ?? {})) {
    const measured = await inRounds(
      rounds,
      Object.fromEntries([...orgs].map(([share, all]) => [`s${share}`, () => p99(all[name])])),
      true,
    );
    const of = (share: number) => measured[`s${share}`] ?? [];
    for (const share of SHARES)
      points.push({ series: name, x: TASKS * scale * share, ...summary(of(share)) });
    rows.push(
      row(
        [`match among ${TASKS * scale} tasks, ${name}: p99`, 'ms', 'lower'],
        of(whole),
        { what: 'a tenth of workers and tasks', values: of(tenth) },
        '≤ 10 ms, flat',
      ),
    );
  }
  redis.disconnect();
  return {
    rows,
    plots: [
      {
        file: 'matching',
        title: 'A match, by the number of waiting tasks (p99); workers: a tenth of it',
        x: 'waiting tasks',
        y: 'ms',
        log: { x: true, y: true },
        points,
      },
    ],
  };
}

/** Prepares a match; the function that it returns is measured. */
type Match = (round: number) => Promise<() => Promise<unknown>>;

/** An org with this share of the workers and waiting tasks, and the matches to measure in it. */
async function fill(db: Db, scale: number): Promise<Record<string, Match>> {
  const org = newId(db.clock.now());
  let made = 0;
  await inTurns(WORKERS * scale, 50, () => addWorker(db, org, made++));
  // Waiting tasks require a certification that no ready worker has, in a matching queue for each of their requirements.
  let waiting = 0;
  await inTurns(TASKS * scale, 50, () => {
    waiting += 1;
    return addTask(db, org, {
      skills: [`s${waiting % SKILLS}`],
      certifications: ['rare'],
      trust_level: Math.floor(waiting / SKILLS) % TRUST_LEVELS,
      min_rating: (Math.floor(waiting / (SKILLS * TRUST_LEVELS)) % RATINGS) / 4,
    });
  });
  const able = worker(org, 'able', ['s1', 's2', 's3'], ['rare']);
  const unable = worker(org, 'unable', ['s1', 's2', 's3'], []);
  return {
    'an eligible worker': async (round) => {
      const id = await addTask(db, org, { skills: [`s${round % SKILLS}`], trust_level: 2 });
      return () => matchTask(db, org, id);
    },
    'no eligible worker': async (round) => {
      // Many workers have one of the skills, but none has both.
      const id = await addTask(db, org, { skills: [`s${round % SKILLS}`, `s${(round + 1) % SKILLS}`] });
      return () => matchTask(db, org, id);
    },
    'first task of a worker': async () => () => firstWaitingFor(db, able),
    'no task for a worker': async () => () => firstWaitingFor(db, unable),
  };
}

async function p99(prepare: Match | undefined): Promise<number> {
  const taken: number[] = [];
  for (let count = 0; count < MATCHES; count += 1) {
    const work = await prepare?.(count);
    // Lets pending callbacks of the preparation run before the measurement.
    await sleep(0);
    const start = performance.now();
    await work?.();
    taken.push(performance.now() - start);
  }
  return quantile(taken, 0.99);
}

async function addWorker(db: Db, org: string, index: number): Promise<void> {
  const skills = [0, 1, 2].map((one) => `s${(index * 7 + one * 11) % SKILLS}`);
  const made = worker(org, `w${index}`, skills, index % 2 === 0 ? ['common'] : []);
  await commit(db.redis, workerWrites(db, null, { ...made, idle_since: made.idle_since + index }));
}

function worker(org_id: string, worker_id: string, skills: string[], certifications: string[]): Worker {
  const now = Date.now() - 3600_000;
  return {
    worker_id,
    org_id,
    version: 1,
    name: worker_id,
    pool_ids: [],
    skills,
    certifications,
    trust_level: 3,
    rating: 4.5,
    track: newTrackRecord(4.5),
    capacity: 1,
    availability: 'available',
    draining: false,
    reservations: [],
    idle_since: now,
    created_at: now,
    updated_at: now,
  };
}

async function addTask(db: Db, org_id: string, requirements: Requirements): Promise<string> {
  const input: TaskInput = {
    origin: { org_id, product: 'bench', request_id: 'r', created_by: 'bench' },
    task_type: 'bench',
    domain: 'bench',
    title: 'Wait',
    instructions: 'Wait.',
    sla: { urgency: 'normal' },
    requirements,
    output: { expected_format: 'text', evidence_required: false, review: { mode: 'auto' } },
    audit: { log_required: true, retain_days: 365 },
  };
  const created = await createTask(db, input, { org_id, actor: 'bench' });
  if (!created.ok) throw new Error(created.message);
  return created.task.task_id;
}
