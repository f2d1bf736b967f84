// Turns any error into an RFC 9457 answer, and what nobody answered into a 404.

import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import { FileStoreError } from '../../store/evidence/files.ts';
import { UnopenableError } from '../../store/redis/sealing.ts';
import { asApiError, methodNotAllowed, notFound, problemBody } from '../http/problem.ts';
import type { RequestState } from './request-id.ts';

export function errors(log: Logger): Middleware<RequestState> {
  return async (ctx, next) => {
    try {
      await next();
      const isMethod = ctx.status === 405 || ctx.status === 501;
      const Allow = isMethod ? String(ctx.response.get('Allow')) : '';
      // A method that nobody knows, at a place that is not there.
      if ((ctx.status === 404 && ctx.body == null) || (isMethod && Allow === '')) throw notFound();
      if (isMethod) throw methodNotAllowed(ctx.method, Allow);
    } catch (error) {
      const shown = asApiError(error);
      // Of Redis away its connections tell; of the store of files and of secrets nobody else does.
      const isTold = error instanceof FileStoreError || error instanceof UnopenableError;
      if (shown.code === 'internal_error' || isTold)
        log.error({ err: error, request_id: ctx.state.requestId, path: ctx.path }, 'request failed');
      ctx.status = shown.status;
      ctx.set(shown.headers);
      ctx.body = JSON.stringify(problemBody(shown, ctx.state.requestId));
      ctx.type = 'application/problem+json';
    }
  };
}
