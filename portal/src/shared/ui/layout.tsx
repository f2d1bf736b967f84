// The frame of an app: navigation, a bar with what is always at hand, and the page.

import { type ReactNode, useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { useShared } from '../i18n/messages.tsx';
import { Badge } from './badge.tsx';
import { Icon, type IconName } from './icons.tsx';

export interface NavLink {
  href: string;
  label: string;
  icon: IconName;
  /** Shown beside the name; 0 for nothing. */
  count?: number;
  /** Whether pages below this one belong to it too. Default: true. */
  nested?: boolean;
}

/**
 * @param home where the name of the app leads.
 * @param bar at the top of every page. @param foot below the links, on wide screens.
 */
export function AppFrame({
  name,
  home,
  links,
  bar,
  foot,
  children,
}: {
  name: string;
  home: string;
  links: readonly NavLink[];
  bar: ReactNode;
  foot: ReactNode;
  children: ReactNode;
}) {
  const messages = useShared();
  const [path] = useLocation();
  return (
    <>
      <a className="skip-link" href="#page">
        {messages.skipToContent}
      </a>
      <div className="app">
        <nav className="app-nav" aria-label={messages.mainNavigation}>
          <Link className="app-brand" href={home}>
            <Icon name="logo" />
            {name}
          </Link>
          <ul className="app-links">
            {links.map((link) => (
              <li key={link.href}>
                <Link
                  className="app-link"
                  href={link.href}
                  aria-current={isCurrent(link, path) ? 'page' : undefined}
                >
                  <Icon name={link.icon} />
                  {link.label}
                  {link.count !== undefined && link.count > 0 && <Badge tone="blue">{link.count}</Badge>}
                </Link>
              </li>
            ))}
          </ul>
          <div className="app-nav-foot">{foot}</div>
        </nav>
        <div className="app-main">
          <header className="app-bar">{bar}</header>
          {children}
        </div>
      </div>
    </>
  );
}

function isCurrent({ href, nested = true }: NavLink, path: string): boolean {
  return path === href || (nested && path.startsWith(`${href}/`));
}

/** A page: sets the title of the window, and takes the focus when it is opened, so that screen readers start here. */
export function Page({
  title,
  heading,
  actions,
  narrow = false,
  children,
}: {
  title: string;
  /** Shown instead of the title. */
  heading?: ReactNode;
  actions?: ReactNode;
  narrow?: boolean;
  children: ReactNode;
}) {
  const element = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = `${title} · BioLayer`;
  }, [title]);
  useEffect(() => {
    if (document.activeElement === document.body) element.current?.focus({ preventScroll: true });
  }, []);
  return (
    <main ref={element} id="page" tabIndex={-1} className={narrow ? 'page page-narrow' : 'page'}>
      <div className="page-head">
        {heading ?? <h1>{title}</h1>}
        {actions !== undefined && <div className="row">{actions}</div>}
      </div>
      {children}
    </main>
  );
}

/** A page without navigation, such as the one to sign in on. */
export function CentredPage({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · BioLayer`;
  }, [title]);
  return (
    <main className="centre">
      <div className="card stack stack-loose">
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}
