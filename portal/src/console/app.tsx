// The console: the session, the frame, and which page is shown under which address.

import { Suspense, useState } from 'react';
import { Route, Switch, useLocation } from 'wouter';
import { SessionGuard } from '../shared/api/session-guard.tsx';
import { useShared } from '../shared/i18n/messages.tsx';
import { ButtonLink } from '../shared/ui/button.tsx';
import { EmptyState, Skeleton } from '../shared/ui/containers.tsx';
import { AppFrame, CentredPage, Page } from '../shared/ui/layout.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { ShortcutsDialog, useShortcuts } from '../shared/ui/shortcuts.tsx';
import { AccountMenu } from './account-menu.tsx';
import { MemberProvider } from './member.tsx';
import { useConsole } from './messages.ts';
import { OrgEvents } from './org-events.tsx';
import { HOME, ROOMS, type Room } from './rooms.ts';
import { type ConsoleSession, hasScope, hasSession, useSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

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
  if (session.data === null) return <SignIn returnTo={path + location.search} onSignedIn={showHome} />;
  return <SignedIn session={session.data} />;
}

function SignedIn({ session }: { session: ConsoleSession }) {
  const text = useConsole();
  const { keyboardShortcuts } = useShared();
  const [showsKeys, setShowsKeys] = useState(false);
  useShortcuts([{ key: '?', label: keyboardShortcuts, run: () => setShowsKeys(true) }]);
  const links = ROOMS.filter(({ scope }) => hasScope(session, scope)).map(({ name, href, icon }) => ({
    href,
    label: text.nav[name],
    icon,
    nested: href !== HOME,
  }));
  return (
    <MemberProvider session={session}>
      <SessionGuard check={hasSession} signInUrl={SIGN_IN}>
        <OrgEvents session={session} mayFollow={hasScope(session, 'events:read')}>
          <AppFrame
            name={text.app}
            home={HOME}
            links={links}
            bar={
              <>
                <strong className="grow">{session.org_name}</strong>
                <AccountMenu signIn={SIGN_IN} />
              </>
            }
            foot={null}
          >
            <Suspense fallback={<Loading />}>
              <Switch>
                {ROOMS.map((room) => (
                  <Route key={room.name} path={room.href === HOME ? HOME : `${room.href}/*?`}>
                    {hasScope(session, room.scope) ? <room.Page /> : <NoPermission room={room} />}
                  </Route>
                ))}
                <Route>
                  <NotFound />
                </Route>
              </Switch>
            </Suspense>
          </AppFrame>
          {showsKeys && <ShortcutsDialog onClose={() => setShowsKeys(false)} />}
        </OrgEvents>
      </SessionGuard>
    </MemberProvider>
  );
}

function Loading() {
  return (
    <main className="page">
      <Skeleton lines={6} />
    </main>
  );
}

function NoPermission({ room }: { room: Room }) {
  const text = useConsole();
  return (
    <Page title={text.nav[room.name]}>
      <EmptyState
        icon="key"
        title={text.noPermission.title}
        actions={<ButtonLink href={HOME}>{text.noPermission.toOverview}</ButtonLink>}
      >
        {text.noPermission.text(room.scope)}
      </EmptyState>
    </Page>
  );
}

function NotFound() {
  const { notFound } = useConsole();
  const { pageNotFound } = useShared().problems;
  return (
    <Page title={pageNotFound}>
      <EmptyState icon="search" title={pageNotFound}>
        {notFound}
      </EmptyState>
    </Page>
  );
}
