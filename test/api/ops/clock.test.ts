// A jump of Redis' clock in /readyz, the operator routes and the command.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordJump } from '../../../src/store/redis/clock-jump.ts';
import { createOrg, OPERATOR_TOKEN, startApi, type TestApi } from '../../support/api.ts';
import { jsonOf, runCommand } from '../../support/cli.ts';

const HOUR = 3600_000;

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

interface Shown {
  now: string;
  held: boolean;
  jump: { by_ms: number; confirmed: boolean } | null;
}

const ready = async () => (await fetch(`${api.url}/readyz`)).json();
/** Another process has seen Redis' clock jump just before this one started. */
const jump = (by: number) =>
  recordJump(api.redis, api.prefix, { by, seen_at: api.web.db.clock.now(), confirmed: false });
const isAbout = (shown: Shown, behind: number) =>
  expect(Math.abs(Date.parse(shown.now) + behind - Date.now())).toBeLessThan(30_000);

test('a clock jump is shown, degrades the process, and ends when it is confirmed', async () => {
  const show = () => api.operator.get<Shown>('/admin/clock');
  expect(await show()).toMatchObject({ held: false, jump: null });
  expect(await ready()).toEqual({ status: 'ok' });
  await jump(2 * HOUR);
  const held = await show();
  expect(held).toMatchObject({ held: true, jump: { by_ms: 2 * HOUR, confirmed: false } });
  isAbout(held, 2 * HOUR);
  expect(await ready()).toEqual({
    status: 'degraded',
    clock: 'held',
    reason: "Redis' clock has jumped: deadlines and expiries are paused",
  });
  const confirmed = await api.operator.post<Shown>('/admin/clock/confirm');
  expect(confirmed).toMatchObject({ held: false, jump: { by_ms: 2 * HOUR, confirmed: true } });
  isAbout(confirmed, 0);
  expect(await ready()).toEqual({ status: 'ok' });
  // Nothing remains to be confirmed.
  expect(await api.operator.post<Shown>('/admin/clock/confirm')).toMatchObject({ held: false, jump: null });
});

test('the command shows and confirms a jump', async () => {
  const other = await startApi();
  try {
    const settings = { env: { BIOLAYER_URL: other.url, OPERATOR_TOKEN } };
    const seen_at = other.web.db.clock.now();
    await recordJump(other.redis, other.prefix, { by: -HOUR, seen_at, confirmed: false });
    expect(await jsonOf<Shown>(['clock', 'show'], settings)).toMatchObject({
      held: true,
      jump: { by_ms: -HOUR, confirmed: false },
    });
    expect((await runCommand(['clock', 'show'], settings)).stdout).toMatch(/held +true/);
    expect(await jsonOf<Shown>(['clock', 'confirm'], settings)).toMatchObject({
      held: false,
      jump: { confirmed: true },
    });
  } finally {
    await other.close();
  }
});

test('the clock requires the operator token', async () => {
  const { client } = await createOrg(api);
  for (const by of [client, api.client(null)]) {
    expect((await by.request('GET', '/admin/clock')).status).toBe(401);
    expect((await by.request('POST', '/admin/clock/confirm', { body: {} })).status).toBe(401);
  }
});
