// Converts errors to problem documents (RFC 9457), and requests without a response to 404.

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
      // A 405 or 501 without Allow is an unknown method on a path that does not exist.
      if ((ctx.status === 404 && ctx.body == null) || (isMethod && Allow === '')) throw notFound();
      if (isMethod) throw methodNotAllowed(ctx.method, Allow);
    } catch (error) {
      const shown = asApiError(error);
      // Redis connections log their own outages; faults of the file store and of sealed secrets are logged only here.
      const isLogged = error instanceof FileStoreError || error instanceof UnopenableError;
      if (shown.code === 'internal_error' || isLogged)
        log.error({ err: error, request_id: ctx.state.requestId, path: ctx.path }, 'request failed');
      ctx.status = shown.status;
      ctx.set(shown.headers);
      ctx.body = JSON.stringify(problemBody(shown, ctx.state.requestId));
      ctx.type = 'application/problem+json';
    }
  };
}
