// Turns the body of a request into a new or changed notification channel: checks rules that no schema can express, fills in
// defaults and seals secrets.

import { ECDH, hash, randomInt } from 'node:crypto';
import {
  type Channel,
  type Channels,
  CODE_LIFE_MS,
  type ConfirmationCode,
  changedChannel,
  quietHoursFault,
} from '../../../state/notices/channel.ts';
import { checkCallbackUrl } from '../../../state/webhooks/callback-url.ts';
import { channelContext } from '../../../store/notices/channels.ts';
import { newId } from '../../../store/redis/ids.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';
import type { ChannelChange, ChannelCreate } from './channels.schema.ts';

/** Bytes of a point on P-256 without compression, and of an authentication secret (RFC 8291, section 3). */
const POINT_BYTES = 65;
const AUTH_BYTES = 16;

type Target = Pick<Channel, 'target' | 'target_hash'> & { secret: object | null };

/** What the channel reaches, and what of it is secret. */
function targetOf(body: ChannelCreate): Target {
  const target_hash = (text: string) => hash('sha256', `${body.kind} ${text}`, 'hex');
  switch (body.kind) {
    case 'email':
      return { target: body.address, target_hash: target_hash(body.address.toLowerCase()), secret: null };
    case 'slack':
      return { target: hostOf(body.url), target_hash: target_hash(body.url), secret: { url: body.url } };
    case 'web_push': {
      const { endpoint, keys } = body.subscription;
      return { target: hostOf(endpoint), target_hash: target_hash(endpoint), secret: { endpoint, keys } };
    }
  }
}

/** Host and port: a path may hold a secret. */
function hostOf(url: string): string {
  return new URL(url).host;
}

/** The channel of the worker that reaches the same target; undefined for none. */
export function sameTarget(channels: Channels, body: ChannelCreate): Channel | undefined {
  const { target_hash } = targetOf(body);
  return channels.channels.find((one) => one.target_hash === target_hash);
}

/** A new channel; an e-mail address has yet to be confirmed. */
export function newChannel(deps: ApiDeps, principal: WorkerPrincipal, body: ChannelCreate): Channel {
  const now = deps.db.clock.now();
  const channel_id = newId(now);
  const { secret, ...target } = targetOf(body);
  const { enabled = true } = body;
  return {
    channel_id,
    kind: body.kind,
    version: 1,
    name: body.name ?? '',
    language: body.language ?? 'en',
    enabled,
    disabled: enabled ? null : { reason: 'manual', at: now },
    quiet_hours: quietHoursOf(body),
    ...target,
    sealed: secret && deps.sealer.seal(JSON.stringify(secret), channelContext(principal, channel_id)),
    confirmed_at: body.kind === 'email' ? null : now,
    code: null,
    pools: principal.pools,
    created_at: now,
    updated_at: now,
  };
}

/** A channel that is registered again: with the keys and settings of now. It is enabled unless the request says otherwise. */
export function registeredAgain(
  deps: ApiDeps,
  principal: WorkerPrincipal,
  before: Channel,
  body: ChannelCreate,
): Channel {
  const now = deps.db.clock.now();
  const { secret } = targetOf(body);
  const { enabled = true } = body;
  const settings = withSettings(before, { ...body, enabled }, now);
  const sealed =
    secret && deps.sealer.seal(JSON.stringify(secret), channelContext(principal, before.channel_id));
  return changedChannel(settings, { version: before.version, sealed, pools: principal.pools }, now);
}

/** The channel with changed settings. */
export function withSettings(before: Channel, change: Omit<ChannelChange, 'position'>, now: number): Channel {
  const { name = before.name, language = before.language, enabled = before.enabled } = change;
  const off = before.enabled ? { reason: 'manual' as const, at: now } : before.disabled;
  return changedChannel(
    before,
    {
      name,
      language,
      enabled,
      disabled: enabled ? null : off,
      quiet_hours: change.quiet_hours === undefined ? before.quiet_hours : quietHoursOf(change),
    },
    now,
  );
}

function quietHoursOf({ quiet_hours = null }: Pick<ChannelChange, 'quiet_hours'>): Channel['quiet_hours'] {
  return quiet_hours && { ...quiet_hours, allow_critical: quiet_hours.allow_critical ?? false };
}

/** A code for the address of a channel. @returns it as it is stored; only the message contains it in plain text */
export function newCode(deps: ApiDeps, principal: WorkerPrincipal, channelId: string): ConfirmationCode {
  const code = String(randomInt(1_000_000)).padStart(6, '0');
  return {
    sealed: deps.sealer.seal(code, channelContext(principal, channelId)),
    expires_at: deps.db.clock.now() + CODE_LIFE_MS,
    wrong: 0,
  };
}

/** The rules beyond the schema that the body of a new or changed channel breaks. */
export function channelErrors(deps: ApiDeps, body: unknown): FieldError[] {
  return [...quietErrors(body), ...targetErrors(deps, body)];
}

function quietErrors(body: unknown): FieldError[] {
  const quiet = at(body, 'quiet_hours');
  const [start, end, time_zone] = (['start', 'end', 'time_zone'] as const).map((name) => at(quiet, name));
  if (typeof start !== 'string' || typeof end !== 'string' || typeof time_zone !== 'string') return [];
  const message = quietHoursFault({ start, end, time_zone });
  return message === null ? [] : [{ pointer: '/quiet_hours', message }];
}

function targetErrors(deps: ApiDeps, body: unknown): FieldError[] {
  switch (at(body, 'kind')) {
    case 'email':
      return deps.sendsMail
        ? []
        : [{ pointer: '/kind', message: 'cannot be email: this server sends no e-mail' }];
    case 'slack':
      return urlErrors(deps, '/url', at(body, 'url'));
    case 'web_push': {
      const subscription = at(body, 'subscription');
      const keys = at(subscription, 'keys');
      return [
        ...urlErrors(deps, '/subscription/endpoint', at(subscription, 'endpoint')),
        ...keyErrors(
          'p256dh',
          at(keys, 'p256dh'),
          isPoint,
          'must be a public key on P-256, 65 bytes in base64url',
        ),
        ...keyErrors('auth', at(keys, 'auth'), isAuthSecret, 'must be 16 bytes in base64url'),
      ];
    }
    default:
      return [];
  }
}

function urlErrors(deps: ApiDeps, pointer: string, url: unknown): FieldError[] {
  const message = typeof url === 'string' ? checkCallbackUrl(url, deps.addressPolicy) : null;
  return message === null ? [] : [{ pointer, message }];
}

function keyErrors(
  name: string,
  text: unknown,
  isGood: (bytes: Buffer) => boolean,
  message: string,
): FieldError[] {
  if (typeof text !== 'string') return [];
  const bytes = /^[\w-]+=*$/.test(text) ? Buffer.from(text, 'base64url') : Buffer.alloc(0);
  return isGood(bytes) ? [] : [{ pointer: `/subscription/keys/${name}`, message }];
}

function isPoint(bytes: Buffer): boolean {
  if (bytes.length !== POINT_BYTES) return false;
  try {
    ECDH.convertKey(bytes, 'prime256v1');
    return true;
  } catch {
    return false;
  }
}

function isAuthSecret(bytes: Buffer): boolean {
  return bytes.length === AUTH_BYTES;
}
