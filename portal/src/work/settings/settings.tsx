// What a worker sets for themselves.

import { useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { NoticeList } from '../../shared/notices/notice-list.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Card, Facts } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { LanguageChoice, ThemeChoice } from '../../shared/ui/preferences.tsx';
import { setWorker, useWorker } from '../data.ts';
import { useWork, useWorkSettings } from '../messages.ts';
import { signOut, type WorkerSession } from '../session.ts';
import { useAction } from '../use-action.ts';
import { NOTICES } from './channel-data.ts';
import { Channels } from './channels.tsx';

export function Settings({ session }: { session: WorkerSession }) {
  const text = useWorkSettings();
  const { availability } = useWork();
  const shared = useShared();
  const worker = useWorker();
  const [, navigate] = useLocation();
  const signingOut = useAction(async () => {
    await signOut();
    navigate('/work/sign-in', { replace: true });
  });
  const draining = useAction(async () => setWorker(await api.worker.drain({})));
  return (
    <Page title={text.title} narrow>
      <Channels workerId={session.worker_id} />
      <Card title={text.notices.title}>
        <NoticeList
          queryKey={NOTICES}
          load={(query) => api.worker.listNotifications(query)}
          taskPath="/work/tasks"
          none={text.notices.none}
        />
      </Card>
      <Card title={text.page}>
        <LanguageChoice />
        <ThemeChoice />
      </Card>
      <Card title={text.account}>
        <Facts
          facts={[
            [text.name, session.name],
            [text.pools, worker.data?.pool_ids.join(', ')],
          ]}
        />
        <div className="row">
          <Button icon="signOut" busy={signingOut.isBusy} onClick={signingOut.run}>
            {shared.signOut}
          </Button>
          {worker.data?.draining === false && worker.data.active_tasks > 0 && (
            <Button busy={draining.isBusy} onClick={draining.run}>
              {availability.drain}
            </Button>
          )}
        </div>
        {worker.data?.draining === true && <p className="muted">{availability.draining}</p>}
      </Card>
    </Page>
  );
}
