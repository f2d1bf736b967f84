// The text of a notice in the language of its channel: plain text, with a link to the page where the worker can act.

import type { Task } from '../tasks/task.ts';
import { elided } from '../text/text.ts';
import type { NoticeLanguage } from './channel.ts';
import { type Notice, type NoticeKind, reminderEnd } from './notice.ts';

/** Characters of a task's title in a notice. */
const MAX_TITLE = 120;

export interface NoticeMessage {
  title: string;
  body: string;
  /** Page that shows what the notice is about; null when the public URL is not known. Opening it changes nothing. */
  url: string | null;
}

/** What the texts mention. */
interface Facts {
  /** Title of the task. */
  title: string;
  urgency: string;
  /** Time left to answer an offer, or until the deadline, s. */
  seconds: number;
  /** Confirmation code. */
  code: string;
}

type Texts = Record<NoticeKind, (facts: Facts) => Omit<NoticeMessage, 'url'>>;

const EN: Texts = {
  offer: ({ title, urgency, seconds }) => ({
    title: `New offer: ${title}`,
    body: `Urgency: ${urgency}. The offer ends in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`,
  }),
  assigned: ({ title, urgency }) => ({
    title: `Assigned to you: ${title}`,
    body: `Your team has given you this task. Urgency: ${urgency}.`,
  }),
  rework: ({ title }) => ({
    title: `Changes requested: ${title}`,
    body: 'A reviewer has sent your work back with feedback.',
  }),
  message: ({ title }) => ({
    title: `New message: ${title}`,
    body: 'The requester of your task has written to you.',
  }),
  due_soon: ({ title, urgency, seconds }) => ({
    title: `Due soon: ${title}`,
    body: `${minutesEn(seconds)} until the deadline. Urgency: ${urgency}.`,
  }),
  confirmation: ({ code }) => ({
    title: `Your BioLayer code: ${code}`,
    body: `Enter the code ${code} to get notices at this address. It is valid for an hour. If you did not ask for it, ignore this message.`,
  }),
  test: () => ({ title: 'Test notice', body: 'Notices of BioLayer reach you here.' }),
};

const URGENCIES_DE: Record<string, string> = {
  low: 'niedrig',
  normal: 'normal',
  high: 'hoch',
  critical: 'kritisch',
};

const DE: Texts = {
  offer: ({ title, urgency, seconds }) => ({
    title: `Neues Angebot: ${title}`,
    body: `Dringlichkeit: ${URGENCIES_DE[urgency] ?? urgency}. Das Angebot endet in ${seconds} ${seconds === 1 ? 'Sekunde' : 'Sekunden'}.`,
  }),
  assigned: ({ title, urgency }) => ({
    title: `Ihnen zugewiesen: ${title}`,
    body: `Ihr Team hat Ihnen diese Aufgabe gegeben. Dringlichkeit: ${URGENCIES_DE[urgency] ?? urgency}.`,
  }),
  rework: ({ title }) => ({
    title: `Überarbeitung gewünscht: ${title}`,
    body: 'Ihre Arbeit wurde nach der Prüfung mit einer Rückmeldung zurückgegeben.',
  }),
  message: ({ title }) => ({
    title: `Neue Nachricht: ${title}`,
    body: 'Sie haben eine Nachricht zu Ihrer Aufgabe bekommen.',
  }),
  due_soon: ({ title, urgency, seconds }) => ({
    title: `Bald fällig: ${title}`,
    body: `${minutesDe(seconds)} bis zur Frist. Dringlichkeit: ${URGENCIES_DE[urgency] ?? urgency}.`,
  }),
  confirmation: ({ code }) => ({
    title: `Ihr BioLayer-Code: ${code}`,
    body: `Geben Sie den Code ${code} ein, um Mitteilungen an diese Adresse zu bekommen. Er gilt eine Stunde. Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese Nachricht.`,
  }),
  test: () => ({ title: 'Testmitteilung', body: 'Mitteilungen von BioLayer erreichen Sie hier.' }),
};

/** Rounded down, so that nobody relies on time that is not there. */
function minutesEn(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return 'Less than a minute is left';
  return minutes === 1 ? 'One minute is left' : `${minutes} minutes are left`;
}

function minutesDe(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return 'Noch weniger als eine Minute';
  return minutes === 1 ? 'Noch eine Minute' : `Noch ${minutes} Minuten`;
}

const TEXTS: Record<NoticeLanguage, Texts> = { en: EN, de: DE };

/**
 * The message of a notice.
 * @param task that it is about; null for none. @param code for a `confirmation`. @param now ms
 * @param publicUrl origin of the pages, if it is known.
 */
export function messageOf(
  notice: Pick<Notice, 'kind' | 'notice_id' | 'task_id'>,
  {
    task,
    code = '',
    language,
    now,
  }: { task: Task | null; code?: string; language: NoticeLanguage; now: number },
  publicUrl: string | undefined,
): NoticeMessage {
  const ends = noticeEnd(notice, task) ?? now;
  const facts: Facts = {
    title: elided(oneLine(task?.input.title ?? ''), MAX_TITLE),
    urgency: task?.input.sla.urgency ?? '',
    seconds: Math.max(0, Math.round((ends - now) / 1000)),
    code,
  };
  return {
    ...TEXTS[language][notice.kind](facts),
    url: publicUrl === undefined ? null : `${publicUrl}${pathOf(notice)}`,
  };
}

/** When the offer that a notice tells of ends, or the deadline is, ms; null for other notices. */
export function noticeEnd(
  { kind, notice_id }: Pick<Notice, 'kind' | 'notice_id'>,
  task: Task | null,
): number | null {
  if (task === null) return null;
  if (kind !== 'offer') return reminderEnd({ kind, notice_id }, task);
  return task.offers.find((one) => one.offer_id === notice_id)?.expires_at ?? null;
}

function pathOf({ kind, notice_id, task_id }: Pick<Notice, 'kind' | 'notice_id' | 'task_id'>): string {
  if (kind === 'offer') return `/work/offers/${notice_id}`;
  return task_id === null ? '/work/settings' : `/work/tasks/${task_id}`;
}

/** The text on one line, without control characters, also those that change the direction of writing. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim();
}
