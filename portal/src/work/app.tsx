// The portal: the session, and which page is shown under which address.

import { lazy, Suspense, useEffect, useState } from 'react';
import { Redirect, Route, Switch, useLocation } from 'wouter';
import { SessionGuard } from '../shared/api/session-guard.tsx';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button, ButtonLink } from '../shared/ui/button.tsx';
import { ConnectionBadge, ConnectionBanner } from '../shared/ui/connection.tsx';
import { EmptyState, Skeleton } from '../shared/ui/containers.tsx';
import { AppFrame, CentredPage, type NavLink, Page } from '../shared/ui/layout.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { ShortcutsDialog, useShortcuts } from '../shared/ui/shortcuts.tsx';
import { useToast } from '../shared/ui/toast.tsx';
import { AvailabilitySwitch } from './availability.tsx';
import { useOffers, useTasks } from './data.ts';
import { Desk } from './desk.tsx';
import { useWork } from './messages.ts';
import { hasSession, useSession, type WorkerSession } from './session.ts';
import { SignIn } from './sign-in.tsx';
import { useLive } from './use-live.ts';

// Loaded while a person reads their offers, so that the first page is there sooner.
const loadTaskPage = () => import('./task/task-page.tsx');
const TaskPage = lazy(async () => ({ default: (await loadTaskPage()).TaskPage }));
const History = lazy(async () => ({ default: (await import('./history.tsx')).History }));
const Settings = lazy(async () => ({ default: (await import('./settings/settings.tsx')).Settings }));

const HOME = '/work';
const SIGN_IN = '/work/sign-in';

export function App() {
  const [path, navigate] = useLocation();
  const session = useSession();
  const work = useWork();
  if (path === SIGN_IN) return <SignIn onSignedIn={() => navigate(HOME, { replace: true })} />;
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
  if (session.data === null) return <Redirect to={SIGN_IN} replace />;
  return <SignedIn session={session.data} />;
}

function SignedIn({ session }: { session: WorkerSession }) {
  const work = useWork();
  const shared = useShared();
  const toast = useToast();
  const [, navigate] = useLocation();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const offers = useOffers();
  const tasks = useTasks();
  const connection = useLive(session.worker_id, (title) => toast(work.offers.arrived(title), 'blue'));
  const offerCount = offers.data?.length ?? 0;
  useOfferCountInTitle(offerCount === 0 ? '' : work.offers.inTitle(offerCount));
  useEffect(() => {
    // Loads the task page ahead, once the first page has been shown.
    const timer = setTimeout(() => void loadTaskPage().catch(() => undefined), 1500);
    return () => clearTimeout(timer);
  }, []);
  useShortcuts([
    { key: '?', label: work.shortcuts.help, run: () => setHelpOpen(true) },
    { key: 'w', label: work.shortcuts.desk, run: () => navigate(HOME) },
    { key: 'h', label: work.shortcuts.history, run: () => navigate('/work/history') },
  ]);
  const links: NavLink[] = [
    {
      href: HOME,
      label: work.nav.desk,
      icon: 'inbox',
      nested: false,
      count: offerCount + (tasks.data?.length ?? 0),
    },
    { href: '/work/history', label: work.nav.history, icon: 'history' },
    { href: '/work/settings', label: work.nav.settings, icon: 'settings' },
  ];
  return (
    <SessionGuard check={hasSession} signInUrl={SIGN_IN}>
      <AppFrame
        name={work.app}
        home={HOME}
        links={links}
        bar={
          <>
            <AvailabilitySwitch />
            <ConnectionBadge connection={connection} />
            <div className="app-bar-end app-bar-person">
              <span className="muted small">{session.name}</span>
              <Button
                look="quiet"
                size="small"
                icon="keyboard"
                label={shared.keyboardShortcuts}
                onClick={() => setHelpOpen(true)}
              />
            </div>
          </>
        }
        foot={null}
      >
        <ConnectionBanner connection={connection} />
        <Suspense
          fallback={
            <Page title={work.app}>
              <Skeleton lines={8} />
            </Page>
          }
        >
          <Switch>
            <Route path={HOME}>
              <Desk />
            </Route>
            {/* Where the notice of an offer leads. */}
            <Route path="/work/offers/:id">
              <Desk />
            </Route>
            <Route path="/work/tasks/:id">
              {({ id }) => <TaskPage key={id} id={id} workerId={session.worker_id} />}
            </Route>
            <Route path="/work/history">
              <History />
            </Route>
            <Route path="/work/settings">
              <Settings session={session} />
            </Route>
            <Route>
              <Page title={shared.problems.pageNotFound}>
                <EmptyState
                  icon="search"
                  title={shared.problems.pageNotFound}
                  actions={<ButtonLink href={HOME}>{work.task.toDesk}</ButtonLink>}
                />
              </Page>
            </Route>
          </Switch>
        </Suspense>
      </AppFrame>
      {isHelpOpen && <ShortcutsDialog onClose={() => setHelpOpen(false)} />}
    </SessionGuard>
  );
}

/** Shows in the title of the window, and so in its tab, that offers wait. */
function useOfferCountInTitle(text: string): void {
  useEffect(() => {
    const write = () => {
      const plain = document.title.replace(/^\([^)]*\) /, '');
      const wanted = text === '' ? plain : `(${text}) ${plain}`;
      if (document.title !== wanted) document.title = wanted;
    };
    write();
    const watch = new MutationObserver(write);
    const title = document.querySelector('title');
    if (title !== null) watch.observe(title, { childList: true });
    return () => watch.disconnect();
  }, [text]);
}
