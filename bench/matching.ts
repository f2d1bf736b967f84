// The duration of matching with many ready workers and waiting tasks, at a tenth of the size and at full size, to show how
// it grows. Runs the look-ups and commits of the processors in this process.

import { setTimeout as sleep } from 'node:timers/promises';
import { matchTask } from '../src/processors/matching.ts';
import type { Requirements, TaskInput } from '../src/state/tasks/task.ts';
import { newTrackRecord } from '../src/state/workers/track-record.ts';
import type { Worker } from '../src/state/workers/worker.ts';
import { createTask } from '../src/store/commands/change.ts';
import { RedisClock } from '../src/store/redis/clock.ts';
import { commit } from '../src/store/redis/commit.ts';
import { connect, type Db, whenReady } from '../src/store/redis/connection.ts';
import { newId } from '../src/store/redis/ids.ts';
import { readTopology } from '../src/store/redis/topology.ts';
import { firstWaitingFor } from '../src/store/workers/candidates.ts';
import { workerWrites } from '../src/store/workers/workers.ts';
import { inTurns, type Measured } from './measures.ts';
import type { BenchEnvironment } from './stage.ts';

const WORKERS = 10_000;
const TASKS = 100_000;
const SKILLS = 40;
const ROUNDS = 1000;
/** Rounds before the measurement, to warm up. */
const WARM_UP = 100;

interface Times {
  p50_ms: number;
  p99_ms: number;
}

/** Measures matching with this share of 10 000 ready workers and 100 000 waiting tasks, and with a tenth of it. */
export async function measureMatching(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const small = await measureAt(stage, scale / 10);
  const large = await measureAt(stage, scale);
  return {
    figures: { workers: WORKERS * scale, waiting_tasks: TASKS * scale, at_a_tenth: small, whole: large },
    rows: Object.entries(large).map(([what, { p99_ms }]) => {
      const before = small[what]?.p99_ms ?? 0;
      return [`p99 ms, ${what} (base: a tenth)`, p99_ms, before, Math.round((p99_ms / before) * 100) / 100];
    }),
  };
}

async function measureAt(stage: BenchEnvironment, scale: number): Promise<Record<string, Times>> {
  await stage.redis.flushall();
  const redis = connect(readTopology(stage.redisUrl), 'patient', () => undefined);
  await whenReady(redis);
  const clock = new RedisClock(redis);
  await clock.sync();
  const db: Db = { redis, prefix: 'bl', clock };
  const org = newId(db.clock.now());
  let made = 0;
  await inTurns(WORKERS * scale, 50, () => addWorker(db, org, made++));
  // Waiting tasks require a certification that no ready worker has, in one matching queue per skill and level.
  let waiting = 0;
  await inTurns(TASKS * scale, 50, () => {
    waiting += 1;
    const skills = [`s${waiting % SKILLS}`];
    return addTask(db, org, { skills, certifications: ['rare'], trust_level: waiting % 3 });
  });
  const times: Record<string, Times> = {};
  times['a task somebody can do'] = await timed(async (round) => {
    const id = await addTask(db, org, { skills: [`s${round % SKILLS}`], trust_level: 2 });
    return () => matchTask(db, org, id);
  });
  times['a task nobody can do'] = await timed(async (round) => {
    // Many workers have one of the skills, but none has both.
    const id = await addTask(db, org, { skills: [`s${round % SKILLS}`, `s${(round + 1) % SKILLS}`] });
    return () => matchTask(db, org, id);
  });
  const able = worker(org, 'able', ['s1', 's2', 's3'], ['rare']);
  times['a worker for the first that waits'] = await timed(async () => () => firstWaitingFor(db, able));
  const unable = worker(org, 'unable', ['s1', 's2', 's3'], []);
  times['a worker for none that waits'] = await timed(async () => () => firstWaitingFor(db, unable));
  redis.disconnect();
  return times;
}

/** Measures the work that `prepare` returns, once per round. */
async function timed(prepare: (round: number) => Promise<() => Promise<unknown>>): Promise<Times> {
  const taken: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const work = await prepare(round);
    // Lets pending callbacks of the preparation run before the measurement.
    await sleep(0);
    const start = performance.now();
    await work();
    if (round >= WARM_UP) taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  const at = (share: number) => Math.round((taken[Math.floor(taken.length * share)] ?? 0) * 100) / 100;
  return { p50_ms: at(0.5), p99_ms: at(0.99) };
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
