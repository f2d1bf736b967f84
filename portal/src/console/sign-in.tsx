// Where members sign in: by a link, whose token is in the fragment and is used by the press of a button alone, or with e-mail
// and password at the authorization server.

import { ApiError } from '@biolayer/sdk';
import { useState } from 'react';
import { problemText } from '../shared/api/problem-text.ts';
import { noteSessionStart } from '../shared/api/session-state.ts';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { ErrorSummary } from '../shared/ui/error-summary.tsx';
import { CentredPage } from '../shared/ui/layout.tsx';
import { LanguageChoice } from '../shared/ui/preferences.tsx';
import { useConsole } from './messages.ts';
import { signInByLink, signInUrl } from './session.ts';

/** @param returnTo the page to show after the sign-in. */
export function SignIn({ returnTo, onSignedIn }: { returnTo: string; onSignedIn: () => void }) {
  const text = useConsole().signIn;
  const shared = useShared();
  const [link, setLink] = useState(() => location.hash.slice(1));
  const [problem, setProblem] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);

  async function send(): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      await signInByLink(link);
      noteSessionStart();
      history.replaceState(null, '', location.pathname);
      onSignedIn();
    } catch (error) {
      const isRefused = error instanceof ApiError && [401, 404, 409, 410, 422].includes(error.status);
      setProblem(isRefused ? text.invalidLink : problemText(error, shared));
      setAttempt((count) => count + 1);
      if (isRefused) setLink('');
    } finally {
      setBusy(false);
    }
  }

  return (
    <CentredPage title={text.title}>
      <ErrorSummary errors={problem === null ? [] : [{ message: problem }]} attempt={attempt} />
      <p className="muted">{link === '' ? text.withPassword : text.fromLink}</p>
      {link === '' ? (
        <a className="button button-primary button-large" href={signInUrl(returnTo)}>
          {text.toPassword}
        </a>
      ) : (
        <Button look="primary" size="large" busy={isBusy} onClick={() => void send()}>
          {text.button}
        </Button>
      )}
      <LanguageChoice />
    </CentredPage>
  );
}
