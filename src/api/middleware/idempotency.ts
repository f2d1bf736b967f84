// The Idempotency-Key of a POST: claims the key, or replays the stored response of the first request.

import { hash, randomUUID } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Context } from 'koa';
import type { Db } from '../../store/redis/connection.ts';
import {
  type Claim,
  claimKey,
  type StoredResponse,
  storedResponseWrites,
} from '../../store/redis/idempotency.ts';
import { type Sealer, UnopenableError } from '../../store/redis/sealing.ts';
import type { KeyPrincipal, Principal } from '../access/principal.ts';
import { ApiError } from '../http/problem.ts';
import type { HttpResponse } from '../http/response.ts';

/** AAD context of a stored response, which is sealed because it may contain a secret that is shown once. */
function contextOf(claim: { key: string }): string {
  return `answer ${claim.key}`;
}

/** The key of a POST request with a credential, or null without one. @throws ApiError 400 for an invalid key */
export function idempotencyKeyOf(ctx: Context, principal: Principal): string | null {
  // Without a credential there is no caller whose repetition this could be.
  if (ctx.method !== 'POST' || principal.kind === 'anonymous') return null;
  const header = ctx.headers['idempotency-key'];
  if (header === undefined) return null;
  const text = Array.isArray(header) ? header.join() : header;
  const [, quoted] = /^"(.*)"$/.exec(text) ?? [];
  const key = quoted ?? text;
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new ApiError('invalid_header', 'Idempotency-Key must be 1 to 255 printable ASCII characters.');
  return key;
}

/**
 * The canonical path of a request: `/v1/workers/%61da` and `/v1/workers/ada` are the same.
 * @param template path of the route, with `{name}` for a parameter. @param params the decoded parameters.
 */
export function canonicalPath(template: string, params: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(String(params[name])));
}

/** What a key is bound to. */
interface KeyedRequest {
  /** See `idempotencyKeyOf`. */
  key: string;
  /** See `canonicalPath`. */
  path: string;
  principal: Principal;
  /** The body as it was sent. */
  raw: Buffer | string;
  /**
   * The response contains a credential with permissions of its creator; it is replayed only to callers with the same
   * permissions and expiry.
   */
  grants: boolean;
}

/**
 * Claims the request's key.
 * @returns a claim under which to record the response; or the stored response to replay.
 * @throws ApiError 409 while the first request runs, 422 if the key was used with another body
 */
export async function claimIdempotencyKey(
  { db, sealer }: { db: Db; sealer: Sealer },
  { key, path, principal, raw, grants }: KeyedRequest,
): Promise<{ claim: Claim } | { replay: HttpResponse }> {
  // A caller must not get a stored response with data that it cannot see, so its visibility is part of the scope.
  const view =
    principal.kind === 'api_key'
      ? `org ${[...principal.pools].sort().join()}${grants ? ` ${permissionsOf(principal)}` : ''}`
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
      const { status, headers } = claimed.response;
      const text = opened(sealer, claimed.response, contextOf({ key: scope }));
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

/** The text of a stored response. @throws ApiError 409 if it is lost; the request must not be executed again */
function opened(sealer: Sealer, { status, headers, body }: StoredResponse, context: string): string {
  const lost = (why: string) => {
    const detail = `The first request with this Idempotency-Key was answered with ${status} and has taken effect. ${why}`;
    const { Location } = headers;
    return new ApiError('idempotency_answer_lost', detail, {
      headers: Location === undefined ? {} : { Location },
    });
  };
  if (body === null) throw lost(`Its response was larger than ${MAX_STORED_BYTES} bytes and was not stored.`);
  try {
    return sealer.open(body, context);
  } catch (error) {
    if (!(error instanceof UnopenableError)) throw error;
    throw lost('Its response was encrypted with a SECRETS_KEY that is no longer configured.');
  }
}

/** Guards and writes that replace the claim by the stored response. */
export function responseWrites(
  claimed: Claim,
  sealer: Sealer,
  response: HttpResponse,
): ReturnType<typeof storedResponseWrites> {
  const text = pack(response.body === undefined ? '' : JSON.stringify(response.body));
  const context = contextOf({ key: claimed.key.slice(claimed.key.lastIndexOf(':') + 1) });
  return storedResponseWrites(claimed, {
    status: response.status,
    headers: response.headers ?? {},
    body: Buffer.byteLength(text) > MAX_STORED_BYTES ? null : sealer.seal(text, context),
  });
}

/** Largest stored response, in bytes after compression. Only responses to batches can be larger. */
const MAX_STORED_BYTES = 1024 * 1024;

/** Responses of at least this many characters, such as those of batches, are stored compressed. */
const PACKED_FROM = 16_384;
/** Prefix of a compressed response; no JSON text starts with it. */
const PACKED = '~';

function pack(text: string): string {
  return text.length < PACKED_FROM ? text : PACKED + deflateRawSync(text).toString('base64');
}

function unpack(text: string): string {
  if (!text.startsWith(PACKED)) return text;
  return inflateRawSync(Buffer.from(text.slice(PACKED.length), 'base64')).toString();
}

function permissionsOf({ scopes, expires_at }: KeyPrincipal): string {
  return `${[...scopes].sort().join()} ${expires_at}`;
}

function digest(content: string | Buffer): string {
  return hash('sha256', content, 'base64url');
}
