// Which channel gets a notice next, and quiet hours.
import { describe, expect, it } from 'vitest';
import {
  type Channel,
  moved,
  type QuietHours,
  quietHoursFault,
  quietUntil,
} from '../../../src/state/notices/channel.ts';
import { messageOf } from '../../../src/state/notices/message.ts';
import { MAX_ATTEMPTS, nextStep, RETRY_AFTER_MS } from '../../../src/state/notices/next-step.ts';
import type { Notice, NoticeAttempt } from '../../../src/state/notices/notice.ts';
import { sampleInput, taskIn } from '../../support/tasks.ts';

const AT = Date.parse('2026-11-30T21:30:00Z');
const NIGHT: QuietHours = { start: '22:00', end: '07:00', time_zone: 'Europe/Berlin', allow_critical: false };

function channel(channel_id: string, change: Partial<Channel> = {}): Channel {
  return {
    channel_id,
    kind: 'slack',
    version: 1,
    name: '',
    language: 'en',
    enabled: true,
    disabled: null,
    quiet_hours: null,
    target: 'example.com',
    target_hash: channel_id,
    sealed: null,
    confirmed_at: 0,
    code: null,
    pools: ['*'],
    created_at: 0,
    updated_at: 0,
    ...change,
  };
}

const failure = (channel_id: string, at = 0, is_last = false): NoticeAttempt => ({
  channel_id,
  channel: 'slack',
  at,
  outcome: 'failed',
  error: 'no',
  is_last,
});

const notice = (change: Partial<Notice> = {}): Notice => ({
  notice_id: 'n',
  kind: 'offer',
  task_id: 't',
  pool: 'a',
  channel_id: null,
  at: AT,
  status: 'pending',
  reason: null,
  attempts: [],
  ...change,
});

describe('the next step of a notice', () => {
  it('tries the usable channels in their order, each twice with a pause', () => {
    const channels = [
      channel('off', { enabled: false }),
      channel('unconfirmed', { confirmed_at: null }),
      channel('elsewhere', { pools: ['b'] }),
      channel('one'),
      channel('two'),
    ];
    const tried: string[] = [];
    let now = AT;
    let current = notice();
    for (let steps = 0; steps < 20; steps += 1) {
      const step = nextStep(current, channels, 'normal', now);
      if (step.kind === 'settle') {
        expect(step).toEqual({ kind: 'settle', status: 'failed', reason: null });
        break;
      }
      if (step.kind === 'wait') {
        expect(step.until).toBe(now + RETRY_AFTER_MS);
        now = step.until;
        continue;
      }
      tried.push(step.channel.channel_id);
      current = { ...current, attempts: [...current.attempts, failure(step.channel.channel_id, now)] };
    }
    expect(MAX_ATTEMPTS).toBe(2);
    expect(tried).toEqual(['one', 'one', 'two', 'two']);
  });

  it('passes over a channel that cannot take the notice', () => {
    const step = nextStep(
      notice({ attempts: [failure('one', AT, true)] }),
      [channel('one'), channel('two')],
      null,
      AT,
    );
    expect(step).toMatchObject({ kind: 'send', channel: { channel_id: 'two' } });
  });

  it('settles a notice without any channel', () => {
    expect(nextStep(notice(), [], 'high', AT)).toEqual({
      kind: 'settle',
      status: 'not_sent',
      reason: 'no_channel',
    });
  });

  it('passes over a channel in its quiet hours, and gives up an offer that no other one takes', () => {
    const quiet = channel('quiet', { quiet_hours: NIGHT });
    expect(nextStep(notice(), [quiet, channel('loud')], 'high', AT)).toMatchObject({
      kind: 'send',
      channel: { channel_id: 'loud' },
    });
    expect(nextStep(notice(), [quiet], 'critical', AT)).toMatchObject({ reason: 'quiet_hours' });
  });

  it('keeps other notices until the quiet hours end', () => {
    const quiet = channel('quiet', { quiet_hours: NIGHT });
    const until = Date.parse('2026-12-01T06:00:00Z');
    expect(nextStep(notice({ kind: 'message' }), [quiet], 'high', AT)).toEqual({ kind: 'wait', until });
    expect(nextStep(notice({ kind: 'message' }), [quiet], 'high', until)).toMatchObject({ kind: 'send' });
  });

  it('lets critical tasks and tests through quiet hours where asked to', () => {
    const quiet = channel('quiet', { quiet_hours: { ...NIGHT, allow_critical: true } });
    expect(nextStep(notice(), [quiet], 'high', AT)).toMatchObject({ reason: 'quiet_hours' });
    expect(nextStep(notice(), [quiet], 'critical', AT)).toMatchObject({ kind: 'send' });
    const test = notice({ kind: 'test', task_id: null, channel_id: 'quiet' });
    expect(nextStep(test, [quiet], null, AT)).toMatchObject({ kind: 'send' });
  });
});

describe('quiet hours', () => {
  it.each([
    ['2026-11-30T20:59:00Z', null],
    ['2026-11-30T21:00:00Z', '2026-12-01T06:00:00Z'],
    ['2026-12-01T05:59:30Z', '2026-12-01T06:00:00Z'],
    ['2026-12-01T06:00:00Z', null],
  ])('at %s end at %s', (now, end) => {
    expect(quietUntil(NIGHT, Date.parse(now))).toBe(end === null ? null : Date.parse(end));
  });

  it('may lie within a day', () => {
    const noon = { ...NIGHT, start: '12:00', end: '13:00' };
    expect(quietUntil(noon, Date.parse('2026-11-30T11:15:00Z'))).toBe(Date.parse('2026-11-30T12:00:00Z'));
    expect(quietUntil(noon, AT)).toBeNull();
  });

  it('need a known time zone and some length', () => {
    expect(quietHoursFault(NIGHT)).toBeNull();
    expect(quietHoursFault({ ...NIGHT, time_zone: 'Europe/Atlantis' })).toMatch(/time_zone/);
    expect(quietHoursFault({ ...NIGHT, end: NIGHT.start })).toMatch(/different times/);
  });
});

describe('the order of channels', () => {
  it('changes by moving one of them', () => {
    const channels = ['a', 'b', 'c'].map((id) => channel(id));
    const order = (id: string, position: number) =>
      moved(channels, id, position).map((one) => one.channel_id);
    expect(order('c', 1)).toEqual(['c', 'a', 'b']);
    expect(order('a', 2)).toEqual(['b', 'a', 'c']);
    expect(order('a', 10)).toEqual(['b', 'c', 'a']);
  });
});

describe('the message of a notice', () => {
  it('has the title on one line, shortened, and no URL when the public one is unknown', () => {
    const task = taskIn(
      'started',
      sampleInput({ more: { title: `Line\r\nBcc: eve@example.com\u202e${'x'.repeat(200)}` } }),
    );
    const { title, url } = messageOf(
      notice({ kind: 'rework' }),
      { task, language: 'de', now: AT },
      undefined,
    );
    expect(title).toMatch(/^Überarbeitung gewünscht: Line Bcc: eve@example\.com x+…$/);
    expect(title.length).toBeLessThan(160);
    expect(url).toBeNull();
  });
});
