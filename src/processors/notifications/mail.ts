// Notices by e-mail, through the operator's SMTP server. Every phase has a time limit, and so has a whole message.

import { setTimeout as sleep } from 'node:timers/promises';
import nodemailer, { type Transporter } from 'nodemailer';
import type { NoticeMessage } from '../../state/notices/message.ts';
import type { ChannelOutcome } from './outcome.ts';

/** The SMTP server and the sender of its messages. */
export interface MailOptions {
  /** `smtp://` or `smtps://`, with user and password. */
  url: string;
  /** An address, possibly with a name: `BioLayer <work@example.com>`. */
  from: string;
}

/** Longest time for one message, ms. */
const TIME_LIMIT_MS = 10_000;
const PHASE_LIMIT_MS = 5_000;

export class Mailer {
  readonly #from: string;
  readonly #transport: Transporter;
  readonly #timeLimitMs: number;

  /** @param timeLimitMs for one message */
  constructor({ url, from }: MailOptions, timeLimitMs = TIME_LIMIT_MS) {
    this.#from = from;
    this.#timeLimitMs = timeLimitMs;
    const phase = Math.min(PHASE_LIMIT_MS, timeLimitMs);
    this.#transport = nodemailer.createTransport({
      url,
      connectionTimeout: phase,
      greetingTimeout: phase,
      dnsTimeout: phase,
      socketTimeout: phase,
      // A message consists of its texts alone.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /** Sends a notice to an address. Never throws. @param noticeId makes the id of the message, the same for a repeated attempt */
  async send(to: string, noticeId: string, { title, body, url }: NoticeMessage): Promise<ChannelOutcome> {
    const startedAt = performance.now();
    const text = url === null ? `${body}\n` : `${body}\n\n${url}\n`;
    const limit = new AbortController();
    try {
      await Promise.race([
        this.#transport.sendMail({
          from: this.#from,
          to: { name: '', address: to },
          subject: title,
          text,
          messageId: `<${noticeId}@${this.#domain}>`,
          // Keeps mail programs from sending out-of-office replies (RFC 3834).
          headers: { 'Auto-Submitted': 'auto-generated' },
        }),
        sleep(this.#timeLimitMs, null, { signal: limit.signal }).then(() => {
          throw new Error('The mail server did not take the message in time.');
        }),
      ]);
      return outcome(startedAt, null, null);
    } catch (error) {
      return outcome(startedAt, sentenceOf(error), statusOf(error));
    } finally {
      limit.abort();
    }
  }

  get #domain(): string {
    return /@([\w.-]+)>?$/.exec(this.#from.trim())?.[1] ?? 'localhost';
  }
}

function outcome(startedAt: number, error: string | null, status: number | null): ChannelOutcome {
  return {
    ok: error === null,
    isGone: false,
    isFinal: status !== null && status >= 500,
    error,
    // Any answer shows that the server works.
    status: error === null ? 250 : status,
    ms: performance.now() - startedAt,
    retryAfterMs: null,
  };
}

/** The reply code of the server; null when it gave none. */
function statusOf(error: unknown): number | null {
  const code = error instanceof Error && 'responseCode' in error ? error.responseCode : null;
  return typeof code === 'number' ? code : null;
}

/** A sentence without the texts of the server or of the connection, which may name the operator's systems. */
function sentenceOf(error: unknown): string {
  const status = statusOf(error);
  if (status !== null) return `The mail server refused the message (${status}).`;
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return `The message could not be handed to the mail server${code}.`;
}
