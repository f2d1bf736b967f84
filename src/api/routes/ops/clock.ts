// Redis' clock, for the operator: whether it has jumped, and the word that its new time is right.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import { type ClockJump, confirmJump, loadJump } from '../../../store/redis/clock-jump.ts';
import type { Clock } from '../../../store/redis/connection.ts';
import { closed, nullable, Timestamp } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const ClockView = closed({
  now: Timestamp,
  held: Type.Boolean({ description: 'Nothing ends by time until the jump is over' }),
  jump: nullable(
    closed({
      by_ms: Type.Integer({ description: "By how much Redis' clock went ahead; negative for back" }),
      seen_at: Type.String({ format: 'date-time', description: "By Redis' clock after the jump" }),
      confirmed: Type.Boolean(),
    }),
  ),
});

function view(clock: Clock, jump: ClockJump | null) {
  return {
    now: timestamp(clock.now()),
    held: clock.isHeld,
    jump:
      jump === null ? null : { by_ms: jump.by, seen_at: timestamp(jump.seen_at), confirmed: jump.confirmed },
  };
}

export const clockRoutes = [
  route({
    method: 'GET',
    path: '/admin/clock',
    access: { kind: 'operator' },
    tag: 'Operators',
    summary: "The time that all processes go by, and whether Redis' clock has jumped",
    answers: { 200: { description: 'The clock', schema: ClockView } },
    async handler({ deps: { db } }) {
      await db.clock.sync();
      return { status: 200, body: view(db.clock, await loadJump(db.redis, db.prefix)) };
    },
  }),
  route({
    method: 'POST',
    path: '/admin/clock/confirm',
    access: { kind: 'operator' },
    tag: 'Operators',
    summary: "Take the time of Redis' clock after a jump for right: what is due by it ends from now on",
    body: closed({}),
    bodyOptional: true,
    answers: {
      200: { description: 'The clock; every process goes by it within ten seconds', schema: ClockView },
    },
    async handler({ deps: { db } }) {
      await db.clock.sync();
      const jump = await confirmJump(db.redis, db.prefix);
      await db.clock.sync();
      return { status: 200, body: view(db.clock, jump) };
    },
  }),
];
