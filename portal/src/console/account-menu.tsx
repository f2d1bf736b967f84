// Who is signed in, with language, appearance and the way out. A native popover: it closes with Escape and a click beside it.

import { useId } from 'react';
import { useLocation } from 'wouter';
import { useFormat, useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { Facts } from '../shared/ui/containers.tsx';
import { Icon } from '../shared/ui/icons.tsx';
import { LanguageChoice, ThemeChoice } from '../shared/ui/preferences.tsx';
import { useMember } from './member.tsx';
import { useConsole } from './messages.ts';
import { signOut } from './session.ts';
import './account-menu.css';

/** @param signIn path of the page to show after the sign-out. */
export function AccountMenu({ signIn }: { signIn: string }) {
  const text = useConsole().account;
  const shared = useShared();
  const format = useFormat();
  const member = useMember();
  const [, navigate] = useLocation();
  const id = useId();
  const roles: Partial<Record<string, string>> = text.roles;
  const role = member.role === null ? text.ownScopes : (roles[member.role] ?? member.role);
  return (
    <>
      <button type="button" className="button button-quiet account-button" popoverTarget={id}>
        <span className="account-initial" aria-hidden="true">
          {(member.name ?? member.email).slice(0, 1).toUpperCase()}
        </span>
        <span className="visually-hidden">{text.open}</span>
        <span className="account-name">{member.name ?? member.email}</span>
        <Icon name="down" />
      </button>
      <div id={id} popover="auto" className="account-menu">
        <div className="stack">
          <div>
            {member.name !== undefined && <strong>{member.name}</strong>}
            <p className="muted">{member.email}</p>
          </div>
          <Facts
            facts={[
              [text.role, role],
              [text.pools, member.pools.includes('*') ? null : format.list(member.pools)],
              [text.sessionEnds, format.relative(member.expires_at)],
            ]}
          />
          <LanguageChoice />
          <ThemeChoice />
          <Button
            icon="signOut"
            onClick={() => void signOut().then(() => navigate(signIn, { replace: true }))}
          >
            {shared.signOut}
          </Button>
        </div>
      </div>
    </>
  );
}
