// Schemas of members.

import Type from 'typebox';
import { SCOPES } from '../../access/principal.ts';
import { ROLE_NAMES } from '../../access/roles.ts';
import { patternWithRule } from '../../http/pattern-rules.ts';
import { CreatedAt, idOf, label, nullable, Pools, scopes, UpdatedAt, word } from '../../http/schemas.ts';

const EMAIL = 'E-mail address; the name to sign in with';
export const SCOPES_TEXT = 'What the member may do, and may let clients do; `*` for everything';
export const DISABLED = 'Whether the member may not sign in';
export const Email = Type.String({
  ...patternWithRule(
    '^[^\\s@<>"]{1,64}@[^\\s@<>"]{1,189}$',
    'must be an e-mail address, such as ann@example.com',
  ),
  maxLength: 254,
  description: EMAIL,
});
export const Name = Type.String({ minLength: 1, maxLength: 200, description: 'Name of the person' });
export const Password = Type.String({
  minLength: 12,
  maxLength: 200,
  description: 'Stored as a hash only; generated for a new member if absent',
});
export const Scopes = Type.Array(word(['*', ...SCOPES]), {
  minItems: 1,
  uniqueItems: true,
  description: `${SCOPES_TEXT}; in addition to those of the role`,
});
const ROLE = 'A named set of scopes; see docs/sign-in.md';
export const RoleName = word(ROLE_NAMES, { description: ROLE });
const View = {
  member_id: idOf('member'),
  email: label(EMAIL, 254),
  name: Name,
  role: nullable(RoleName, `${ROLE}; null when only scopes were given`),
  scopes: scopes(SCOPES_TEXT),
  pools: Pools,
  disabled: Type.Boolean({ description: DISABLED }),
  created_at: CreatedAt,
  updated_at: UpdatedAt,
};
export const MemberView = Type.Object(View, {
  $id: 'Member',
  description: 'A person of the org who can sign in',
});
export const MemberCreated = Type.Object({
  ...View,
  password: Type.Optional(
    Type.String({
      description: 'Generated password, when the request gave none; shown only in this response',
    }),
  ),
});
