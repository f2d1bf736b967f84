// Sends notices to workers.
//
// 1. The relay adds a notice, which is pending, and its job. The job carries only ids.
// 2. The job loads the notice and the task. If the offer has ended, or the task has left the worker's hands, the notice is
//    settled as not sent.
// 3. It leases the notice and tries the next channel (`state/notices/next-step.ts`). A channel that takes it settles it;
//    one that fails is tried once more, and then the next one.
// 4. The attempt is recorded in the notice. A process that dies after sending leaves it `sending`; the notice is due again
//    when the lease ends, and may then be sent twice.
// 5. A channel whose receiver answers 404 or 410 is disabled in the same commit.

import type { Job } from 'bullmq';
import type { NoticeJob } from '../../queues/catalogue.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import { type Channel, type Channels, goneChannel } from '../../state/notices/channel.ts';
import { messageOf, noticeEnd } from '../../state/notices/message.ts';
import { nextStep } from '../../state/notices/next-step.ts';
import {
  isRelevant,
  type Notice,
  type NoticeAttempt,
  type UnsentReason,
} from '../../state/notices/notice.ts';
import type { Task } from '../../state/tasks/task.ts';
import { channelContext, channelsWrites, loadChannels } from '../../store/notices/channels.ts';
import { dropPendingNotice, loadNotice, type StoredNotice, saveNotice } from '../../store/notices/notices.ts';
import type { Change } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Log } from '../../store/redis/log.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import { loadTask } from '../../store/tasks/tasks.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import type { ChannelSender } from './channel-sender.ts';
import type { ChannelOutcome } from './outcome.ts';
import { Shares } from './shares.ts';

export interface NotificationDeps {
  db: Db;
  sealer: Sealer;
  sender: ChannelSender;
  log: Log;
  /** Origin of the pages, for the links of notices. */
  publicUrl: string | undefined;
  /** Notices at the same time in this process. */
  concurrency: number;
}

/** Longer than any attempt, with a margin to record it, ms. */
const LEASE_MS = 15_000;
/** Delay of a job for which there is no room, ms; up to twice that. */
const NO_ROOM_MS = 250;

type PutOff = (ms: number) => Promise<never>;

export class NotificationProcessor {
  readonly #deps: NotificationDeps;
  readonly #shares: Shares;

  constructor(deps: NotificationDeps) {
    this.#deps = deps;
    this.#shares = new Shares(deps.concurrency);
  }

  /** Runs a job of the `notifications` queue. @param job to put it off. @param token BullMQ's, of its lock. */
  async run(ref: NoticeJob, job: Pick<Job, 'moveToDelayed'>, token: string | undefined): Promise<void> {
    const { org_id, worker_id } = ref;
    const putOff: PutOff = (ms) => putOffJob(job, Math.max(1, ms), token);
    if (!this.#shares.tryTake(org_id, worker_id)) await putOff(NO_ROOM_MS * (1 + Math.random()));
    try {
      while (await this.#advance(ref, putOff));
    } finally {
      this.#shares.release(org_id, worker_id);
    }
  }

  /** Does the next step of a notice. @returns whether there may be another */
  async #advance(ref: NoticeJob, putOff: PutOff): Promise<boolean> {
    const { db } = this.#deps;
    const stored = await loadNotice(db, ref);
    if (stored === null) {
      await dropPendingNotice(db, ref);
      return false;
    }
    const { notice, due } = stored;
    if (notice.status !== 'pending' || due === null) return false;
    const now = db.clock.now();
    // It waits for another attempt, or is leased. A later time was written before Redis' clock went back.
    if (due > now && (notice.attempts.at(-1)?.at ?? now) <= now) return putOff(due - now);
    const [task, worker, channels] = await Promise.all([
      notice.task_id === null ? null : loadTask(db, ref.org_id, notice.task_id),
      loadWorker(db, ref.org_id, ref.worker_id),
      loadChannels(db, ref.org_id, ref.worker_id),
    ]);
    if (worker === null) {
      await dropPendingNotice(db, ref);
      return false;
    }
    const known = task?.task ?? null;
    if (!isRelevant(notice, known, worker, now))
      return this.#settle(stored, 'not_sent', 'no_longer_relevant');
    const step = nextStep(notice, channels.channels, known?.input.sla.urgency ?? null, now);
    switch (step.kind) {
      case 'settle':
        return this.#settle(stored, step.status, step.reason);
      case 'wait':
        await saveNotice(db, stored, notice, step.until);
        return putOff(step.until - now);
      case 'send':
        return this.#attempt(stored, channels, step.channel, known, putOff);
    }
  }

  async #settle(
    stored: StoredNotice,
    status: 'failed' | 'not_sent',
    reason: UnsentReason | null,
  ): Promise<boolean> {
    const { notice, ref } = stored;
    const saved = await saveNotice(this.#deps.db, stored, { ...notice, status, reason }, null);
    if (saved !== null) this.#deps.log.info({ ...ref, kind: notice.kind, status, reason }, 'notice not sent');
    return saved === null;
  }

  async #attempt(
    stored: StoredNotice,
    channels: Channels,
    channel: Channel,
    task: Task | null,
    putOff: PutOff,
  ): Promise<boolean> {
    const { db, sender, publicUrl } = this.#deps;
    const now = db.clock.now();
    const begun: NoticeAttempt = {
      channel_id: channel.channel_id,
      channel: channel.kind,
      at: now,
      outcome: 'sending',
      error: null,
      is_last: false,
    };
    const { notice } = stored;
    const sending = { ...notice, attempts: [...notice.attempts, begun] };
    const leased = await saveNotice(db, stored, sending, now + LEASE_MS);
    if (leased === null) return true;
    const code = this.#codeFor(notice, channels, channel);
    if (code === null) return this.#record(leased, notice, channels, channel, begun, SUPERSEDED);
    const ends = noticeEnd(notice, task);
    const message = messageOf(notice, { task, code, language: channel.language, now }, publicUrl);
    const outcome = await sender.send(channels, channel, notice, message, ends === null ? null : ends - now);
    if (outcome === null) {
      // The attempt was not made.
      await saveNotice(db, leased, notice, now);
      return putOff(NO_ROOM_MS * (1 + Math.random()));
    }
    return this.#record(leased, notice, channels, channel, begun, outcome);
  }

  /** The code that a `confirmation` carries, empty for other notices; null when there is no valid one any longer. */
  #codeFor({ kind }: Notice, channels: Channels, { channel_id, code }: Channel): string | null {
    if (kind !== 'confirmation') return '';
    if (code === null || code.expires_at <= this.#deps.db.clock.now()) return null;
    return this.#deps.sealer.open(code.sealed, channelContext(channels, channel_id));
  }

  /** Records an attempt. @returns whether the notice is still to be sent */
  async #record(
    leased: StoredNotice,
    before: Notice,
    channels: Channels,
    channel: Channel,
    begun: NoticeAttempt,
    outcome: ChannelOutcome,
  ): Promise<boolean> {
    const { db, log } = this.#deps;
    const now = db.clock.now();
    const attempt: NoticeAttempt = {
      ...begun,
      outcome: outcome.ok ? 'sent' : 'failed',
      error: outcome.error,
      is_last: outcome.ok || outcome.isFinal,
    };
    const attempts = [...before.attempts, attempt];
    const notice: Notice = { ...before, attempts, status: outcome.ok ? 'sent' : 'pending' };
    const due = outcome.ok ? null : now;
    // Without the channel's change if the worker has changed their channels meanwhile.
    const saved =
      (outcome.isGone
        ? await saveNotice(db, leased, notice, due, disabling(db, channels, channel, now))
        : null) ?? (await saveNotice(db, leased, notice, due));
    log[outcome.ok ? 'debug' : 'info'](
      {
        ...leased.ref,
        kind: before.kind,
        channel_id: channel.channel_id,
        channel: channel.kind,
        outcome: attempt.outcome,
        http_status: outcome.status,
        error: outcome.error,
        ms: Math.round(outcome.ms),
        recorded: saved !== null,
      },
      'notice attempt',
    );
    if (outcome.isGone)
      log.warn({ ...leased.ref, channel_id: channel.channel_id }, 'notification channel is gone');
    return saved !== null && !outcome.ok;
  }
}

const SUPERSEDED: ChannelOutcome = {
  ok: false,
  isGone: false,
  isFinal: true,
  error: 'The code is no longer valid.',
  status: null,
  ms: 0,
  retryAfterMs: null,
};

/** The change that disables a channel whose receiver no longer exists. */
function disabling(db: Db, before: Channels, { channel_id }: Channel, now: number): Change {
  const channels = before.channels.map((one) =>
    one.channel_id === channel_id ? goneChannel(one, now) : one,
  );
  return channelsWrites(db, before, { ...before, channels, version: before.version + 1 });
}
