// What the tasks of a trial do besides being done: copies, questions, changes, requeues and drafts. For each kind: its body,
// what its worker and its requester do, and what must be so in the end.

import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { EVENT_TYPES } from '../../src/state/tasks/lifecycle.ts';
import type { Call, Json } from './caller.ts';
import { listed } from './caller.ts';

/** The kind of a task is its title. Every third task does nothing else. */
const KINDS = ['plain', 'copies', 'question', 'plain', 'change', 'requeue', 'draft'] as const;
const COPIES = 2;
const ANSWER = 'It is.';
const DEADLINE = new Date(Date.now() + 3600_000).toISOString();

/** A task, as its worker or its requester sees it. */
interface Seen {
  task_id: string;
  status: string;
  title: string;
  attempt: number;
  open_question: { message_id: string } | null;
}

interface Final {
  title: string;
  sla: { urgency: string; deadline?: string };
  result: { output: unknown; agreement?: unknown; copies?: { worker_id: string }[] };
}

/** Counts of what was acknowledged, by kind. */
export type Done = Record<'asked' | 'answered' | 'changed' | 'requeued' | 'saved', number>;

export class Mix {
  readonly #call: Call;
  readonly #key: string;
  readonly #faults: string[];
  /** Acknowledged questions and answers: task → id of the message. */
  readonly #asked = new Map<string, string>();
  readonly #answered = new Map<string, string>();
  readonly #changed = new Set<string>();
  readonly #requeued = new Set<string>();
  #saved = 0;

  /** @param faults gets one sentence for each fault. */
  constructor(call: Call, key: string, faults: string[]) {
    this.#call = call;
    this.#key = key;
    this.#faults = faults;
  }

  get done(): Done {
    const [asked, answered, changed] = [this.#asked.size, this.#answered.size, this.#changed.size];
    return { asked, answered, changed, requeued: this.#requeued.size, saved: this.#saved };
  }

  /** The body of the task with this number. */
  body(index: number, callback: string): Json {
    const kind = KINDS[index % KINDS.length] ?? 'plain';
    const output = { expected_format: 'structured_json', schema: { ok: 'boolean' } };
    return {
      origin: { product: 'trial', request_id: `T-${index}` },
      task_type: 'check',
      domain: 'ops',
      title: kind,
      instructions: 'Check it.',
      sla: { urgency: 'high', target_latency_seconds: 3600 },
      requirements: { worker_pool_id: 'all' },
      output: {
        ...output,
        ...(kind === 'copies' && { copies: { count: COPIES, agreement: { mode: 'unanimous' } } }),
      },
      handoff: {
        callback_url: callback,
        events: [...EVENT_TYPES],
        retry_policy: { max_retries: 20, backoff_seconds: 1 },
      },
    };
  }

  /** What the requester does with a task that it has created. */
  async created(id: string, { title }: Json): Promise<void> {
    if (title !== 'change') return;
    const sla = { urgency: 'critical', deadline: DEADLINE };
    const { http } = await this.#call('PATCH', `/v1/tasks/${id}`, this.#key, { sla });
    if (http === 200) this.#changed.add(id);
  }

  /** What a worker does with a task that they have. */
  async work(token: string, { task_id, status, title, attempt, open_question }: Seen): Promise<void> {
    const path = `/v1/worker/tasks/${task_id}`;
    if (status === 'accepted') await this.#call('POST', `${path}/start`, token);
    let output: unknown = { ok: true };
    if (title === 'question' && !this.#answered.has(task_id)) {
      if (open_question === null) await this.#ask(token, task_id);
      return;
    }
    if (title === 'requeue' && attempt === 1 && !this.#requeued.has(task_id)) return;
    if (title === 'draft') {
      const draft = { output, notes: task_id };
      const saved = await this.#call('PUT', `${path}/draft`, token, draft);
      const read = await this.#call('GET', `${path}/draft`, token);
      if (saved.http === 200) this.#saved += 1;
      if (saved.http === 200 && read.http === 200 && read.notes !== task_id)
        this.#faults.push(`the draft of ${task_id} is lost: ${JSON.stringify(read)}`);
      output = read.output ?? output;
    }
    await this.#call('POST', `${path}/submit`, token, { output });
  }

  /** What the requester does while work goes on: it answers questions and takes tasks back once, until `done`. */
  async supervise(done: AbortSignal): Promise<void> {
    while (!done.aborted) {
      for (const { task_id, open_question } of await this.#list('has_open_question=true'))
        if (open_question !== null) await this.#answer(task_id, open_question.message_id);
      for (const { task_id, title } of await this.#list('status=started'))
        if (title === 'requeue' && !this.#requeued.has(task_id)) {
          const requeued = await this.#post(`/v1/tasks/${task_id}/requeue`, `requeue-${task_id}`, {
            reason: 'Let another one do it.',
          });
          if (requeued.http === 200) this.#requeued.add(task_id);
        }
      await sleep(200);
    }
  }

  /** Checks a completed task with its history: what was acknowledged is there, once. */
  async check(id: string, history: readonly HistoryEntry[]): Promise<void> {
    const task = (await this.#call('GET', `/v1/tasks/${id}`, this.#key)) as unknown as Final;
    const fault = (text: string) => this.#faults.push(`${task.title} ${id}: ${text}`);
    const count = (type: string) => history.filter((one) => one.type === type).length;
    const expectCount = (type: string, wanted: number) => {
      if (count(type) !== wanted) fault(`${type} happened ${count(type)} times, not ${wanted}`);
    };
    expectCount('task.question_asked', this.#asked.has(id) ? 1 : 0);
    expectCount('task.question_answered', this.#answered.has(id) ? 1 : 0);
    expectCount('task.updated', this.#changed.has(id) ? 1 : 0);
    expectCount('task.requeued', this.#requeued.has(id) ? 1 : 0);
    if (this.#changed.has(id) && (task.sla.urgency !== 'critical' || task.sla.deadline !== DEADLINE))
      fault(`its SLA is ${JSON.stringify(task.sla)}`);
    if (JSON.stringify(task.result.output) !== '{"ok":true}') fault('its output is not what was submitted');
    const workers = task.result.copies?.map(({ worker_id }) => worker_id) ?? [];
    const wanted = task.title === 'copies' ? COPIES : 0;
    if (workers.length !== wanted || new Set(workers).size !== wanted)
      fault(`its copies are from ${workers.join()}`);
    if (wanted > 0 && !task.result.agreement) fault('it has no agreement');
    if (this.#asked.has(id)) await this.#checkMessages(id, fault);
  }

  async #checkMessages(id: string, fault: (text: string) => void): Promise<void> {
    const messages = listed<{ message_id: string }>(
      await this.#call('GET', `/v1/tasks/${id}/messages`, this.#key),
    ).map(({ message_id }) => message_id);
    const wanted = [this.#asked.get(id), this.#answered.get(id)];
    if (messages.join() !== wanted.join()) fault(`its messages are ${messages.join()}, not ${wanted.join()}`);
  }

  /** The worker's question; repeated with the same key, it is asked once. */
  async #ask(token: string, id: string): Promise<void> {
    const headers = { 'idempotency-key': `ask-${id}` };
    const body = { text: 'Is it the right one?', question: true };
    const asked = await this.#call('POST', `/v1/worker/tasks/${id}/messages`, token, body, headers);
    if (asked.http === 201) this.#asked.set(id, String(asked.message_id));
  }

  async #answer(id: string, question: string): Promise<void> {
    const body = { text: ANSWER, answers: question };
    const answered = await this.#post(`/v1/tasks/${id}/messages`, `answer-${question}`, body);
    // The worker whose question it is may not have heard yet that it was asked.
    if (answered.http === 201) this.#answered.set(id, String(answered.message_id));
  }

  async #list(filter: string): Promise<Seen[]> {
    return listed(await this.#call('GET', `/v1/tasks?limit=200&${filter}`, this.#key));
  }

  #post(path: string, idempotencyKey: string, body: Json): Promise<Json> {
    return this.#call('POST', path, this.#key, body, { 'idempotency-key': idempotencyKey });
  }
}
