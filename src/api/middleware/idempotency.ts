// The Idempotency-Key of a POST: claims it, replays the first answer, or says why not.

import { hash, randomUUID } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Context } from 'koa';
import type { Db } from '../../store/redis/connection.ts';
import { answerWrites, type Claim, claimKey, type KeptAnswer } from '../../store/redis/idempotency.ts';
import { type Sealer, UnopenableError } from '../../store/redis/sealing.ts';
import type { KeyPrincipal, Principal } from '../access/principal.ts';
import type { Answer } from '../http/answer.ts';
import { ApiError } from '../http/problem.ts';

/** What an answer kept for a replay is sealed for: it may hold a secret that is shown once. */
function placeOf(claim: { key: string }): string {
  return `answer ${claim.key}`;
}

/** The key's text, or null when there is none. @throws ApiError 400 for one that is no key. */
function keyOf(ctx: Context): string | null {
  const header = ctx.headers['idempotency-key'];
  if (header === undefined) return null;
  const text = Array.isArray(header) ? header.join() : header;
  const [, quoted] = /^"(.*)"$/.exec(text) ?? [];
  const key = quoted ?? text;
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new ApiError('invalid_header', 'Idempotency-Key takes 1 to 255 printable ASCII characters.');
  return key;
}

/**
 * The one spelling of the route and its parameters: `/v1/workers/%61da` and `/v1/workers/ada` are one request.
 * @param template path of the route, `{name}` for a parameter. @param params as they were decoded.
 */
export function canonicalPath(template: string, params: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(String(params[name])));
}

/**
 * Claims the request's key.
 * @param path of the request, see `canonicalPath`.
 * @param grants whether the answer holds a credential that may all that its maker may: then it is told again only
 *   to who may the same, for as long.
 * @returns null without a key; the claim to answer under; or the first answer, to be sent again.
 * @throws ApiError 409 while the first request runs, 422 when the key came with another body.
 */
export async function claim(
  ctx: Context,
  path: string,
  db: Db,
  sealer: Sealer,
  principal: Principal,
  raw: Buffer | string,
  grants: boolean,
): Promise<{ claim: Claim } | { replay: Answer } | null> {
  if (ctx.method !== 'POST') return null;
  const key = keyOf(ctx);
  if (key === null) return null;
  // A caller who sees less than another must not be shown the other's answer: the view is part of the scope.
  const view =
    principal.kind === 'api_key'
      ? `org ${[...principal.pools].sort().join()}${grants ? ` ${mayWhat(principal)}` : ''}`
      : principal.kind === 'worker'
        ? `worker ${principal.worker_id} ${principal.incarnation}${principal.pools.includes('*') ? '' : ` ${[...principal.pools].sort().join()}`}`
        : principal.kind;
  const orgId = 'org_id' in principal ? principal.org_id : principal.kind;
  const scope = digest([path, view, key].join('\n'));
  const claimed = await claimKey(db, orgId, scope, digest(raw), randomUUID());
  switch (claimed.kind) {
    case 'claimed':
      return { claim: claimed.claim };
    case 'in_flight':
      throw new ApiError(
        'idempotency_in_flight',
        'The first request with this Idempotency-Key is still running.',
        {
          headers: { 'Retry-After': '1' },
        },
      );
    case 'reused':
      throw new ApiError('idempotency_key_reused', 'This Idempotency-Key was used with another body.');
    case 'answered': {
      const { status, headers } = claimed.answer;
      const text = opened(sealer, claimed.answer, placeOf({ key: scope }));
      return {
        replay: {
          status,
          headers: { ...headers, 'Idempotent-Replayed': 'true' },
          ...(text !== '' && { body: JSON.parse(unpack(text)) }),
        },
      };
    }
  }
}

/** The text of a kept answer. @throws ApiError 409 when what sealed it is gone: it must not be done once more. */
function opened(sealer: Sealer, { status, headers, body }: KeptAnswer, place: string): string {
  const lost = (why: string) => {
    const detail = `The first request with this Idempotency-Key was answered with ${status}, and what it did stands. ${why}`;
    const { Location } = headers;
    return new ApiError('idempotency_answer_lost', detail, {
      headers: Location === undefined ? {} : { Location },
    });
  };
  if (body === null) throw lost(`Its answer was larger than ${KEPT_BYTES} bytes and was not kept.`);
  try {
    return sealer.open(body, place);
  } catch (error) {
    if (!(error instanceof UnopenableError)) throw error;
    throw lost('Its answer was sealed with a SECRETS_KEY that is not configured any more.');
  }
}

/** Guards and writes that keep `answer` in the claim's place. */
export function responseWrites(
  claimed: Claim,
  sealer: Sealer,
  answer: Answer,
): ReturnType<typeof answerWrites> {
  const text = pack(answer.body === undefined ? '' : JSON.stringify(answer.body));
  const place = placeOf({ key: claimed.key.slice(claimed.key.lastIndexOf(':') + 1) });
  return answerWrites(claimed, {
    status: answer.status,
    headers: answer.headers ?? {},
    body: Buffer.byteLength(text) > KEPT_BYTES ? null : sealer.seal(text, place),
  });
}

/** The largest answer that is kept, in bytes as it is packed: one about a single thing is always smaller. */
const KEPT_BYTES = 1024 * 1024;

/** Answers larger than this are kept compressed, characters: those to batches are a thousand times the usual. */
const PACKED_FROM = 16_384;
/** How a packed answer begins, and no JSON does. */
const PACKED = '~';

function pack(text: string): string {
  return text.length < PACKED_FROM ? text : PACKED + deflateRawSync(text).toString('base64');
}

function unpack(text: string): string {
  if (!text.startsWith(PACKED)) return text;
  return inflateRawSync(Buffer.from(text.slice(PACKED.length), 'base64')).toString();
}

function mayWhat({ scopes, expires_at }: KeyPrincipal): string {
  return `${[...scopes].sort().join()} ${expires_at}`;
}

function digest(content: string | Buffer): string {
  return hash('sha256', content, 'base64url');
}
