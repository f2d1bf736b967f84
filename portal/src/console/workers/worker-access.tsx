// How a worker signs in: links, tokens, and the browsers in which they are signed in.

import type { Worker } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { Secret } from '../../shared/ui/secret.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { useConsoleWorkers } from '../messages.ts';
import { SignInLink } from './sign-in-link.tsx';

const KEY = ['worker-sessions'];

export function WorkerAccess({ worker }: { worker: Worker }) {
  const text = useConsoleWorkers();
  const showToast = useToast();
  const { isBusy, run } = useAction();
  const [token, setToken] = useState<string | null>(null);
  const [isRevoking, setRevoking] = useState(false);
  const { worker_id, name } = worker;
  const renew = () => queries.invalidateQueries({ queryKey: KEY });
  return (
    <Card title={text.access}>
      <p className="muted small">{text.accessHint}</p>
      <SignInLink workerId={worker_id} />
      <Sessions workerId={worker_id} />
      {token !== null && <Secret label={text.token} value={token} />}
      <div className="row">
        <Button
          icon="key"
          busy={isBusy}
          onClick={() =>
            run(async () => setToken((await api.workers.createToken(worker_id, {})).token), text.tokenMade)
          }
        >
          {text.newToken}
        </Button>
        <Button onClick={() => setRevoking(true)}>{text.revokeTokens}</Button>
      </div>
      {isRevoking && (
        <Confirm
          title={text.revokeTitle}
          action={text.revokeTokens}
          onClose={() => setRevoking(false)}
          run={async () => {
            await api.workers.revokeTokens(worker_id);
            setToken(null);
            showToast(text.revoked);
            await renew();
          }}
        >
          <p>{text.revokeText(name)}</p>
        </Confirm>
      )}
    </Card>
  );
}

function Sessions({ workerId }: { workerId: string }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  const { isBusy, run } = useAction();
  const query = useQuery({
    queryKey: [...KEY, workerId],
    queryFn: async () => (await api.workers.listSessions(workerId)).data,
    refetchInterval: 30_000,
  });
  const signOut = async () => {
    await api.workers.endSessions(workerId);
    await queries.invalidateQueries({ queryKey: KEY });
  };
  return (
    <section className="stack stack-tight">
      <h3>{text.sessions}</h3>
      <Loaded query={query} lines={1}>
        {(sessions) =>
          sessions.length === 0 ? (
            <p className="muted">{text.noSessions}</p>
          ) : (
            <>
              <ul className="plain-list">
                {sessions.map(({ session_id, user_agent, created_at, expires_at }) => (
                  <li key={session_id} className="small">
                    {user_agent ?? text.unknownBrowser}{' '}
                    <span className="muted">
                      {text.sessionSince(format.dateTime(created_at), format.dateTime(expires_at))}
                    </span>
                  </li>
                ))}
              </ul>
              <div>
                <Button icon="signOut" busy={isBusy} onClick={() => run(signOut, text.signedOut)}>
                  {text.signOut}
                </Button>
              </div>
            </>
          )
        }
      </Loaded>
    </section>
  );
}
