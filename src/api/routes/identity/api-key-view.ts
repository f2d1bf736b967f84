// Schemas and views of API keys.

import Type from 'typebox';
import { MODES, modeOf } from '../../../state/access/tenant.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { ApiKey, ListedKey } from '../../../store/identity/api-keys.ts';
import { SCOPES } from '../../access/principal.ts';
import type { Answer } from '../../http/answer.ts';
import { closed, nullable, PoolList, Timestamp, Uuid, word } from '../../http/schemas.ts';

const Scopes = Type.Array(word(['*', ...SCOPES]), { minItems: 1, uniqueItems: true });
export const KeyView = Type.Object(
  {
    key_id: Uuid,
    mode: word(MODES),
    name: Type.String(),
    hint: Type.String({ description: 'First characters of the key' }),
    scopes: Type.Array(Type.String()),
    pools: Type.Array(Type.String()),
    created_at: Timestamp,
    expires_at: nullable(Timestamp),
    last_used_at: nullable(
      Type.String({ format: 'date-time', description: 'Accurate to a few minutes; null: never used' }),
    ),
    replaced_by: nullable(Uuid),
  },
  { $id: 'ApiKey' },
);
export const KeyCreated = Type.Object({
  ...KeyView.properties,
  key: Type.String({ description: 'The key itself; shown only in this response' }),
});

export const KeyCreate = closed({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  scopes: Scopes,
  pools: Type.Optional(PoolList),
  expires_at: Type.Optional(Timestamp),
  mode: Type.Optional(
    word(MODES, { description: "`test`: for the org's sandbox. Default: the mode of the calling key" }),
  ),
});
/** The answer to a request for a new key. */
export function keyCreated({ key, text }: { key: ApiKey; text: string }): Answer {
  return {
    status: 201,
    body: { ...keyView({ key, usedAt: null }), key: text },
    headers: { Location: `/v1/api-keys/${key.key_id}` },
  };
}

/** The public JSON of a key. */
export function keyView({ key, usedAt }: ListedKey): object {
  const { key_id, org_id, name, hint, scopes, pools, created_at, expires_at, replaced_by = null } = key;
  return {
    key_id,
    mode: modeOf(org_id),
    name,
    hint,
    scopes,
    pools,
    created_at: timestamp(created_at),
    expires_at: timeOrNull(expires_at),
    last_used_at: timeOrNull(usedAt),
    replaced_by,
  };
}

export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : timestamp(ms);
}
