// Schemas and views of API keys.

import Type from 'typebox';
import { MODES, modeOf } from '../../../state/access/tenant.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { ApiKey, ListedKey } from '../../../store/identity/api-keys.ts';
import { SCOPES } from '../../access/principal.ts';
import type { HttpResponse } from '../../http/response.ts';
import {
  CreatedAt,
  closed,
  idOf,
  label,
  nullable,
  PoolList,
  Pools,
  scopes,
  text,
  time,
  word,
} from '../../http/schemas.ts';

const SCOPES_TEXT = 'What the key may do; `*` for everything';
const MODE = '`live`, or `test` for the sandbox of the org';
const Scopes = Type.Array(word(['*', ...SCOPES]), {
  minItems: 1,
  uniqueItems: true,
  description: SCOPES_TEXT,
});
export const KeyView = Type.Object(
  {
    key_id: idOf('API key'),
    mode: word(MODES, { description: MODE }),
    name: label('Name for people', 200),
    hint: label('First characters of the key'),
    scopes: scopes(SCOPES_TEXT),
    pools: Pools,
    created_at: CreatedAt,
    expires_at: nullable(time('When the key expires; null: never')),
    last_used_at: nullable(
      Type.String({ format: 'date-time', description: 'Accurate to a few minutes; null: never used' }),
    ),
    replaced_by: nullable(idOf('key that replaced it; null for none')),
  },
  { $id: 'ApiKey', description: 'An API key, without its text' },
);
export const KeyCreated = Type.Object({
  ...KeyView.properties,
  key: text('The key itself; shown only in this response', { pattern: '^blk_(live|test)_' }),
});

export const KeyCreate = closed({
  name: Type.String({ minLength: 1, maxLength: 200, description: 'Name for people' }),
  scopes: Scopes,
  pools: Type.Optional(PoolList),
  expires_at: Type.Optional(time('When the key expires; default: never')),
  mode: Type.Optional(
    word(MODES, { description: "`test`: for the org's sandbox. Default: the mode of the calling key" }),
  ),
});
/** The response to a request for a new key. */
export function keyCreated({ key, text }: { key: ApiKey; text: string }): HttpResponse {
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
