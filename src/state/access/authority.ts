// The authority of work in the background: the credential that started it, by its ids. Unlike the credential's text these
// can be stored, and they tell what the credential permits now.

/** Times in ms. */
export type Authority =
  | { kind: 'api_key'; key_id: string }
  | {
      kind: 'oauth_token';
      /** SHA-256 of the access token, hex. Until it expires it must exist; after that, its client and grant. */
      hash: string;
      expires_at: number;
      scopes: readonly string[];
      client_id: string;
      member_id: string | null;
      grant: string | null;
    }
  /** A member who has signed in: what they start goes on after the session, but not with another password. */
  | { kind: 'member'; member_id: string; password_version: string }
  /** A token of an outside issuer ends with its expiry, since nothing else tells that it was revoked. */
  | {
      kind: 'issuer_token';
      issuer_id: string;
      version: number;
      expires_at: number;
      scopes: readonly string[];
    };
