// Invariants that hold for every random sequence of commands. Each step is generated as an intention and turned into a
// command that fits the current task, so that sequences reach late states; wrong workers, offers and times are mixed in.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { HistoryEntry, TaskEvent } from '../../../src/state/tasks/event.ts';
import { firstBroken, historyEntry } from '../../../src/state/tasks/history.ts';
import { COMMANDS, isFinal, STATUSES, type Status } from '../../../src/state/tasks/lifecycle.ts';
import { inputAt, type TaskPatch } from '../../../src/state/tasks/patch.ts';
import { checkKey, checksOf, checksOnlyIn, nextDue } from '../../../src/state/tasks/scheduled-checks.ts';
import {
  dueAt,
  ESCALATION_CONDITIONS,
  type Escalation,
  SLA_CLOCKS,
  type Task,
  URGENCIES,
} from '../../../src/state/tasks/task.ts';
import { taskView } from '../../../src/state/tasks/view.ts';
import { isReported } from '../../../src/state/tasks/waiting.ts';
import { holdChanges, holders } from '../../../src/state/workers/worker.ts';
import { contextAt, createdTask, NOW, rfc3339, sampleInput } from '../../support/tasks.ts';

const WORKERS = ['a', 'b', 'c'];
const SECOND = 1000;

/** The output of `sla.on_deadline`. */
const DEFAULT = 'none';

type What = Command['name'] | 'hand out' | 'approve and complete' | 'verify and complete';

const EVERYTHING: readonly What[] = [...COMMANDS, 'hand out', 'approve and complete', 'verify and complete'];

/** The usual commands in each state: the next step, and the ways back and out. */
const USUAL: Record<Status, readonly What[]> = {
  created: ['queue', 'queue', 'cancel'],
  queued: [
    'return_reported',
    'reject_reported',
    'hand out',
    'hand out',
    'hand out',
    'match',
    'deadline',
    'target_latency',
    'cancel',
    'update',
    'escalate',
  ],
  matched: ['offer', 'offer', 'deadline', 'target_latency', 'cancel'],
  offered: [
    'accept',
    'accept',
    'accept',
    'decline',
    'decline',
    'expire',
    'revoke',
    'remove_worker',
    'deadline',
    'target_latency',
    'update',
    'escalate',
  ],
  accepted: [
    'start',
    'start',
    'start',
    'release',
    'message',
    'start_timeout',
    'remove_worker',
    'deadline',
    'target_latency',
    'update',
  ],
  started: [
    'submit',
    'submit',
    'submit',
    'release',
    'remove_worker',
    'deadline',
    'target_latency',
    'cancel',
    'update',
    'escalate',
    'requeue',
    'message',
    'read_messages',
    'assign',
    'report',
  ],
  submitted: [
    'rework',
    'reassign',
    'requeue',
    'approve',
    'verify',
    'approve and complete',
    'reject',
    'deadline',
    'target_latency',
  ],
  verified: ['complete'],
  completed: EVERYTHING,
  failed: [...EVERYTHING, 'dispute', 'resolve_dispute'],
  cancelled: EVERYTHING,
};

interface Move {
  /** Whether to choose from the usual commands of the task's state. */
  isUsual: boolean;
  pick: number;
  who: string;
  /** Which of the task's offers, counted from the last; an unknown id if there is no such offer. */
  which: number;
  /** Number of workers who get an offer at once. */
  count: number;
  /** Milliseconds since the previous command. */
  later: number;
}

const move: fc.Arbitrary<Move> = fc.record({
  isUsual: fc.oneof(
    { weight: 4, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
  pick: fc.nat(1000),
  who: fc.constantFrom(...WORKERS),
  which: fc.integer({ min: 0, max: 3 }),
  count: fc.integer({ min: 1, max: 3 }),
  later: fc.constantFrom(0, 0, 1, SECOND, SECOND, 20 * SECOND, 70 * SECOND),
});

const life = fc.record({
  mode: fc.constantFrom<'auto' | 'manual'>('auto', 'manual'),
  latency: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  deadline: fc.option(fc.integer({ min: 60, max: 900 }), { nil: undefined }),
  onDeadline: fc.constantFrom<'fail' | 'complete' | undefined>('fail', 'complete', undefined),
  escalations: fc
    .array(
      fc.record({
        after_seconds: fc.integer({ min: 1, max: 300 }),
        while: fc.constantFrom(...ESCALATION_CONDITIONS),
        urgency: fc.constantFrom(...URGENCIES),
        worker_pool_id: fc.constantFrom('p', 'q'),
      }),
      { maxLength: 3 },
    )
    .map((list) => list.sort((a, b) => a.after_seconds - b.after_seconds)),
  moves: fc.array(move, { minLength: 1, maxLength: 60, size: 'max' }),
});

function whatOf({ isUsual, pick }: Move, status: Status): What {
  const choice = isUsual ? USUAL[status] : EVERYTHING;
  return choice[pick % choice.length] ?? 'queue';
}

function commandsOf(move: Move, task: Task, now: number, fresh: () => string): Command[] {
  const offer = task.offers.at(-1 - move.which);
  const offer_id = offer?.offer_id ?? 'unknown';
  // Mostly the worker of the offer or assignment, so that most commands are accepted.
  const worker_id =
    move.which === 3 ? move.who : (task.assignment?.worker_id ?? offer?.worker_id ?? move.who);
  const what = whatOf(move, task.status);
  const asked = WORKERS.slice(0, move.count);
  const match: Command = { name: 'match', worker_ids: asked };
  const offers: Command = {
    name: 'offer',
    offers: asked.map((id) => ({ offer_id: fresh(), worker_id: id, expires_at: now + 60 * SECOND })),
  };
  switch (what) {
    case 'hand out':
      return [match, offers];
    case 'match':
      return [match];
    case 'offer':
      return [offers];
    case 'accept':
      return [{ name: 'accept', offer_id, worker_id: offer?.worker_id ?? move.who }];
    case 'decline':
      return [{ name: 'decline', offer_id, worker_id: offer?.worker_id ?? move.who, reason: null }];
    case 'expire':
      return [{ name: 'expire', offer_id }];
    case 'revoke':
    case 'start':
    case 'remove_worker':
      return [{ name: what, worker_id }];
    case 'release':
      return [{ name: 'release', worker_id, reason: null }];
    case 'start_timeout':
      return [{ name: 'start_timeout', accepted_at: task.assignment?.accepted_at ?? 0 }];
    case 'submit':
      return [{ name: 'submit', worker_id, submission: { output: 1, evidence: [], notes: null } }];
    case 'approve and complete':
      return [{ name: 'approve', feedback: null }, { name: 'complete' }];
    case 'verify and complete':
      return [{ name: 'verify' }, { name: 'complete' }];
    case 'approve':
    case 'rework':
    case 'reassign':
    case 'reject':
      return [{ name: what, feedback: null }];
    case 'cancel':
      return [{ name: 'cancel', reason: null }];
    case 'assign': {
      const mode = move.which % 2 === 0 ? 'offer' : 'assign';
      const offer_id = fresh();
      const { who: id } = move;
      const expires_at = now + 60 * SECOND;
      return [
        ...(task.status === 'queued' ? [] : [{ name: 'requeue' as const, reason: 'x', is_takeover: true }]),
        { name: 'assign', worker_id: id, mode, forced: false },
        { name: 'match', worker_ids: [id] },
        { name: 'offer', offers: [{ offer_id, worker_id: id, expires_at }] },
        ...(mode === 'assign' ? [{ name: 'accept' as const, offer_id, worker_id: id }] : []),
      ];
    }
    case 'requeue':
      return [{ name: 'requeue', reason: 'shift ends' }];
    case 'update':
      return [{ name: 'update', patch: patchOf(move, now) }];
    case 'escalate':
      return [
        {
          name: 'escalate',
          number: (task.escalations ?? 0) + 1,
          pool_gone: move.which === 0,
          offer_ttl_ms: SECOND,
        },
      ];
    case 'report':
      return [{ name: 'report', worker_id, reason: 'other', text: null }];
    case 'return_reported':
    case 'reject_reported':
      return [{ name: what, feedback: 'no' }];
    case 'dispute':
      return [{ name: 'dispute', worker_id, text: 'It is right.' }];
    case 'resolve_dispute':
      return [{ name: 'resolve_dispute', decision: move.count === 1 ? 'uphold' : 'overturn', text: null }];
    case 'message':
      return [messageOf(move, task, worker_id, fresh())];
    case 'read_messages':
      return [
        { name: 'read_messages', side: move.count === 1 ? 'worker' : 'requester', through: move.which },
      ];
    case 'deadline':
    case 'target_latency':
    case 'relax':
    case 'due_soon':
    case 'remove_pool':
    case 'queue':
    case 'verify':
    case 'complete':
      return [{ name: what }];
    // Refused: the task has no copies.
    case 'update_copies':
      return [{ name: what, copies: [] }];
    case 'disagree':
      return [
        {
          name: what,
          agreement: { mode: 'majority', agreed: false, count: 0, agreeing: 0, share: 0 },
          code: 'no_agreement',
          message: '',
        },
      ];
  }
}

/** A patch of one or two clocks, the urgency, a requirement or the metadata. */
function patchOf({ which, count, pick }: Move, now: number): TaskPatch {
  const seconds = 1 + (pick % 300);
  switch (which) {
    case 0:
      return { sla: { deadline: pick % 4 === 0 ? null : rfc3339(now + seconds * SECOND) } };
    case 1:
      return { sla: { target_latency_seconds: pick % 4 === 0 ? null : seconds } };
    case 2:
      return { sla: { urgency: URGENCIES[count] ?? 'low' }, requirements: { min_rating: count } };
    default:
      return { metadata: { lead: String(pick), [`key${count}`]: null } };
  }
}

/** A message, a question or an answer of either side. */
function messageOf({ count, which }: Move, task: Task, worker_id: string, message_id: string): Command {
  const open = task.conversation?.open_question ?? null;
  return {
    name: 'message',
    message_id,
    author: count === 1 ? { kind: 'worker', id: worker_id } : { kind: 'requester', id: 'api_key:1' },
    text: 'Hello',
    is_question: which < 2,
    answers: which === 2 ? (open?.message_id ?? null) : null,
  };
}

interface Change {
  before: Task;
  after: Task;
  events: TaskEvent[];
  refused: boolean;
}

/** Runs a sequence of commands. @returns every attempted change, the whole history, and when it ended, ms. */
function live(given: {
  mode: 'auto' | 'manual';
  latency: number | undefined;
  deadline: number | undefined;
  onDeadline: 'fail' | 'complete' | undefined;
  escalations: Escalation[];
  moves: Move[];
}): { changes: Change[]; history: TaskEvent[]; task: Task; end: number } {
  let ids = 0;
  const fresh = () => `id-${++ids}`;
  const input = sampleInput({
    review: { mode: given.mode },
    sla: {
      ...(given.latency !== undefined && { target_latency_seconds: given.latency }),
      ...(given.deadline !== undefined && { deadline: rfc3339(NOW + given.deadline * SECOND) }),
      escalations: given.escalations,
      ...(given.onDeadline === 'fail' && { on_deadline: { action: 'fail' } }),
      ...(given.onDeadline === 'complete' && { on_deadline: { action: 'complete', output: DEFAULT } }),
    },
  });
  const first = createdTask(input);
  let { task } = first;
  const history = [...first.events];
  const changes: Change[] = [];
  let now = NOW;
  for (const one of given.moves) {
    now += one.later;
    const before = task;
    const asItWas = JSON.stringify(before);
    const decision = decide(before, commandsOf(one, before, now, fresh), { ...contextAt(now), newId: fresh });
    if (JSON.stringify(before) !== asItWas)
      throw new Error(`a move in ${before.status} changed the task it was given`);
    if (decision.ok) {
      task = decision.task;
      history.push(...decision.events);
    }
    changes.push({
      before,
      after: task,
      events: decision.ok ? decision.events : [],
      refused: !decision.ok,
    });
  }
  return { changes, history, task, end: now };
}

/** Different sequences in each run, the same for all properties: running them takes far longer than checking them. */
const SAMPLE = { seed: randomInt(2 ** 31), numRuns: 250 };
const lived = fc.sample(life, SAMPLE).map(live);

/** Checks a property of every sequence; a failing sequence is shrunk. */
function always(check: (lived: ReturnType<typeof live>) => boolean): void {
  if (lived.every(check)) return;
  fc.assert(
    fc.property(life, (given) => check(live(given))),
    SAMPLE,
  );
  throw new Error(`failed for a life of seed ${SAMPLE.seed}, and not again`);
}

/** Events that leave the status as it is. */
const IN_PLACE_EVENTS: readonly string[] = [
  'task.sla_breached',
  'task.updated',
  'task.escalated',
  'task.requeued',
  'task.question_asked',
  'task.question_answered',
  'task.message_added',
  'task.assigned',
  'task.reported',
  'task.disputed',
];

const asEntry = ({ type, data }: TaskEvent) => ({ type, data });

const made = (changes: Change[]) => changes.filter((one) => !one.refused);

describe('every random sequence of commands', () => {
  it('covers enough states and commands to be meaningful', () => {
    const lives = fc.sample(life, { numRuns: 300, seed: 7 }).map(live);
    const seen = new Set(lives.flatMap(({ history }) => history.map((one) => one.status)));
    expect([...seen].sort()).toEqual([...STATUSES].sort());
    const longest = Math.max(...lives.map(({ history }) => history.length));
    expect(longest).toBeGreaterThan(15);
  });

  it('makes one version per commit', () => {
    always(({ changes }) =>
      changes.every(({ before, after, refused }) => after.version === before.version + (refused ? 0 : 1)),
    );
  });

  it('numbers the events without gaps up to the task’s sequence', () => {
    always(
      ({ history, task }) =>
        history.every((one, index) => one.sequence === index + 1) && task.sequence === history.length,
    );
  });

  it('starts each event from the status that the previous event left', () => {
    always(({ history, task }) => {
      const linked = history.every((one, index) => {
        const expected = history[index - 1]?.status ?? null;
        return (
          one.previous_status === expected &&
          (IN_PLACE_EVENTS.includes(one.type) ? one.status === expected : one.type === `task.${one.status}`)
        );
      });
      return linked && history.at(-1)?.status === task.status;
    });
  });

  it('has at most one final event, and after it only the dispute of a rejection and its decision', () => {
    always(({ history, changes }) => {
      const [end, ...later] = history.filter((one) => isFinal(one.status));
      const isRejected = (end?.data.failure as { code?: string } | undefined)?.code === 'rejected';
      return (
        later.map((one) => one.type).every((type) => type === 'task.disputed') &&
        later.length <= (isRejected ? 2 : 0) &&
        changes.every(
          ({ before, after, events, refused }) =>
            !isFinal(before.status) || refused || (events.length === 1 && after.status === before.status),
        )
      );
    });
  });

  it('has at most one open question, asked and not answered by the events', () => {
    always(({ history, task }) => {
      let open: unknown = null;
      const isLinked = history.every(({ type, data }) => {
        if (type === 'task.question_answered') {
          if (open === null || data.answers !== open) return false;
          open = null;
        }
        if (type !== 'task.question_asked') return true;
        if (open !== null) return false;
        open = data.message_id;
        return true;
      });
      return isLinked && (task.conversation?.open_question?.message_id ?? null) === open;
    });
  });

  it('gives every event its own id', () => {
    always(({ history }) => new Set(history.map((one) => one.event_id)).size === history.length);
  });

  it('keeps the hash chain intact', () => {
    always(({ history }) => {
      const chain: HistoryEntry[] = [];
      for (const event of history) chain.push(historyEntry(event, chain.at(-1)?.hash ?? null));
      return firstBroken(chain) === null;
    });
  });

  it('breaches an SLA clock at most once each time it is set, not before it is due, with an event', () => {
    always(({ task, history }) => {
      const breaches = history.filter((one) => one.type === 'task.sla_breached');
      const told = breaches.map(({ data }) => `${data.clock} ${data.due_at}`);
      // A clock that is moved back to where it was breached is breached again.
      const updates = (before: number) =>
        history.filter((one) => one.type === 'task.updated' && one.sequence < before).length;
      const setAndTold = breaches.map(({ sequence }, at) => `${told[at]} ${updates(sequence)}`);
      const flagged = task.breaches.map((one) => `${one.clock} ${rfc3339(one.due_at)}`);
      return (
        SLA_CLOCKS.every((clock) => task.breaches.filter((one) => one.clock === clock).length <= 1) &&
        new Set(setAndTold).size === setAndTold.length &&
        flagged.every((one) => told.includes(one)) &&
        task.breaches.every((one) => one.breached_at >= one.due_at)
      );
    });
  });

  it('opens a breached clock again when it is due later, and only then', () => {
    always(({ changes }) =>
      made(changes).every(({ before, after }) =>
        before.breaches.every(({ clock }) => {
          const [was, due] = [dueAt(before, clock), dueAt(after, clock)];
          const isOpen = after.breaches.every((one) => one.clock !== clock);
          return isOpen === (due !== was && (due === null || due > after.updated_at));
        }),
      ),
    );
  });

  it('tells the metadata of every past event from the updates after it', () => {
    always(({ changes, history, task }) =>
      made(changes).every(({ after, events }) =>
        events.every(({ sequence }) => {
          const told = inputAt(task.input, history.slice(sequence).map(asEntry)).metadata ?? {};
          // The events before `task.updated` in the same commit do not exist: it is the first.
          return JSON.stringify(told) === JSON.stringify(after.input.metadata ?? {});
        }),
      ),
    );
  });

  it('reserves capacity exactly for workers with a pending offer or an assignment', () => {
    always(({ changes }) =>
      changes.every(({ after }) => {
        const held = [...holders(after).keys()];
        const pending = after.offers.filter((one) => one.status === 'pending').map((one) => one.worker_id);
        const working =
          after.status === 'accepted' || after.status === 'started' ? [after.assignment?.worker_id] : [];
        const isRight = held.every((id) => pending.includes(id) || working.includes(id));
        // And vice versa: every pending offer and assignment has a reservation.
        const isAll = [...pending, ...working].every((id) => id !== undefined && held.includes(id));
        return isRight && isAll && !(pending.length > 0 && working.length > 0);
      }),
    );
  });

  it('reserves and releases exactly what the task’s reservations say', () => {
    always(({ changes }) => {
      const reservations = new Set<string>();
      return made(changes).every(({ before, after }) => {
        const { taken, freed } = holdChanges(before, after);
        for (const id of freed.keys()) if (!reservations.delete(id)) return false;
        for (const id of taken.keys()) {
          if (reservations.has(id)) return false;
          reservations.add(id);
        }
        const held = holders(after);
        return reservations.size === held.size && [...reservations].every((id) => held.has(id));
      });
    });
  });

  it('schedules and cancels exactly the checks that the task has', () => {
    const names = (task: Task) => checksOf(task).map(checkKey);
    always(({ changes }) => {
      const [first] = made(changes);
      const open = new Set(first === undefined ? [] : names(first.before));
      return made(changes).every(({ before, after }) => {
        const [was, is] = [checksOf(before), checksOf(after)];
        for (const one of checksOnlyIn(was, is)) open.delete(checkKey(one));
        for (const one of checksOnlyIn(is, was)) open.add(checkKey(one));
        return JSON.stringify([...open].sort()) === JSON.stringify(names(after).sort());
      });
    });
  });

  it('leaves no open task without a check, a worker or a reviewer', () => {
    always(({ task }) => {
      const asked = checksOf(task);
      if (isFinal(task.status)) return asked.length === 0 && nextDue(asked) === null;
      // The store never leaves a task `matched` or `verified`: it commits the next transition with them.
      if (['created', 'matched', 'verified', 'started'].includes(task.status)) return true;
      if (isReported(task)) return true;
      if (task.status === 'submitted' && task.input.output.review.mode === 'manual') return true;
      return asked.some(
        ({ kind }) => kind !== 'deadline' && kind !== 'target_latency' && kind !== 'escalate',
      );
    });
  });

  it('has at most one accepted offer per attempt, that of the assigned worker', () => {
    always(({ changes }) =>
      changes.every(({ after }) => {
        const won = after.offers.filter((one) => one.status === 'accepted');
        return (
          won.length <= 1 && (after.status !== 'accepted' || won[0]?.offer_id === after.assignment?.offer_id)
        );
      }),
    );
  });

  it('ends with one outcome: a worker’s result, the default output, a failure or a cancellation', () => {
    always(({ task, history }) => {
      if (!isFinal(task.status)) return true;
      const { result, failure, cancellation } = taskView(task) as Record<string, { source?: string } | null>;
      const outcomes = [result, failure, cancellation].filter((one) => one !== null);
      const isDefault = result?.source === 'default';
      const told = history.find((one) => isFinal(one.status))?.data ?? {};
      return (
        outcomes.length === 1 &&
        JSON.stringify(Object.values(told)) === JSON.stringify(outcomes) &&
        isDefault === (task.result_source === 'default') &&
        (!isDefault || task.breaches.some(({ clock }) => clock === 'deadline')) &&
        (task.failure?.code !== 'deadline_exceeded' || task.input.sla.on_deadline?.action !== 'complete')
      );
    });
  });

  it('ends at the deadline unless a worker or a reviewer has the task, and then when they are done with it', () => {
    always(({ task, end }) => {
      const deadline = dueAt(task, 'deadline');
      if (deadline === null || isFinal(task.status)) return true;
      const now = Math.max(deadline, end);
      const isInHands = ['accepted', 'started', 'submitted', 'verified'].includes(task.status);
      const checked = decide(task, [{ name: 'deadline' }], contextAt(now));
      if (!isInHands) return checked.ok && isFinal(checked.task.status);
      const later = checked.ok ? checked.task : task;
      if (later.status !== task.status) return false;
      const { worker_id = '', accepted_at = 0 } = later.assignment ?? {};
      const submission = { output: 1, evidence: [], notes: null };
      const leave: Command[] = [{ name: 'remove_worker', worker_id }];
      const ends: Record<string, Command[][]> = {
        accepted: [
          leave,
          [{ name: 'release', worker_id, reason: null }],
          [{ name: 'start_timeout', accepted_at }],
        ],
        started: [
          leave,
          [{ name: 'release', worker_id, reason: null }],
          [
            { name: 'submit', worker_id, submission },
            { name: 'approve', feedback: null },
            { name: 'complete' },
          ],
        ],
        submitted: [
          leave,
          [{ name: 'approve', feedback: null }, { name: 'complete' }],
          [{ name: 'reject', feedback: 'no' }],
          [{ name: 'reassign', feedback: null }],
          [
            { name: 'rework', feedback: 'again' },
            { name: 'release', worker_id, reason: null },
          ],
        ],
        verified: [[{ name: 'complete' }]],
      };
      return (ends[later.status] ?? []).every((commands) => {
        const [first, ...rest] = commands;
        const ended = decide(later, first === undefined ? [] : [first], contextAt(now + 1));
        if (!ended.ok) return false;
        // A rework whose attempts are used up fails the task at once.
        if (isFinal(ended.task.status)) return true;
        const last = decide(ended.task, rest, contextAt(now + 2));
        return last.ok && isFinal(last.task.status);
      });
    });
  });

  it('runs each escalation at most once, in order, when it is due, and only ever raises the urgency', () => {
    always(({ changes, history, task }) => {
      const given = task.input.sla.escalations ?? [];
      const ran = history.filter((one) => one.type === 'task.escalated');
      const places = ran.map(({ data }) =>
        given.findIndex((one, place) => one.after_seconds === data.after_seconds && place >= 0),
      );
      return (
        (task.escalations ?? 0) <= given.length &&
        ran.length <= (task.escalations ?? 0) &&
        places.every((place, index) => place >= 0 && place >= (places[index - 1] ?? 0)) &&
        ran.every(({ at: then, data }) => then >= task.created_at + Number(data.after_seconds) * SECOND) &&
        made(changes).every(
          ({ before, after, events }) =>
            events.every((one) => one.type !== 'task.escalated') ||
            URGENCIES.indexOf(after.input.sla.urgency) >= URGENCIES.indexOf(before.input.sla.urgency),
        )
      );
    });
  });
});
