// Redis' clock, for the operator: shows whether it has jumped, and confirms the new time.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import { type ClockJump, confirmJump, loadJump } from '../../../store/redis/clock-jump.ts';
import type { Clock } from '../../../store/redis/connection.ts';
import { closed, nullable, time } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const ClockView = closed({
  now: time("The time of Redis' clock"),
  held: Type.Boolean({ description: 'True while deadlines and expiries are paused because of a jump' }),
  jump: nullable(
    closed(
      {
        by_ms: Type.Integer({ description: 'Size of the jump; negative when the clock went back' }),
        seen_at: Type.String({
          format: 'date-time',
          description: "When the jump was seen, by Redis' clock after the jump",
        }),
        confirmed: Type.Boolean({ description: 'Whether an operator has confirmed the jump' }),
      },
      'ClockJump',
      'A jump of the clock',
    ),
    'The last jump; null for none',
  ),
});

function view(clock: Clock, jump: ClockJump | null) {
  return {
    now: timestamp(clock.now()),
    held: clock.isFrozen,
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
    operationId: 'getClock',
    summary: 'Retrieve the clock',
    description: 'Shows the time that all processes use, and whether the clock of Redis has jumped.',
    responses: { 200: { description: 'The clock', schema: ClockView } },
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
    operationId: 'confirmClock',
    summary: 'Confirm the clock after a jump',
    description: 'Deadlines and expiries, which are paused after a jump, apply again.',
    body: closed({}),
    bodyOptional: true,
    responses: {
      200: { description: 'The clock; every process follows it within ten seconds', schema: ClockView },
    },
    async handler({ deps: { db } }) {
      await db.clock.sync();
      const jump = await confirmJump(db.redis, db.prefix);
      await db.clock.sync();
      return { status: 200, body: view(db.clock, jump) };
    },
  }),
];
