// Schemas of the OAuth clients of an org.

import Type from 'typebox';
import { CLIENT_ID, GRANT_TYPES } from '../../../store/identity/oauth-clients.ts';
import { SCOPES } from '../../access/principal.ts';
import { CreatedAt, described, label, Pools, scopes, UpdatedAt, word } from '../../http/schemas.ts';

const ClientKey = Type.String({ pattern: CLIENT_ID });
export const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'Name, shown to members who authorize it',
});
export const GRANTS = 'OAuth grants that the client may use';
const SCOPES_TEXT = 'What the client may do';
const REDIRECTS = 'Where members return to after they authorize the client';
const LOGOUTS = 'Where members return to after they sign out';
export const PUBLIC = 'A client that cannot keep a secret: an app on a device or in a browser';
export const Scopes = Type.Array(word(SCOPES), {
  minItems: 1,
  uniqueItems: true,
  description: SCOPES_TEXT,
});
const Uris = (description: string) =>
  Type.Array(Type.String({ maxLength: 2000 }), { maxItems: 20, uniqueItems: true, description });
export const RedirectUris = Uris(REDIRECTS);
export const LogoutUris = Uris(LOGOUTS);
const View = {
  client_id: described(ClientKey, 'Id of the client'),
  name: Name,
  grant_types: Type.Array(word(GRANT_TYPES), { minItems: 1, description: GRANTS }),
  public: Type.Boolean({ description: PUBLIC }),
  redirect_uris: RedirectUris,
  post_logout_redirect_uris: LogoutUris,
  scopes: scopes(SCOPES_TEXT),
  pools: Pools,
  created_at: CreatedAt,
  updated_at: UpdatedAt,
};
export const ClientView = Type.Object(View, {
  $id: 'OAuthClient',
  description: 'A program that gets access tokens by OAuth',
});
export const SecretShown = Type.Object({
  ...View,
  client_secret: Type.Optional(label('Shown only in this response; a public client has none')),
});
export const Params = Type.Object({ client_id: described(ClientKey, 'Id of the OAuth client') });
