// Bull Board: a view of the queues for the operator. It is read-only unless `BOARD_ACTIONS` is on; then failed jobs can be
// retried and finished ones removed (`board-actions.ts`), and nothing else.

import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { KoaAdapter } from '@bull-board/koa';
import type { Middleware } from 'koa';
import { QUEUES, type QueueName } from '../../queues/catalogue.ts';
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

/** The queues are shown in groups, by what comes before the dots; those of several shards, by shard first. */
const GROUPS: Record<QueueName, string> = {
  lifecycle: 'tasks',
  sla: 'tasks',
  bulk: 'tasks',
  webhooks: 'outgoing',
  retries: 'outgoing',
  notifications: 'outgoing',
};

/** What the page loads from hosts of fonts. The policy would refuse it; the page uses a font of the system instead. */
const FOREIGN_LINK = /<link[^>]+href="https?:[^>]*>\s*/g;

/** The group of a shard, with leading zeros because the board sorts by text; one shard alone needs no group. */
function shardGroup(shard: number, shards: number): string {
  if (shards === 1) return '';
  return `shard${String(shard).padStart(String(shards - 1).length, '0')}.`;
}

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
  const adapter = new KoaAdapter();
  createBullBoard({
    queues: queues.shards.flatMap(({ index, all }) =>
      QUEUES.map(
        (name) =>
          new BullMQAdapter(all[name], {
            prefix: `${shardGroup(index, queues.shards.length)}${GROUPS[name]}.`,
            delimiter: '.',
            readOnlyMode: act === undefined,
          }),
      ),
    ),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'BioLayer' } },
  });
  adapter.setBasePath(BOARD_PATH);
  // The error middleware of the API answers all errors.
  adapter.setErrorHandler((error) => {
    throw error;
  });
  const plugin = adapter.registerPlugin() as unknown as Middleware;
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
    await plugin(ctx, next);
    if (typeof ctx.body === 'string' && ctx.type === 'text/html')
      ctx.body = ctx.body.replace(FOREIGN_LINK, '');
  };
}
