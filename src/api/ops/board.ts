// Bull Board: a read-only view of the queues for the operator.

import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { KoaAdapter } from '@bull-board/koa';
import type { Middleware } from 'koa';
import type { Queues } from '../../queues/queues.ts';
import type { Admission } from '../access/admission.ts';
import type { Authenticator } from '../access/authenticate.ts';
import { ApiError } from '../http/problem.ts';
import { handleOtherMethod } from '../http/router.ts';

const BOARD_PATH = '/admin/queues';

const CSP =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; frame-ancestors 'none'";

/** Middleware that serves the board under `BOARD_PATH` to the operator. */
export function board(queues: Queues, authenticator: Authenticator, admission: Admission): Middleware {
  const adapter = new KoaAdapter();
  createBullBoard({
    queues: Object.values(queues.all).map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'BioLayer' } },
  });
  adapter.setBasePath(BOARD_PATH);
  // The error middleware of the API answers all errors.
  adapter.setErrorHandler((error) => {
    throw error;
  });
  const plugin = adapter.registerPlugin() as unknown as Middleware;
  return (ctx, next) => {
    if (ctx.path !== BOARD_PATH && !ctx.path.startsWith(`${BOARD_PATH}/`)) return next();
    if (!authenticator.isOperator(ctx.get('Authorization'))) {
      admission.countAnonymous(ctx);
      throw new ApiError('invalid_credential', 'This needs the operator token.', {
        headers: { 'WWW-Authenticate': 'Basic realm="operator"' },
      });
    }
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return handleOtherMethod(ctx, ['GET']);
    ctx.set('Content-Security-Policy', CSP);
    return plugin(ctx, next);
  };
}
