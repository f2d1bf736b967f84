// The console: the session, and which page is shown under which address.

import { Route, Switch, useLocation } from 'wouter';
import { SessionGuard } from '../shared/api/session-guard.tsx';
import { useFormat, useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { EmptyState, Facts, Skeleton } from '../shared/ui/containers.tsx';
import { AppFrame, CentredPage, type NavLink, Page } from '../shared/ui/layout.tsx';
import { LanguageChoice, ThemeChoice } from '../shared/ui/preferences.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { useConsole } from './messages.ts';
import { type ConsoleSession, hasSession, signOut, useSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

const HOME = '/console';
const SIGN_IN = '/console/sign-in';

export function App() {
  const [path, navigate] = useLocation();
  const session = useSession();
  const { app } = useConsole();
  const showHome = () => navigate(HOME, { replace: true });
  if (path === SIGN_IN) return <SignIn returnTo={HOME} onSignedIn={showHome} />;
  if (session.isPending)
    return (
      <CentredPage title={app}>
        <Skeleton />
      </CentredPage>
    );
  if (session.isError)
    return (
      <CentredPage title={app}>
        <Problem error={session.error} onRetry={() => void session.refetch()} />
      </CentredPage>
    );
  // The address stays, so that a person comes back to this page.
  if (session.data === null) return <SignIn returnTo={path} onSignedIn={showHome} />;
  return <SignedIn session={session.data} />;
}

function SignedIn({ session }: { session: ConsoleSession }) {
  const text = useConsole();
  const shared = useShared();
  const format = useFormat();
  const [, navigate] = useLocation();
  const links: NavLink[] = [{ href: HOME, label: text.nav.overview, icon: 'chart', nested: false }];
  return (
    <SessionGuard check={hasSession} signInUrl={SIGN_IN}>
      <AppFrame
        name={text.app}
        home={HOME}
        links={links}
        bar={<strong>{session.org_name}</strong>}
        foot={
          <>
            <LanguageChoice />
            <ThemeChoice />
            <p className="small muted">{session.email}</p>
            <Button
              look="quiet"
              icon="signOut"
              onClick={() => void signOut().then(() => navigate(SIGN_IN, { replace: true }))}
            >
              {shared.signOut}
            </Button>
          </>
        }
      >
        <Switch>
          <Route path={HOME}>
            <Page title={text.nav.overview}>
              <Facts
                facts={[
                  [session.role, text.signedInAs(session.email, session.org_name)],
                  [shared.signOut, format.relative(session.expires_at)],
                ]}
              />
            </Page>
          </Route>
          <Route>
            <Page title={shared.problems.pageNotFound}>
              <EmptyState icon="search" title={shared.problems.pageNotFound} />
            </Page>
          </Route>
        </Switch>
      </AppFrame>
    </SessionGuard>
  );
}
