// What a worker sets for themselves.

import { useLocation } from 'wouter';
import { api } from '../shared/api/client.ts';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { Card, Facts } from '../shared/ui/containers.tsx';
import { Page } from '../shared/ui/layout.tsx';
import { LanguageChoice, ThemeChoice } from '../shared/ui/preferences.tsx';
import { setWorker, useWorker } from './data.ts';
import { useWork } from './messages.ts';
import { signOut, type WorkerSession } from './session.ts';
import { useAction } from './use-action.ts';

export function Settings({ session }: { session: WorkerSession }) {
  const text = useWork();
  const shared = useShared();
  const worker = useWorker();
  const [, navigate] = useLocation();
  const signingOut = useAction(async () => {
    await signOut();
    navigate('/work/sign-in', { replace: true });
  });
  const draining = useAction(async () => setWorker(await api.worker.drain({})));
  return (
    <Page title={text.settings.title} narrow>
      <Card title={text.settings.page}>
        <LanguageChoice />
        <ThemeChoice />
      </Card>
      <Card title={text.settings.account}>
        <Facts
          facts={[
            [text.settings.account, session.name],
            [text.task.pool, worker.data?.pool_ids.join(', ')],
          ]}
        />
        <div className="row">
          <Button icon="signOut" busy={signingOut.isBusy} onClick={signingOut.run}>
            {shared.signOut}
          </Button>
          {worker.data?.draining === false && worker.data.active_tasks > 0 && (
            <Button busy={draining.isBusy} onClick={draining.run}>
              {text.availability.drain}
            </Button>
          )}
        </div>
        {worker.data?.draining === true && <p className="muted">{text.availability.draining}</p>}
      </Card>
    </Page>
  );
}
