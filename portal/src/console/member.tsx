// The member who is signed in, for every page of the console.

import { createContext, type ReactNode, useContext } from 'react';
import { type ConsoleSession, hasScope } from './session.ts';

const Context = createContext<ConsoleSession | null>(null);

export function MemberProvider({ session, children }: { session: ConsoleSession; children: ReactNode }) {
  return <Context value={session}>{children}</Context>;
}

/** The session of the member. */
export function useMember(): ConsoleSession {
  const session = useContext(Context);
  if (session === null) throw new Error('MemberProvider is missing');
  return session;
}

/** Whether the member has a scope: show only what they may do. The server decides all the same. */
export function useMay(scope: string): boolean {
  return hasScope(useMember(), scope);
}
