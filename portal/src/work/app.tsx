// The portal: the session, and which page is shown under which address.

import { useEffect } from 'react';
import { Route, Switch, useLocation } from 'wouter';
import { SessionGuard } from '../shared/api/session-guard.tsx';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { EmptyState, Skeleton } from '../shared/ui/containers.tsx';
import { AppFrame, CentredPage, type NavLink, Page } from '../shared/ui/layout.tsx';
import { LanguageChoice, ThemeChoice } from '../shared/ui/preferences.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { useWork } from './messages.ts';
import { hasSession, signOut, useSession, type WorkerSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

const SIGN_IN = '/work/sign-in';

export function App() {
  const [path, navigate] = useLocation();
  const session = useSession();
  const work = useWork();
  if (path === SIGN_IN) return <SignIn onSignedIn={() => navigate('/work', { replace: true })} />;
  if (session.isPending)
    return (
      <CentredPage title={work.app}>
        <Skeleton />
      </CentredPage>
    );
  if (session.isError)
    return (
      <CentredPage title={work.app}>
        <Problem error={session.error} onRetry={() => void session.refetch()} />
      </CentredPage>
    );
  if (session.data === null) return <Redirect to={SIGN_IN} />;
  return <SignedIn session={session.data} />;
}

function Redirect({ to }: { to: string }) {
  const [, navigate] = useLocation();
  useEffect(() => navigate(to, { replace: true }), [to, navigate]);
  return null;
}

function SignedIn({ session }: { session: WorkerSession }) {
  const work = useWork();
  const shared = useShared();
  const [, navigate] = useLocation();
  const links: NavLink[] = [
    { href: '/work', label: work.nav.desk, icon: 'inbox', nested: false },
    { href: '/work/settings', label: work.nav.settings, icon: 'settings' },
  ];
  return (
    <SessionGuard check={hasSession} signInUrl={SIGN_IN}>
      <AppFrame
        name={work.app}
        home="/work"
        links={links}
        bar={<strong>{session.name}</strong>}
        foot={
          <Button
            look="quiet"
            icon="signOut"
            onClick={() => void signOut().then(() => navigate(SIGN_IN, { replace: true }))}
          >
            {shared.signOut}
          </Button>
        }
      >
        <Switch>
          <Route path="/work/settings">
            <Page title={work.nav.settings} narrow>
              <LanguageChoice />
              <ThemeChoice />
            </Page>
          </Route>
          <Route>
            <Page title={work.nav.desk}>
              <EmptyState icon="inbox" title={work.nav.desk} />
            </Page>
          </Route>
        </Switch>
      </AppFrame>
    </SessionGuard>
  );
}
