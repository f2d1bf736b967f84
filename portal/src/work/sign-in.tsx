// Where workers sign in. A link has its token in the fragment, which no server and no scanner of mail sees, and it is used by
// the press of a button alone.

import { ApiError } from '@biolayer/sdk';
import { type FormEvent, useState } from 'react';
import { problemText } from '../shared/api/problem-text.ts';
import { noteSessionStart } from '../shared/api/session-state.ts';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { ErrorSummary } from '../shared/ui/error-summary.tsx';
import { TextField } from '../shared/ui/field.tsx';
import { CentredPage } from '../shared/ui/layout.tsx';
import { LanguageChoice } from '../shared/ui/preferences.tsx';
import { useWork } from './messages.ts';
import { type Proof, signIn } from './session.ts';

/** @param onSignedIn called once there is a session. */
export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const work = useWork().signIn;
  const shared = useShared();
  const [link, setLink] = useState(() => location.hash.slice(1));
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<{ message: string; onToken: boolean } | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);

  async function send(proof: Proof): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      await signIn(proof);
      noteSessionStart();
      history.replaceState(null, '', location.pathname);
      onSignedIn();
    } catch (error) {
      const isRefused = error instanceof ApiError && [401, 404, 409, 410, 422].includes(error.status);
      const refusal = 'link' in proof ? work.invalidLink : work.invalidToken;
      setProblem({ message: isRefused ? refusal : problemText(error, shared), onToken: 'token' in proof });
      setAttempt((count) => count + 1);
      // A used link never works again, so it is dropped; a token can be corrected.
      if (isRefused && 'link' in proof) setLink('');
    } finally {
      setBusy(false);
    }
  }

  function submitToken(event: FormEvent): void {
    event.preventDefault();
    const given = token.trim();
    if (given !== '') return void send({ token: given });
    setProblem({ message: work.noToken, onToken: true });
    setAttempt((count) => count + 1);
  }

  const errors =
    problem === null
      ? []
      : [{ message: problem.message, fieldId: problem.onToken ? 'worker-token' : undefined }];
  return (
    <CentredPage title={work.title}>
      <ErrorSummary errors={errors} attempt={attempt} />
      {link !== '' ? (
        <>
          <p>{work.fromLink}</p>
          <Button look="primary" size="large" busy={isBusy} onClick={() => void send({ link })}>
            {work.button}
          </Button>
        </>
      ) : (
        <form className="stack" onSubmit={submitToken} noValidate>
          <p className="muted">{work.withToken}</p>
          <TextField
            id="worker-token"
            label={work.token}
            hint={work.tokenHint}
            error={problem?.onToken ? problem.message : undefined}
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
          <Button look="primary" size="large" type="submit" busy={isBusy}>
            {shared.signIn}
          </Button>
        </form>
      )}
      <LanguageChoice />
    </CentredPage>
  );
}
