// The lifecycle of a task as data: its states, the commands that move it, and the one table that says which command is
// allowed in which state and where it leads. Decisions, docs, OpenAPI and tests read this table; nothing else knows
// which transitions are legal.

export const STATUSES = [
  'created',
  'queued',
  'matched',
  'offered',
  'accepted',
  'started',
  'submitted',
  'verified',
  'completed',
  'failed',
  'cancelled',
] as const;

/** The status of a task. The last three are final. */
export type Status = (typeof STATUSES)[number];

export function isStatus(text: string): text is Status {
  return STATUSES.some((one) => one === text);
}

/** Event types that are delivered unless `events` says otherwise. */
export const DEFAULT_EVENT_TYPES = [
  'task.created',
  'task.queued',
  'task.matched',
  'task.offered',
  'task.accepted',
  'task.started',
  'task.submitted',
  'task.verified',
  'task.completed',
  'task.failed',
  'task.cancelled',
  'task.sla_breached',
] as const;

/** All event types. Those without a default are in the history and the feed, and delivered where `events` names them. */
export const EVENT_TYPES = [
  ...DEFAULT_EVENT_TYPES,
  'task.updated',
  'task.assigned',
  'task.requeued',
  'task.question_asked',
  'task.question_answered',
  'task.message_added',
  'task.escalated',
  'task.reported',
  'task.disputed',
] as const;

/** Each state has the event of its name; the others tell of something that leaves the state as it is. */
export type EventType = (typeof EVENT_TYPES)[number];

export const COMMANDS = [
  'queue',
  'match',
  'offer',
  'accept',
  'decline',
  'expire',
  'revoke',
  'start',
  'release',
  'start_timeout',
  'remove_worker',
  'remove_pool',
  'submit',
  'verify',
  'approve',
  'rework',
  'reassign',
  'reject',
  'complete',
  'cancel',
  'deadline',
  'target_latency',
  'relax',
  'due_soon',
  'update',
  'escalate',
  'requeue',
  'assign',
  'report',
  'return_reported',
  'reject_reported',
  'message',
  'read_messages',
  'update_copies',
  'disagree',
  'dispute',
  'resolve_dispute',
] as const;

export type CommandName = (typeof COMMANDS)[number];

/** A row: in any state of `from`, the command leads to `to`. `when` is for the documentation. */
export interface Transition {
  readonly command: CommandName;
  readonly from: readonly Status[];
  readonly to: Status;
  readonly when: string;
}

/** A row: in any state of `from`, the command changes the task and leaves its state as it is. */
type InPlace = Omit<Transition, 'to'>;

/**
 * The table. A command of `RETURN_TO_QUEUE` fails the task instead when its deadline has passed (`deadline_exceeded`) or
 * its attempts are used up (`attempts_exhausted`). A command of `AT_DEADLINE` completes the task, where it would fail it
 * with `deadline_exceeded`, if `sla.on_deadline` gives a default output.
 */
export const TRANSITIONS: readonly Transition[] = [
  {
    command: 'queue',
    from: ['created'],
    to: 'queued',
    when: "accepted into the org's queue, at once or at not_before",
  },
  {
    command: 'match',
    from: ['queued'],
    to: 'matched',
    when: 'an eligible worker with free capacity is found',
  },
  { command: 'offer', from: ['matched'], to: 'offered', when: 'the offer is made, with its expiry' },
  { command: 'accept', from: ['offered'], to: 'accepted', when: 'the worker accepts in time' },
  { command: 'decline', from: ['offered'], to: 'queued', when: 'the last pending offer is declined' },
  { command: 'expire', from: ['offered'], to: 'queued', when: 'the last pending offer expires' },
  { command: 'revoke', from: ['offered'], to: 'queued', when: 'the last pending offer is revoked' },
  { command: 'start', from: ['accepted'], to: 'started', when: 'the worker starts' },
  { command: 'release', from: ['accepted', 'started'], to: 'queued', when: 'the worker returns the task' },
  { command: 'start_timeout', from: ['accepted'], to: 'queued', when: 'accepted but not started in time' },
  {
    command: 'remove_worker',
    from: ['offered', 'accepted', 'started', 'submitted'],
    to: 'queued',
    when: 'the worker is removed',
  },
  {
    command: 'remove_pool',
    from: ['matched', 'offered', 'accepted', 'started'],
    to: 'queued',
    when: 'the pool is removed',
  },
  {
    command: 'submit',
    from: ['started'],
    to: 'submitted',
    when: 'output valid against the schema, evidence there if required',
  },
  { command: 'verify', from: ['submitted'], to: 'verified', when: 'automatic checks pass' },
  { command: 'approve', from: ['submitted'], to: 'verified', when: 'a reviewer approves the submission' },
  { command: 'rework', from: ['submitted'], to: 'started', when: 'a reviewer asks its worker for changes' },
  { command: 'reassign', from: ['submitted'], to: 'queued', when: 'a reviewer asks for another worker' },
  { command: 'reject', from: ['submitted'], to: 'failed', when: 'a reviewer rejects the submission' },
  { command: 'complete', from: ['verified'], to: 'completed', when: 'the result is handed over' },
  {
    command: 'cancel',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started'],
    to: 'cancelled',
    when: 'the integrator cancels',
  },
  {
    command: 'requeue',
    from: ['matched', 'offered', 'accepted', 'started', 'submitted'],
    to: 'queued',
    when: 'a supervisor returns the task to the queue',
  },
  {
    command: 'report',
    from: ['accepted', 'started'],
    to: 'queued',
    when: 'its worker reports a problem to the reviewers',
  },
  { command: 'reject_reported', from: ['queued'], to: 'failed', when: 'a reviewer rejects a reported task' },
  {
    command: 'deadline',
    from: ['created', 'queued', 'matched', 'offered'],
    to: 'failed',
    when: 'the deadline passes and no worker has accepted',
  },
  {
    command: 'disagree',
    from: ['queued', 'accepted', 'started'],
    to: 'failed',
    when: 'the answers of its copies can no longer agree',
  },
];

/** Commands that change a task and leave its state as it is, with the states in which they may. */
export const IN_PLACE: readonly InPlace[] = [
  ...(['decline', 'expire', 'revoke', 'remove_worker'] as const).map(
    (command): InPlace => ({
      command,
      from: ['offered'],
      when: 'other offers of the task are still pending',
    }),
  ),
  {
    command: 'deadline',
    from: ['accepted', 'started'],
    when: 'the deadline passes while a worker is at work',
  },
  {
    command: 'target_latency',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started'],
    when: 'the target latency passes without a submission',
  },
  { command: 'relax', from: ['queued'], when: 'a relaxation step changes its requirements' },
  {
    command: 'due_soon',
    from: ['accepted', 'started'],
    when: 'its worker is reminded that the deadline is near',
  },
  {
    command: 'update',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started', 'submitted', 'verified'],
    when: 'its SLA, requirements or metadata are changed',
  },
  { command: 'assign', from: ['queued'], when: 'a supervisor names a worker, who gets an offer or the task' },
  {
    command: 'escalate',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started', 'submitted', 'verified'],
    when: 'an escalation is due',
  },
  {
    command: 'return_reported',
    from: ['queued'],
    when: 'a reviewer returns a reported task to the workers',
  },
  {
    command: 'message',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started', 'submitted'],
    when: 'its worker or the requester writes a message',
  },
  {
    command: 'read_messages',
    from: ['created', 'queued', 'matched', 'offered', 'accepted', 'started', 'submitted'],
    when: 'the worker or the requester has read messages',
  },
  {
    command: 'update_copies',
    from: ['queued', 'accepted', 'started'],
    when: 'a copy is accepted or ends, or further copies are made',
  },
  { command: 'dispute', from: ['failed'], when: 'its worker disputes the rejection that ended it' },
  { command: 'resolve_dispute', from: ['failed'], when: 'a reviewer decides on the dispute' },
];

/** Commands that return a task to the queue, or fail it when its deadline has passed or its attempts are used up. */
export const RETURN_TO_QUEUE: readonly CommandName[] = TRANSITIONS.filter(
  (row) => row.to === 'queued' && row.command !== 'queue',
).map((row) => row.command);

/** Commands that may fail a task with `deadline_exceeded`, or complete it with its default output. */
export const AT_DEADLINE: readonly CommandName[] = ['deadline', 'disagree', ...RETURN_TO_QUEUE];

const FINAL: ReadonlySet<Status> = new Set(['completed', 'failed', 'cancelled']);

/** Whether the task has ended: its status no longer changes. */
export function isFinal(status: Status): boolean {
  return FINAL.has(status);
}

const targets = new Map<string, Status>(
  TRANSITIONS.flatMap((row) => row.from.map((from) => [`${row.command} ${from}`, row.to] as const)),
);

/** Where `command` leads from `from`; null when it does not leave this state. */
export function target(command: CommandName, from: Status): Status | null {
  return targets.get(`${command} ${from}`) ?? null;
}

/** Whether `command` may be given in this state. */
export function isAllowed(command: CommandName, status: Status): boolean {
  return (
    target(command, status) !== null ||
    IN_PLACE.some((row) => row.command === command && row.from.includes(status))
  );
}

/** Whether a task in this state has a submission that was not sent back. Its SLA clocks are met. */
export function isSubmitted(status: Status): boolean {
  return status === 'submitted' || status === 'verified' || status === 'completed';
}
