// Every state with every command, through `decide`: a command that the table allows leads to its state, any other is
// refused and changes nothing. Also the outcomes that depend on more than the state.
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { TaskEvent } from '../../../src/state/tasks/event.ts';
import {
  AT_DEADLINE,
  COMMANDS,
  type CommandName,
  IN_PLACE,
  isFinal,
  RETURN_TO_QUEUE,
  STATUSES,
  type Status,
  TRANSITIONS,
  target,
} from '../../../src/state/tasks/lifecycle.ts';
import type { Report } from '../../../src/state/tasks/report.ts';
import { DEFAULT_MAX_ATTEMPTS, type Task, type TaskInput } from '../../../src/state/tasks/task.ts';
import { taskView } from '../../../src/state/tasks/view.ts';
import { effectsOf } from '../../../src/state/workers/worker.ts';
import {
  ACCEPTED,
  contextAt,
  NOW,
  OFFER,
  OFFER_ENDS,
  queuedTask,
  rfc3339,
  sampleInput,
  taskAfter,
  taskIn,
  WORKER,
} from '../../support/tasks.ts';

const MINUTE = 60_000;
const DEADLINE = NOW + 5 * MINUTE;
const submission = { output: 'done', evidence: [], notes: null };

/** A command that fits the samples, so that only the state decides. */
const FITTING: { [K in CommandName]: Command & { name: K } } = {
  queue: { name: 'queue' },
  match: { name: 'match', worker_ids: [WORKER] },
  offer: { name: 'offer', offers: [{ offer_id: OFFER, worker_id: WORKER, expires_at: OFFER_ENDS }] },
  accept: { name: 'accept', offer_id: OFFER, worker_id: WORKER },
  decline: { name: 'decline', offer_id: OFFER, worker_id: WORKER, reason: 'busy' },
  expire: { name: 'expire', offer_id: OFFER },
  revoke: { name: 'revoke', worker_id: WORKER },
  start: { name: 'start', worker_id: WORKER },
  release: { name: 'release', worker_id: WORKER, reason: 'ill' },
  start_timeout: { name: 'start_timeout', accepted_at: ACCEPTED },
  remove_worker: { name: 'remove_worker', worker_id: WORKER },
  remove_pool: { name: 'remove_pool' },
  submit: { name: 'submit', worker_id: WORKER, submission },
  verify: { name: 'verify' },
  approve: { name: 'approve', feedback: null },
  rework: { name: 'rework', feedback: 'again' },
  reassign: { name: 'reassign', feedback: 'another' },
  reject: { name: 'reject', feedback: 'no' },
  complete: { name: 'complete' },
  cancel: { name: 'cancel', reason: 'mistake' },
  deadline: { name: 'deadline' },
  target_latency: { name: 'target_latency' },
  relax: { name: 'relax' },
  due_soon: { name: 'due_soon' },
  requeue: { name: 'requeue', reason: 'shift ends' },
  assign: { name: 'assign', worker_id: WORKER, mode: 'offer', forced: false },
  update: { name: 'update', patch: { metadata: { lead: 'ada' } } },
  escalate: { name: 'escalate', number: 1, pool_gone: false, offer_ttl_ms: MINUTE },
  report: { name: 'report', worker_id: WORKER, reason: 'abusive', text: null },
  return_reported: { name: 'return_reported', feedback: null },
  reject_reported: { name: 'reject_reported', feedback: 'no' },
  message: {
    name: 'message',
    message_id: 'message-1',
    author: { kind: 'requester', id: 'api_key:1' },
    text: 'Hello',
    is_question: false,
    answers: null,
  },
  read_messages: { name: 'read_messages', side: 'requester', through: 1 },
  update_copies: { name: 'update_copies', copies: [] },
  dispute: { name: 'dispute', worker_id: WORKER, text: 'It is right.' },
  resolve_dispute: { name: 'resolve_dispute', decision: 'uphold', text: null },
  disagree: {
    name: 'disagree',
    agreement: { mode: 'majority', agreed: false, count: 0, agreeing: 0, share: 0 },
    code: 'no_agreement',
    message: 'They differ.',
  },
};

/** Commands of tasks with several answers alone. */
const OF_COPIES: readonly CommandName[] = ['update_copies', 'disagree'];

/** The fitting command, and for each way that its fields decide where it leads another. */
function variants(command: CommandName): Command[] {
  const late = { ...FITTING.disagree, code: 'deadline_exceeded' } as const;
  return command === 'disagree' ? [FITTING.disagree, late] : [FITTING[command]];
}

/** The task as one with copies if the command is for those. */
function fitFor(command: CommandName, task: Task): Task {
  return OF_COPIES.includes(command) ? frozen({ ...task, copies: [] }) : task;
}

/** When the command is given: when the offer or the deadline is due, or before that for all other commands. */
const WHEN: Partial<Record<CommandName, number>> = {
  expire: OFFER_ENDS,
  deadline: DEADLINE,
  due_soon: DEADLINE,
};
const momentOf = (command: CommandName) => WHEN[command] ?? ACCEPTED;

/** A task in this state that takes the command in the states that the tables list for it. */
function sample(status: Status, command?: CommandName): Task {
  const task = taskIn(status, sampleInput({ sla: { deadline: rfc3339(DEADLINE) } }));
  return frozen(status === 'queued' && command === 'reject_reported' ? { ...task, report: REPORT } : task);
}

const REPORT: Report = {
  worker_id: WORKER,
  reason: 'unsafe',
  text: null,
  reported_at: NOW,
  decision: null,
};

/** Frozen, so that a test that changes it fails. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

const PAIRS = STATUSES.flatMap((status) => COMMANDS.map((command) => [status, command] as const));
const LEGAL = PAIRS.filter(([status, command]) => target(command, status) !== null);
const ILLEGAL = PAIRS.filter(([status, command]) => target(command, status) === null);

describe('a legal command', () => {
  it.each(LEGAL)('%s: %s leads to the state in the table', (status, command) => {
    const before = fitFor(command, sample(status, command));
    const decision = decide(before, [FITTING[command]], contextAt(momentOf(command), 'someone'));
    if (!decision.ok) throw new Error(decision.refusal.message);
    const { task, events } = decision;
    const to = target(command, status);
    expect(task.status).toBe(to);
    expect(task.version).toBe(before.version + 1);
    expect(task.updated_at).toBe(momentOf(command));
    expect(task.status_changed_at).toBe(momentOf(command));
    expect(events.map((one) => one.sequence)).toEqual(events.map((_, index) => before.sequence + 1 + index));
    expect(task.sequence).toBe(before.sequence + events.length);
    expect(events.at(-1)).toMatchObject({
      type: `task.${to}`,
      status: to,
      previous_status: status,
      at: momentOf(command),
      actor: 'someone',
    });
  });
});

/** States that the tables list for a command in a state, sorted. */
function listed(status: Status, command: CommandName): Status[] {
  const to = target(command, status);
  const staysIn = IN_PLACE.filter((row) => row.command === command && row.from.includes(status));
  const mayFail = to !== null && (RETURN_TO_QUEUE.includes(command) || command === 'rework');
  const mayComplete = to !== null && AT_DEADLINE.includes(command);
  return [
    ...new Set([
      ...(to === null ? [] : [to]),
      ...staysIn.map(() => status),
      ...(mayFail ? ['failed' as const] : []),
      ...(mayComplete ? ['completed' as const] : []),
    ]),
  ].sort();
}

describe('the tables of commands', () => {
  const steps = [{ after_seconds: 60, requirements: {} }];
  const input = sampleInput({
    sla: {
      deadline: rfc3339(DEADLINE),
      target_latency_seconds: 120,
      escalations: [{ after_seconds: 60, while: 'unfinished', urgency: 'high' }],
    },
    requirements: { skills: ['reading'], steps },
  });
  const twoOffers = [OFFER, 'offer-2'].map((offer_id, index) => ({
    offer_id,
    worker_id: index === 0 ? WORKER : 'other',
    expires_at: OFFER_ENDS,
  }));

  /** The task in this state, with one and with two offers, and with and without attempts left. */
  function samples(status: Status): Task[] {
    const onDeadline = { action: 'complete', output: 'none' } as const;
    const withDefault = { ...input, sla: { ...input.sla, on_deadline: onDeadline } };
    return [input, withDefault].flatMap((one) => samplesOf(status, one));
  }

  function samplesOf(status: Status, input: TaskInput): Task[] {
    const task = taskIn(status, input);
    const offered = taskAfter(queuedTask(input), [FITTING.match, { name: 'offer', offers: twoOffers }], NOW);
    const others: Partial<Record<Status, Task>> = {
      offered,
      queued: { ...task, report: REPORT },
      ...(status === 'failed' && { failed: taskAfter(task, [FITTING.dispute], ACCEPTED) }),
    };
    const all = [task, ...(others[status] === undefined ? [] : [others[status]])];
    return all.flatMap((one) => [one, { ...one, attempt: DEFAULT_MAX_ATTEMPTS }]).map(frozen);
  }

  it.each(PAIRS)('list every state that decide reaches: %s, %s', (status, command) => {
    const reached = new Set<Status>();
    for (const task of samples(status))
      for (const now of [ACCEPTED, NOW + MINUTE, OFFER_ENDS, DEADLINE]) {
        for (const one of variants(command)) {
          const decision = decide(fitFor(command, task), [one], contextAt(now));
          if (decision.ok) reached.add(decision.task.status);
        }
      }
    expect([...reached].sort()).toEqual(listed(status, command));
  });
});

/** Commands of scheduled checks: in a state that does not allow them, nothing is due. */
const SCHEDULED: readonly CommandName[] = ['deadline', 'target_latency', 'relax', 'due_soon', 'escalate'];

/** The codes other than `invalid_transition` with which a state refuses a command. */
const CODES: Partial<Record<CommandName, string>> = {
  cancel: 'task_not_cancellable',
  accept: 'offer_not_pending',
  decline: 'offer_not_pending',
  expire: 'offer_not_pending',
  revoke: 'offer_not_pending',
  dispute: 'task_not_rejected',
  resolve_dispute: 'dispute_not_open',
};

describe('an illegal command', () => {
  const staysIn = (status: Status, command: CommandName) =>
    IN_PLACE.some((row) => row.command === command && row.from.includes(status));
  const refused = ILLEGAL.filter(
    ([status, command]) => !SCHEDULED.includes(command) && !staysIn(status, command),
  );
  it.each(refused)('%s: %s is refused', (status, command) => {
    const decision = decide(sample(status), [FITTING[command]], contextAt(momentOf(command)));
    const code = CODES[command] ?? 'invalid_transition';
    expect(decision).toEqual({ ok: false, refusal: { code, message: expect.any(String) } });
  });

  it.each(ILLEGAL.filter(([, command]) => command === 'deadline'))(
    '%s: the %s does not end the task',
    (status) => {
      const before = sample(status);
      const decision = decide(before, [FITTING.deadline], contextAt(DEADLINE));
      const isAtWork = status === 'accepted' || status === 'started';
      expect(decision.ok).toBe(isAtWork);
      if (!decision.ok) return expect(decision.refusal.code).toBe('not_due');
      expect(decision.task.status).toBe(status);
      expect(decision.events.map((one) => one.type)).toEqual(['task.sla_breached']);
    },
  );

  it.each(STATUSES)('%s: one refused command refuses all commands given with it', (status) => {
    const [command] = ILLEGAL.find(([one]) => one === status)?.slice(1) ?? [];
    const legal = LEGAL.filter(([one]) => one === status).map(([, name]) => FITTING[name]);
    const illegal = FITTING[command as CommandName];
    // No state that the first command leads to allows the second.
    const impossible: Command = { name: 'start', worker_id: 'nobody' };
    for (const first of legal)
      expect(decide(sample(status), [first, impossible], contextAt(ACCEPTED)).ok).toBe(false);
    expect(decide(sample(status), [illegal, ...legal], contextAt(ACCEPTED)).ok).toBe(false);
  });
});

describe('conditions beyond the state', () => {
  const refusalOf = (status: Status, command: Command, now = ACCEPTED) => {
    const decision = decide(sample(status), [command], contextAt(now));
    return decision.ok ? decision.task.status : decision.refusal.code;
  };

  it('refuses an offer that is unknown, over or another worker’s', () => {
    const accept = FITTING.accept as Extract<Command, { name: 'accept' }>;
    expect(refusalOf('offered', { ...accept, worker_id: 'other' })).toBe('offer_not_pending');
    expect(refusalOf('offered', { ...accept, offer_id: 'other' })).toBe('offer_not_pending');
    expect(refusalOf('offered', accept, OFFER_ENDS - 1)).toBe('accepted');
    expect(refusalOf('offered', accept, OFFER_ENDS)).toBe('offer_not_pending');
    expect(refusalOf('offered', { ...accept, name: 'decline', worker_id: 'other', reason: null })).toBe(
      'offer_not_pending',
    );
    expect(refusalOf('offered', { name: 'revoke', worker_id: 'other' })).toBe('offer_not_pending');
  });

  it('expires an offer only when it is due', () => {
    expect(refusalOf('offered', FITTING.expire, OFFER_ENDS - 1)).toBe('not_due');
    expect(refusalOf('offered', { name: 'expire', offer_id: 'other' }, OFFER_ENDS)).toBe('offer_not_pending');
  });

  it('refuses other workers', () => {
    for (const [status, command] of [
      ['accepted', 'start'],
      ['accepted', 'release'],
      ['started', 'release'],
      ['started', 'submit'],
      ['accepted', 'remove_worker'],
      ['offered', 'remove_worker'],
    ] as const)
      expect(refusalOf(status, { ...FITTING[command], worker_id: 'other' } as Command)).toBe('not_yours');
  });

  it('applies a start timeout only to the acceptance for which it was set', () => {
    expect(refusalOf('accepted', { name: 'start_timeout', accepted_at: ACCEPTED - 1 })).toBe('not_due');
    expect(refusalOf('accepted', FITTING.start_timeout)).toBe('queued');
  });

  it('approves automatically only the submission for which the time was set', () => {
    const { status_changed_at: since } = sample('submitted');
    expect(refusalOf('submitted', { name: 'approve', feedback: null, submitted_at: since - 1 })).toBe(
      'not_due',
    );
    expect(refusalOf('submitted', { name: 'approve', feedback: null, submitted_at: since })).toBe('verified');
  });

  it('does not verify automatically under manual review', () => {
    const manual = taskIn('submitted', sampleInput({ review: { mode: 'manual' } }));
    expect(decide(manual, [{ name: 'verify' }], contextAt(ACCEPTED))).toMatchObject({
      ok: false,
      refusal: { code: 'invalid_transition' },
    });
  });

  it('accepts one of several offers and revokes the others', () => {
    const ids = ['a', 'b', 'c'];
    const offered = taskAfter(
      queuedTask(),
      [
        { name: 'match', worker_ids: ids },
        {
          name: 'offer',
          offers: ids.map((id) => ({ offer_id: `o-${id}`, worker_id: id, expires_at: OFFER_ENDS })),
        },
      ],
      NOW,
    );
    const won = taskAfter(offered, [{ name: 'accept', offer_id: 'o-b', worker_id: 'b' }], NOW);
    expect(won.offers.map((one) => one.status)).toEqual(['revoked', 'accepted', 'revoked']);
    expect(won.assignment?.worker_id).toBe('b');
    // Only the last decline of several emits an event and returns the task to the queue.
    const decline = (id: string) =>
      ({ name: 'decline', offer_id: `o-${id}`, worker_id: id, reason: null }) as const;
    const first = decide(offered, [decline('a')], contextAt(NOW));
    if (!first.ok) throw new Error(first.refusal.message);
    expect([first.task.status, first.events]).toEqual(['offered', []]);
    const last = taskAfter(taskAfter(first.task, [decline('b')], NOW), [decline('c')], NOW);
    expect(last.status).toBe('queued');
    expect(last.declines.map((one) => one.worker_id)).toEqual(['a', 'b', 'c']);
  });
});

describe('a task past its deadline or out of attempts', () => {
  const rows = TRANSITIONS.filter((row) => RETURN_TO_QUEUE.includes(row.command)).flatMap((row) =>
    row.from.map((from) => [from, row.command] as const),
  );
  const back = rows.filter(([status]) => status !== 'matched');

  /** The types of the events, without those that only a requeue or a report has. */
  const typesOf = ({ events }: { events: TaskEvent[] }) =>
    events.map((one) => one.type).filter((type) => type !== 'task.requeued' && type !== 'task.reported');

  it('is failed by every command that would return it to the queue', () => {
    expect(new Set(rows.map(([, command]) => command))).toEqual(
      new Set([
        'decline',
        'expire',
        'revoke',
        'release',
        'start_timeout',
        'remove_worker',
        'remove_pool',
        'reassign',
        'report',
        'requeue',
      ]),
    );
  });

  it.each(back)('%s: %s after the deadline fails it', (status, command) => {
    const before = taskIn(status, sampleInput({ sla: { deadline: rfc3339(OFFER_ENDS) } }));
    const decision = decide(before, [FITTING[command]], contextAt(OFFER_ENDS));
    if (!decision.ok) throw new Error(decision.refusal.message);
    expect(decision.task.status).toBe('failed');
    expect(decision.task.failure?.code).toBe('deadline_exceeded');
    expect(typesOf(decision)).toEqual(['task.sla_breached', 'task.failed']);
    expect(decision.task.submission).toEqual(before.submission);
  });

  const output = { verdict: 'unknown' };
  const byDefault = sampleInput({
    sla: { deadline: rfc3339(OFFER_ENDS), on_deadline: { action: 'complete', output } },
  });
  const atDeadline = [
    ...back,
    ...(['created', 'queued', 'matched', 'offered'] as const).map((status) => [status, 'deadline'] as const),
  ];

  it.each(atDeadline)('%s: %s after the deadline completes it with its default output', (status, command) => {
    const before = taskIn(status, byDefault);
    const decision = decide(before, [FITTING[command]], contextAt(OFFER_ENDS));
    if (!decision.ok) throw new Error(decision.refusal.message);
    const { task, events } = decision;
    const result = {
      output,
      source: 'default',
      evidence: [],
      notes: null,
      worker_id: null,
      submitted_at: null,
    };
    expect(task).toMatchObject({ status: 'completed', failure: null, completed_at: OFFER_ENDS });
    expect(taskView(task).result).toEqual(result);
    expect(typesOf(decision)).toEqual(['task.sla_breached', 'task.completed']);
    expect(events.at(-1)).toMatchObject({ previous_status: status, data: { result } });
    // The commit may be made only once the deadline has passed by Redis' clock.
    expect(decision.due).toBeGreaterThanOrEqual(OFFER_ENDS);
    // What a worker submitted stays theirs, and they are neither rated nor credited with the result.
    expect(task.submission).toEqual(before.submission);
    const effects = [...effectsOf(before, task).values()];
    for (const { workedMs, ratings } of effects) expect([workedMs, ratings]).toEqual([undefined, undefined]);
  });

  it('is completed by the submission when that comes in time, or late from a worker who goes on', () => {
    for (const now of [ACCEPTED, OFFER_ENDS + MINUTE]) {
      const started = taskIn('started', byDefault);
      const late = decide(started, [{ name: 'deadline' }], contextAt(OFFER_ENDS));
      const task = now > OFFER_ENDS && late.ok ? late.task : started;
      expect(task.status).toBe('started');
      const done = taskAfter(task, [FITTING.submit, FITTING.verify, FITTING.complete], now);
      expect(taskView(done).result).toEqual({ ...done.submission, submitted_at: rfc3339(now) });
    }
  });

  it('fails for used-up attempts before its deadline, whatever `on_deadline` says', () => {
    const before = { ...taskIn('started', byDefault), attempt: DEFAULT_MAX_ATTEMPTS };
    expect(taskAfter(before, [FITTING.release], ACCEPTED).failure?.code).toBe('attempts_exhausted');
  });

  const worked = [...back, ['submitted', 'rework'] as const].filter(([status]) => status !== 'offered');
  it.each(worked)('%s: %s fails it when its attempts are used up', (status, command) => {
    const before = { ...taskIn(status), attempt: DEFAULT_MAX_ATTEMPTS };
    const task = taskAfter(before, [FITTING[command]], ACCEPTED);
    // What a worker cannot help is not a failed attempt.
    if (
      command === 'remove_worker' ||
      command === 'remove_pool' ||
      command === 'requeue' ||
      command === 'report'
    ) {
      expect([task.status, task.attempt]).toEqual(['queued', DEFAULT_MAX_ATTEMPTS + 1]);
      return;
    }
    expect([task.status, task.failure?.code]).toEqual(['failed', 'attempts_exhausted']);
  });

  it.each(worked)('%s: %s counts an attempt while attempts are left', (status, command) => {
    const before = taskIn(status);
    const task = taskAfter(before, [FITTING[command]], ACCEPTED);
    expect(task.attempt).toBe(2);
    expect(isFinal(task.status)).toBe(false);
    expect(task.submission).toEqual(before.submission);
    if (command !== 'rework') expect(task.assignment).toBeNull();
  });

  it('does not count offers that no worker accepted', () => {
    let task = queuedTask();
    for (let round = 0; round < 3 * DEFAULT_MAX_ATTEMPTS; round += 1) {
      task = taskAfter(task, [FITTING.match, FITTING.offer], NOW);
      task = taskAfter(task, [FITTING.decline], NOW);
    }
    expect([task.status, task.attempt]).toEqual(['queued', 1]);
  });
});

describe('the SLA clocks', () => {
  const due = NOW + 2 * MINUTE;
  const input = sampleInput({ sla: { target_latency_seconds: 120, deadline: rfc3339(DEADLINE) } });
  const ring = (task: Task, clock: 'target_latency' | 'deadline', now: number) =>
    decide(task, [{ name: clock }], contextAt(now));

  it('are breached once, when they are due and not before', () => {
    const task = taskIn('started', input);
    expect(ring(task, 'target_latency', due - 1).ok).toBe(false);
    const rung = ring(task, 'target_latency', due);
    if (!rung.ok) throw new Error(rung.refusal.message);
    expect(rung.task.breaches).toEqual([{ clock: 'target_latency', due_at: due, breached_at: due }]);
    expect(rung.task.status).toBe('started');
    expect(ring(rung.task, 'target_latency', due + 1)).toMatchObject({ refusal: { code: 'not_due' } });
    const second = ring(rung.task, 'deadline', DEADLINE);
    expect(second.ok && second.task.breaches.map((one) => one.clock)).toEqual(['target_latency', 'deadline']);
  });

  it('are not breached after a submission or without such a clock', () => {
    expect(ring(taskIn('submitted', input), 'target_latency', due).ok).toBe(false);
    expect(ring(taskIn('submitted', input), 'deadline', DEADLINE).ok).toBe(false);
    expect(ring(taskIn('started'), 'deadline', DEADLINE).ok).toBe(false);
  });

  it('fail a task that no worker accepted, after recording the breach', () => {
    const rung = ring(taskIn('offered', input), 'deadline', DEADLINE);
    if (!rung.ok) throw new Error(rung.refusal.message);
    expect(rung.events.map((one) => one.type)).toEqual(['task.sla_breached', 'task.failed']);
    expect(rung.task.failure?.code).toBe('deadline_exceeded');
    expect(rung.task.offers.map((one) => one.status)).toEqual(['withdrawn']);
  });

  it('are breached when a submission in time is sent back too late', () => {
    const submitted = taskIn('submitted', input);
    const again = taskAfter(submitted, [FITTING.rework], due);
    expect(again.breaches.map((one) => one.clock)).toEqual(['target_latency']);
    const elsewhere = taskAfter(submitted, [FITTING.reassign], due);
    expect(elsewhere.breaches.map((one) => one.clock)).toEqual(['target_latency']);
    expect(taskAfter(submitted, [FITTING.rework], due - 1).breaches).toEqual([]);
  });
});

describe('a change that depends on the time', () => {
  const input = sampleInput({ sla: { deadline: rfc3339(OFFER_ENDS), target_latency_seconds: 60 } });
  const cases: [Status, Command, due: number][] = [
    ['offered', FITTING.expire, OFFER_ENDS],
    ['offered', { name: 'decline', offer_id: OFFER, worker_id: WORKER, reason: null }, OFFER_ENDS],
    ['queued', { name: 'deadline' }, OFFER_ENDS],
    ['accepted', { name: 'target_latency' }, NOW + MINUTE],
    ['accepted', FITTING.release, OFFER_ENDS],
    ['submitted', FITTING.rework, NOW + MINUTE],
  ];

  it.each(cases)('%s: %j names the due time', (status, command, due) => {
    const when = command.name === 'rework' ? OFFER_ENDS - 1 : OFFER_ENDS;
    const decision = decide(taskIn(status, input), [command], contextAt(when));
    expect(decision.ok && decision.due).toBe(due);
  });

  it.each(cases)('%s: %j changes nothing while the clock is held', (status, command) => {
    const held = { ...contextAt(OFFER_ENDS), isClockFrozen: true };
    const decision = decide(taskIn(status, input), [command], held);
    if (!decision.ok) return expect(decision.refusal.code).toBe('not_due');
    expect(decision.task.breaches).toEqual([]);
    expect(decision.task.failure).toBeNull();
    expect(decision.due).toBeNull();
  });

  it('names no due time if it ends nothing', () => {
    const decision = decide(taskIn('accepted', input), [FITTING.start], contextAt(ACCEPTED));
    expect(decision.ok && decision.due).toBeNull();
  });
});
