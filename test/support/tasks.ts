// Sample inputs, workers and pools for tests without the API, and tasks brought to a status by real commands.
import { randomUUID } from 'node:crypto';
import type { Command, CommandContext } from '../../src/state/tasks/command.ts';
import { apply, create, decide } from '../../src/state/tasks/decide.ts';
import type { TaskEvent } from '../../src/state/tasks/event.ts';
import { EVENT_TYPES, type Status } from '../../src/state/tasks/lifecycle.ts';
import type { Handoff, ReviewMode, Task, TaskInput } from '../../src/state/tasks/task.ts';
import { timestamp } from '../../src/state/text/time.ts';
import { newTrackRecord } from '../../src/state/workers/track-record.ts';
import type { Pool, Worker } from '../../src/state/workers/worker.ts';

/** Creation time of the samples of pure tests, ms. */
export const NOW = Date.UTC(2026, 1, 4, 19, 21);
const ORG = '018f0000-0000-7000-8000-000000000001';

export interface InputChange {
  org_id?: string;
  sla?: Partial<TaskInput['sla']>;
  requirements?: TaskInput['requirements'];
  review?: ReviewMode;
  handoff?: Partial<Handoff>;
  more?: Partial<Pick<TaskInput, 'audit' | 'context' | 'metadata' | 'domain' | 'title' | 'not_before'>>;
}

/** The input of a task: text output, normal urgency, no SLA, no requirements and no callback, unless changed. */
export function sampleInput(change: InputChange = {}): TaskInput {
  const { requirements, handoff } = change;
  return {
    origin: {
      org_id: change.org_id ?? ORG,
      product: 'threatlabs',
      request_id: 'IR-48219',
      created_by: 'system',
    },
    task_type: 'verification',
    domain: 'security',
    title: 'Verify endpoint owner activity',
    instructions: 'Call the endpoint owner and confirm the session.',
    sla: { urgency: 'normal', ...change.sla },
    ...(requirements !== undefined && { requirements }),
    output: {
      expected_format: 'text',
      evidence_required: false,
      review: change.review ?? { mode: 'auto' },
    },
    ...(handoff !== undefined && {
      handoff: {
        callback_auth: { type: 'none' },
        retry_policy: { max_retries: 6, backoff_seconds: 30 },
        events: [...EVENT_TYPES],
        ...handoff,
      },
    }),
    audit: { log_required: true, retain_days: 365 },
    ...change.more,
  };
}

/** An available worker with capacity 1, unless changed. */
export function sampleWorker(change: Partial<Worker> = {}): Worker {
  return {
    worker_id: `w-${randomUUID().slice(0, 8)}`,
    org_id: ORG,
    version: 1,
    name: 'Ada',
    pool_ids: [],
    skills: [],
    certifications: [],
    trust_level: 3,
    rating: 4.5,
    track: newTrackRecord(change.rating ?? 4.5),
    capacity: 1,
    availability: 'available',
    draining: false,
    reservations: [],
    idle_since: NOW,
    created_at: NOW,
    updated_at: NOW,
    ...change,
  };
}

export function samplePool(change: Partial<Pool> = {}): Pool {
  return {
    pool_id: 'pool',
    org_id: ORG,
    version: 1,
    name: 'Pool',
    offer_mode: 'sequential',
    broadcast_size: 5,
    offer_ttl_seconds: null,
    created_at: NOW,
    updated_at: NOW,
    ...change,
  };
}

/** The context of a command in a pure test. */
export function contextAt(now: number, actor = 'system'): CommandContext {
  return { now, actor, newId: randomUUID };
}

/** The task after the commands. @throws Error when one is refused. */
export function taskAfter(task: Task, commands: readonly Command[], now: number): Task {
  const decision = decide(task, commands, contextAt(now));
  if (!decision.ok) throw new Error(`${commands.map((one) => one.name)}: ${decision.refusal.message}`);
  return decision.task;
}

export const WORKER = 'worker-1';
export const OFFER = 'offer-1';
/** When the offer of a sample expires, ms. */
export const OFFER_ENDS = NOW + 120_000;
/** When a sample worker accepts, ms. */
export const ACCEPTED = NOW + 1000;

/** The commands that bring a sample to each status from the previous one. */
export const COMMANDS_TO_REACH: Record<Status, readonly Command[] | null> = {
  created: null,
  queued: [],
  matched: [{ name: 'match', worker_ids: [WORKER] }],
  offered: [
    { name: 'match', worker_ids: [WORKER] },
    { name: 'offer', offers: [{ offer_id: OFFER, worker_id: WORKER, expires_at: OFFER_ENDS }] },
  ],
  accepted: [{ name: 'accept', offer_id: OFFER, worker_id: WORKER }],
  started: [{ name: 'start', worker_id: WORKER }],
  submitted: [
    { name: 'submit', worker_id: WORKER, submission: { output: 'done', evidence: [], notes: null } },
  ],
  verified: [{ name: 'approve', feedback: null }],
  completed: [{ name: 'complete' }],
  failed: [{ name: 'reject', feedback: null }],
  cancelled: [{ name: 'cancel', reason: null }],
};

/** A created task with its first event. */
export function createdTask(input = sampleInput(), now = NOW): { task: Task; events: TaskEvent[] } {
  const transition = create(input, { task_id: randomUUID(), org_id: input.origin.org_id }, contextAt(now));
  return { task: transition.task, events: transition.events };
}

/** A task created and queued in one transition, as by the store. */
export function queuedTask(input = sampleInput(), now = NOW, task_id: string = randomUUID()): Task {
  const transition = create(input, { task_id, org_id: input.origin.org_id }, contextAt(now));
  const decision = apply(transition, [{ name: 'queue' }]);
  if (!decision.ok) throw new Error(decision.refusal.message);
  return decision.task;
}

const LINE: readonly Status[] = [
  'queued',
  'offered',
  'accepted',
  'started',
  'submitted',
  'verified',
  'completed',
];

/** A task in `status`; offered at `NOW`, and everything later at `ACCEPTED`. */
export function taskIn(status: Status, input = sampleInput()): Task {
  if (status === 'created') return createdTask(input).task;
  if (status === 'cancelled')
    return taskAfter(queuedTask(input), [{ name: 'cancel', reason: null }], ACCEPTED);
  if (status === 'failed')
    return taskAfter(taskIn('submitted', input), COMMANDS_TO_REACH.failed ?? [], ACCEPTED);
  if (status === 'matched') return taskAfter(queuedTask(input), COMMANDS_TO_REACH.matched ?? [], NOW);
  let task = queuedTask(input);
  for (const next of LINE.slice(1, LINE.indexOf(status) + 1))
    task = taskAfter(task, COMMANDS_TO_REACH[next] ?? [], next === 'offered' ? NOW : ACCEPTED);
  return task;
}

/** `ms` in the time format of the contract. */
export const rfc3339 = timestamp;
