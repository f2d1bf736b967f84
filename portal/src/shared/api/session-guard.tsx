// When the session ends, the page stays as it is, with all that was typed, and a dialog offers to sign in again in a new tab.
// As soon as the session is there again, in whichever tab, the page goes on.

import { type ReactNode, useEffect, useSyncExternalStore } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { queries } from './queries.tsx';
import { noteSessionStart, onSessionChange, sessionHasEnded } from './session-state.ts';

/**
 * @param check asks the server whether there is a session.
 * @param signInUrl where a person signs in; opened in a new tab.
 */
export function SessionGuard({
  check,
  signInUrl,
  children,
}: {
  check: () => Promise<boolean>;
  signInUrl: string;
  children: ReactNode;
}) {
  const messages = useShared();
  const hasEnded = useSyncExternalStore(onSessionChange, sessionHasEnded);
  useEffect(() => {
    if (!hasEnded) return;
    const look = async () => {
      if (document.visibilityState !== 'visible' || !(await check().catch(() => false))) return;
      noteSessionStart();
      void queries.invalidateQueries();
    };
    const timer = setInterval(look, 3000);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [hasEnded, check]);
  return (
    <>
      {children}
      {hasEnded && (
        <Dialog
          title={messages.signedOut.title}
          onClose={() => undefined}
          actions={
            <Button look="primary" onClick={() => window.open(signInUrl, '_blank')}>
              {messages.signIn}
            </Button>
          }
        >
          <p>{messages.signedOut.text}</p>
        </Dialog>
      )}
    </>
  );
}
