// Sends the message of a notice through one channel. The circuit breaker of webhooks keeps a receiver that does not
// answer from taking time: while it cools down, notices fall through to the next channel at once.

import type { Channel, Channels } from '../../state/notices/channel.ts';
import type { NoticeMessage } from '../../state/notices/message.ts';
import type { Notice } from '../../state/notices/notice.ts';
import { channelContext } from '../../store/notices/channels.ts';
import { vapidKeys } from '../../store/notices/vapid-keys.ts';
import type { Db } from '../../store/redis/connection.ts';
import { type Sealer, UnopenableError } from '../../store/redis/sealing.ts';
import { ConcurrencyLimiter } from '../webhooks/receiver-limits.ts';
import type { WebhookSender } from '../webhooks/sender.ts';
import type { Mailer } from './mail.ts';
import { type ChannelOutcome, outcomeOfRequest, unsendable } from './outcome.ts';
import { slackRequest } from './slack.ts';
import { type PushSubscription, pushRequest } from './web-push.ts';

export interface ChannelSenderDeps {
  db: Db;
  sealer: Sealer;
  sender: WebhookSender;
  /** Undefined without a mail server. */
  mailer: Mailer | undefined;
  /** Contact of the operator for push services: a `mailto:` or `https:` URL. */
  vapidSubject: string;
  /** Notices at the same time in this process. */
  concurrency: number;
}

export class ChannelSender {
  readonly #deps: ChannelSenderDeps;
  readonly #limiter: ConcurrencyLimiter;

  constructor(deps: ChannelSenderDeps) {
    this.#deps = deps;
    this.#limiter = new ConcurrencyLimiter(deps.concurrency);
  }

  /**
   * Sends a message.
   * @param endsIn milliseconds until the notice is pointless; null for never.
   * @returns the outcome; null when the receiver has as many requests under way as it may
   */
  async send(
    channels: Channels,
    channel: Channel,
    notice: Notice,
    message: NoticeMessage,
    endsIn: number | null,
  ): Promise<ChannelOutcome | null> {
    // Receivers are told apart by org, so that no org affects the notices of another.
    const receiver = channel.kind === 'email' ? 'mail' : `${channels.org_id} ${channel.target}`;
    if (!this.#limiter.tryAcquire(receiver, true))
      return this.#limiter.coolDownMs(receiver) > 0
        ? unsendable('The receiver has not been answering.')
        : null;
    let outcome: ChannelOutcome | null = null;
    try {
      outcome = await this.#dispatch(channels, channel, notice, message, endsIn);
    } finally {
      this.#limiter.release(receiver, outcome);
    }
    return outcome;
  }

  async #dispatch(
    channels: Channels,
    channel: Channel,
    notice: Notice,
    message: NoticeMessage,
    endsIn: number | null,
  ): Promise<ChannelOutcome> {
    const { db, sealer, sender, mailer, vapidSubject } = this.#deps;
    if (channel.kind === 'email') {
      if (mailer === undefined) return unsendable('This server sends no e-mail.');
      return mailer.send(channel.target, notice.notice_id, message);
    }
    let secret: unknown;
    try {
      secret = JSON.parse(sealer.open(channel.sealed ?? '', channelContext(channels, channel.channel_id)));
    } catch (error) {
      if (error instanceof UnopenableError)
        return unsendable('The stored secret of the channel cannot be opened.');
      throw error;
    }
    if (channel.kind === 'slack') {
      const { url } = secret as { url: string };
      return outcomeOfRequest(await sender.send(slackRequest(url, message)));
    }
    const keys = await vapidKeys(db, sealer);
    const about = { notice_id: notice.notice_id, kind: notice.kind, language: channel.language };
    const vapid = { ...keys, subject: vapidSubject };
    return outcomeOfRequest(
      await sender.send(pushRequest(secret as PushSubscription, about, message, endsIn, vapid)),
    );
  }
}
