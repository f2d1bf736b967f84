// What is stored of a browser's session, and of a one-time link that signs in; see `sessions.ts`.

import type { Authority } from '../../state/access/authority.ts';

/** Whose session or link it is. */
export type SessionOwner =
  | { kind: 'worker'; org_id: string; worker_id: string }
  | { kind: 'member'; org_id: string; member_id: string };

/** What all sessions have in common; times in ms. */
interface Session {
  org_id: string;
  session_id: string;
  /** `User-Agent` of the browser, shortened; null without one. */
  user_agent: string | null;
  created_at: number;
  expires_at: number;
}

export interface WorkerSession extends Session {
  kind: 'worker_session';
  worker_id: string;
  /** As in `WorkerToken`. */
  incarnation?: string;
  /** As in `WorkerToken`. */
  pools?: readonly string[];
  signed_in_with: 'link' | 'token';
}

export interface MemberSession extends Session {
  kind: 'member_session';
  member_id: string;
  /** The version of the member's password, with which the session ends. */
  password_version: string;
  signed_in_with: 'link' | 'password';
  /** `uid` of the session at the authorization server, which ends when the member signs out; absent after a link. */
  authorization_session?: string;
}

/** A link that signs in once. */
export interface SignInLink {
  kind: 'sign_in_link';
  org_id: string;
  /** Of the worker or member whom it signs in. */
  subject:
    | { kind: 'worker'; worker_id: string; incarnation?: string; pools?: readonly string[] }
    | { kind: 'member'; member_id: string; password_version: string };
  /** The credential that made the link, which must still permit it; null: the system. */
  authority: Authority | null;
  expires_at: number;
}

/** The owner of a session or link. */
export function ownerOf(stored: WorkerSession | MemberSession | SignInLink): SessionOwner {
  const { org_id } = stored;
  const subject = stored.kind === 'sign_in_link' ? stored.subject : stored;
  return 'worker_id' in subject
    ? { kind: 'worker', org_id, worker_id: subject.worker_id }
    : { kind: 'member', org_id, member_id: subject.member_id };
}
