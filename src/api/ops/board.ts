// Bull Board: a view of the queues for the operator. It is read-only unless `BOARD_ACTIONS` is on; then failed jobs can be
// retried and finished ones removed (`board-actions.ts`), and nothing else.

import type { Middleware } from 'koa';
import type { Queues } from '../../queues/queues.ts';
import type { Admission } from '../access/admission.ts';
import type { Authenticator } from '../access/authenticate.ts';
import type { SessionCookies } from '../access/session-cookies.ts';
import { ApiError } from '../http/problem.ts';
import { handleOtherMethod } from '../http/router.ts';
import { actionOf, type BoardAction } from './board-actions.ts';

const BOARD_PATH = '/admin/queues';

const CSP =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; frame-ancestors 'none'";

/** What the page loads from hosts of fonts. The policy would refuse it; the page uses a font of the system instead. */
const FOREIGN_LINK = /<link[^>]+href="https?:[^>]*>\s*/g;

interface BoardDeps {
  queues: Queues;
  authenticator: Authenticator;
  admission: Admission;
  cookies: SessionCookies;
  /** Carries out an action; undefined: there are none. */
  act: ((action: BoardAction) => Promise<object>) | undefined;
}

/** Middleware that serves the board under `BOARD_PATH` to the operator. */
export function board({ queues, authenticator, admission, cookies, act }: BoardDeps): Middleware {
  /** The page and what it asks for; loaded at the first request, because most processes never show it. */
  let pages: Promise<Middleware> | undefined;
  const loadPages = () => {
    pages ??= import('./board-pages.ts').then(({ boardPages }) =>
      boardPages(queues, { path: BOARD_PATH, isReadOnly: act === undefined }),
    );
    return pages;
  };
  return async (ctx, next) => {
    if (ctx.path !== BOARD_PATH && !ctx.path.startsWith(`${BOARD_PATH}/`)) return next();
    if (!authenticator.isOperator(ctx.get('Authorization'))) {
      admission.countAnonymous(ctx);
      throw new ApiError('invalid_credential', 'This needs the operator token.', {
        headers: { 'WWW-Authenticate': 'Basic realm="operator"' },
      });
    }
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      const action = act && ctx.method === 'PUT' ? actionOf(ctx.path.slice(BOARD_PATH.length)) : null;
      if (act === undefined || action === null) return handleOtherMethod(ctx, ['GET']);
      // A browser sends the password of the operator with requests of other sites too.
      cookies.requireOwnPage(ctx);
      ctx.body = await act(action);
      return;
    }
    ctx.set('Content-Security-Policy', CSP);
    await (await loadPages())(ctx, next);
    if (typeof ctx.body === 'string' && ctx.type === 'text/html')
      ctx.body = ctx.body.replace(FOREIGN_LINK, '');
  };
}
