// Views of a task: none shows secrets, the worker's view shows nothing of the handoff, and the body of a webhook always
// has the same bytes.
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { HistoryEntry } from '../../../src/state/tasks/event.ts';
import { historyEntry } from '../../../src/state/tasks/history.ts';
import { STATUSES } from '../../../src/state/tasks/lifecycle.ts';
import type { Offer } from '../../../src/state/tasks/offer.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { offerView, taskView, webhookBody, workerTaskView } from '../../../src/state/tasks/view.ts';
import { timestamp } from '../../../src/state/text/time.ts';
import {
  ACCEPTED,
  COMMANDS_TO_REACH,
  contextAt,
  createdTask,
  NOW,
  rfc3339,
  sampleInput,
  taskIn,
} from '../../support/tasks.ts';

const SECRET = 'sealed-and-still-nobody-s-business';
const input = sampleInput({
  sla: { deadline: rfc3339(NOW + 900_000), target_latency_seconds: 600 },
  requirements: { skills: ['phone'] },
  handoff: {
    callback_url: 'https://receiver.example/hook?token=in-the-url',
    callback_auth: { type: 'bearer', sealed: SECRET },
  },
  more: {
    context: { background: 'EDR', data: { deep: [1, { ü: null }] } },
    metadata: { ticket: 'T-1', 'odd key ü': '' },
  },
});

const views = STATUSES.map((status) => ({ status, task: taskIn(status, input) }));
const offerOf = (task: Task): Offer => task.offers[0] ?? missing();
const missing = (): never => {
  throw new Error('no offer');
};

describe.each(views)('$status', ({ task }) => {
  it('shows no secret', () => {
    expect(JSON.stringify(taskView(task))).not.toContain(SECRET);
    expect(taskView(task)).toMatchObject({ handoff: { callback_auth: { type: 'bearer' } } });
    expect(JSON.stringify(workerTaskView(task))).not.toContain(SECRET);
  });

  it('shows the worker nothing of the handoff', () => {
    const shown = JSON.stringify(workerTaskView(task));
    for (const word of ['callback', 'handoff', 'receiver.example', 'retry_policy', 'T-1'])
      expect(shown).not.toContain(word);
  });

  it('shows a result only when completed', () => {
    expect(taskView(task).result === null).toBe(task.status !== 'completed');
  });

  it('writes every time as RFC 3339 in UTC with milliseconds', () => {
    const times = Object.entries(taskView(task)).filter(([name]) => name.endsWith('_at'));
    expect(times.length).toBe(3);
    for (const [, value] of times)
      if (value !== null) expect(value).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});

it('returns the input to the integrator unchanged', () => {
  const shown = taskView(taskIn('started', input));
  const { sla, handoff, ...rest } = input;
  expect(shown).toMatchObject(rest);
  expect(shown.context).toEqual(input.context);
  expect(shown.metadata).toEqual(input.metadata);
  expect(shown.sla).toEqual({ ...sla, breaches: [] });
  expect(shown.handoff).toEqual({ ...handoff, callback_auth: { type: 'bearer' } });
});

it('shows an offer with what the worker needs to decide, without the handoff', () => {
  const task = taskIn('offered', input);
  const shown = offerView(task, offerOf(task));
  expect(shown).toMatchObject({
    offer_id: 'offer-1',
    status: 'pending',
    offered_at: timestamp(NOW),
    task: { title: input.title, instructions: input.instructions, sla: input.sla },
  });
  for (const word of ['callback', SECRET, 'receiver.example'])
    expect(JSON.stringify(shown)).not.toContain(word);
});

describe('the body of a webhook', () => {
  /** Every event of a task from creation to completion, each with the task at that time. */
  function lifeOf(): { task: Task; entry: HistoryEntry }[] {
    const first = createdTask(input);
    let { task } = first;
    const told: { task: Task; entry: HistoryEntry }[] = [];
    const tell = (events: typeof first.events) => {
      for (const event of events)
        told.push({ task, entry: historyEntry(event, told.at(-1)?.entry.hash ?? null) });
    };
    tell(first.events);
    const steps = [
      { name: 'queue' } as const,
      ...STATUSES.slice(3, 9).flatMap((one) => COMMANDS_TO_REACH[one] ?? []),
    ];
    for (const command of steps) {
      const decision = decide(task, [command], contextAt(ACCEPTED));
      if (!decision.ok) throw new Error(decision.refusal.message);
      task = decision.task;
      tell(decision.events);
    }
    return told;
  }

  const told = lifeOf();
  const last = told.at(-1)?.task ?? missing();

  it('exists for every status', () => {
    expect(told.map(({ entry }) => entry.type)).toEqual(
      STATUSES.slice(0, 9).map((status) => `task.${status}`),
    );
  });

  it.each(told)(
    '$entry.type: has the same bytes on every call, also after later changes of the task',
    (one) => {
      const { task, entry } = one;
      const body = webhookBody(task, entry);
      expect(webhookBody(task, entry)).toBe(body);
      expect(webhookBody(last, entry)).toBe(body);
      // Also after being stored as JSON, as in Redis.
      expect(webhookBody(JSON.parse(JSON.stringify(last)), JSON.parse(JSON.stringify(entry)))).toBe(body);
      expect(JSON.parse(body).timestamp).toBe(entry.at);
      expect(body).not.toContain(SECRET);
    },
  );

  it('contains the data of the event and the common fields', () => {
    const byType = new Map(told.map(({ entry }) => [entry.type, JSON.parse(webhookBody(last, entry))]));
    for (const [type, body] of byType) {
      expect(Object.keys(body)).toEqual(['type', 'timestamp', 'data']);
      expect(body.type).toBe(type);
      expect(body.data).toMatchObject({
        task_id: last.task_id,
        org_id: last.org_id,
        attempt_of_task: 1,
        origin: { product: 'threatlabs', request_id: 'IR-48219' },
        metadata: input.metadata,
      });
    }
    expect(byType.get('task.queued').data.reason).toBe('created');
    expect(byType.get('task.matched').data.worker_id).toBe('worker-1');
    expect(byType.get('task.offered').data).toMatchObject({
      offer_id: 'offer-1',
      worker_id: 'worker-1',
      expires_at: timestamp(NOW + 120_000),
    });
    for (const type of ['accepted', 'started', 'submitted'])
      expect(byType.get(`task.${type}`).data.worker_id).toBe('worker-1');
    expect(byType.get('task.completed').data.result).toMatchObject({ output: 'done', worker_id: 'worker-1' });
  });

  it('never lets event data overwrite a common field', () => {
    for (const { entry } of told) {
      const { data } = JSON.parse(webhookBody(last, entry));
      expect([data.event_id, data.sequence, data.status, data.previous_status]).toEqual([
        entry.event_id,
        entry.sequence,
        entry.status,
        entry.previous_status,
      ]);
    }
  });
});
