// The draft of an answer: saved on this device at each change, and on the server shortly after. What is on the device outlives
// a reload, a lost network and an ended session; it is sent when there is a connection again.

import { ApiError, type Draft } from '@biolayer/sdk';
import { api } from '../../shared/api/client.ts';
import type { FormState } from '../../shared/forms/form-store.ts';
import { isSame } from '../../shared/forms/schema.ts';

/** What a person has answered so far. For a text task, `form.value` is the text. */
export interface Answers {
  form: FormState;
  notes: string;
}

export type DraftStatus = 'none' | 'saving' | 'saved' | 'local' | 'conflict';

interface Kept extends Answers {
  /** The save of the server that these answers continue. */
  version: number;
  /** Whether the server has them. */
  isSent: boolean;
  /** What was last sent, whose answer may have been lost with the page. */
  attempt: Omit<Answers, 'form'> & { value: unknown };
}

const SEND_DELAY = 1000;
const RETRY_DELAY = 5000;

function emptyAnswers(): Answers {
  return { form: { value: undefined, texts: {}, choices: {} }, notes: '' };
}

export class DraftKeeper {
  readonly #taskId: string;
  readonly #key: string;
  #answers: Answers;
  #version: number;
  #isSent = true;
  #attempt: Kept['attempt'] | null = null;
  #isSending = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  status: DraftStatus = 'none';
  savedAt: string | null = null;
  /** The answers of another window, when they differ. */
  other: Draft | null = null;
  readonly #listeners = new Set<() => void>();
  /** Whether what this device had kept was newer than what the server had. */
  readonly wasRestored: boolean;

  /** @param draft the draft of the server. */
  constructor(workerId: string, taskId: string, draft: Draft) {
    this.#taskId = taskId;
    this.#key = keyOf(workerId, taskId);
    const kept = readKept(this.#key);
    const isNewer = kept !== null && !kept.isSent;
    this.wasRestored = isNewer || draft.version > 0;
    this.#version = draft.version;
    this.savedAt = draft.saved_at;
    if (isNewer) {
      this.#answers = { form: kept.form, notes: kept.notes };
      this.#isSent = false;
      this.#attempt = kept.attempt ?? null;
      if (draft.version > kept.version && !this.#isAs(draft) && !this.#isAttempt(draft))
        this.#conflictWith(draft);
      else this.#schedule(0);
    } else {
      const texts = kept !== null && kept.version === draft.version ? kept.form : emptyAnswers().form;
      this.#answers = { form: { ...texts, value: draft.output }, notes: draft.notes ?? '' };
      if (draft.version > 0) this.status = 'saved';
    }
  }

  /** Calls the listener when the status has changed. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get answers(): Answers {
    return this.#answers;
  }

  /** Keeps new answers. */
  save(answers: Answers): void {
    this.#answers = answers;
    this.#isSent = false;
    this.#keep();
    if (this.status !== 'conflict') this.#schedule(SEND_DELAY);
  }

  /** Sends at once what is not sent yet, for instance because the network or the session is back. */
  flush(): void {
    if (!this.#isSent && this.status !== 'conflict') this.#schedule(0);
  }

  /** Settles a conflict. @returns whether other answers are to be shown now */
  settle(keepMine: boolean): boolean {
    const other = this.other;
    if (other === null) return false;
    this.other = null;
    this.#version = other.version;
    if (keepMine) {
      this.#setStatus('local');
      this.#schedule(0);
      return false;
    }
    this.#answers = {
      form: { ...emptyAnswers().form, value: other.output },
      notes: other.notes ?? '',
    };
    this.#isSent = true;
    this.#keep();
    this.#setStatus('saved');
    return true;
  }

  /** The task is out of the worker's hands: nothing is kept. */
  discard(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    localStorage.removeItem(this.#key);
  }

  /** Stops sending; what is on the device stays. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Starts sending again. */
  reopen(): void {
    this.#isClosed = false;
    this.flush();
  }

  #schedule(delay: number): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#send(), delay);
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.#isClosed) return;
    this.#isSending = true;
    const sent = this.#answers;
    this.#setStatus('saving');
    this.#attempt = { value: sent.form.value, notes: sent.notes };
    this.#keep();
    try {
      const saved = await api.worker.saveDraft(this.#taskId, bodyOf(sent), {
        headers: { 'If-Match': `"${this.#version}"` },
        maxRetries: 0,
      });
      this.#version = saved.version;
      this.savedAt = saved.saved_at;
      this.#isSent = this.#answers === sent;
      this.#keep();
      this.#setStatus('saved');
    } catch (error) {
      await this.#failed(error).catch(() => this.#setStatus('local'));
    } finally {
      this.#isSending = false;
    }
    if (!this.#isSent && this.status !== 'conflict')
      this.#schedule(this.status === 'saved' ? SEND_DELAY : RETRY_DELAY);
  }

  async #failed(error: unknown): Promise<void> {
    this.#setStatus('local');
    if (!(error instanceof ApiError)) return;
    // The task takes no draft: it has been submitted, or is no longer theirs.
    if (error.status === 404 || error.status === 409) this.#isClosed = true;
    if (error.status !== 412) return;
    const draft = await api.worker.getDraft(this.#taskId);
    if (!this.#isAs(draft) && !this.#isAttempt(draft)) return this.#conflictWith(draft);
    // An earlier attempt was saved, but its answer did not arrive.
    this.#version = draft.version;
    this.savedAt = draft.saved_at;
    this.#isSent = this.#isAs(draft);
    this.#keep();
    this.#setStatus('saved');
  }

  #isAs({ output, notes = '' }: Draft): boolean {
    return isSame(output, this.#answers.form.value) && notes === this.#answers.notes;
  }

  #isAttempt({ output, notes = '' }: Draft): boolean {
    return isSame(output, this.#attempt?.value) && notes === this.#attempt?.notes;
  }

  #conflictWith(draft: Draft): void {
    this.other = draft;
    this.#setStatus('conflict');
  }

  #keep(): void {
    const attempt = this.#attempt ?? { value: undefined, notes: '' };
    const kept: Kept = { ...this.#answers, version: this.#version, isSent: this.#isSent, attempt };
    try {
      localStorage.setItem(this.#key, JSON.stringify(kept));
    } catch {
      // The storage of the browser is full; the server has the draft.
    }
  }

  #setStatus(status: DraftStatus): void {
    if (this.status === status && status !== 'saved') return;
    this.status = status;
    for (const listener of this.#listeners) listener();
  }
}

function bodyOf({ form, notes }: Answers): { output?: unknown; notes?: string } {
  return { ...(form.value !== undefined && { output: form.value }), ...(notes !== '' && { notes }) };
}

function keyOf(workerId: string, taskId: string): string {
  return `biolayer-draft ${workerId} ${taskId}`;
}

function readKept(key: string): Kept | null {
  try {
    const text = localStorage.getItem(key);
    return text === null ? null : (JSON.parse(text) as Kept);
  } catch {
    return null;
  }
}
