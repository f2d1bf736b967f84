// Which role a member gets.

import type { ReactNode } from 'react';
import { Choice, FieldGroup } from '../../shared/ui/field.tsx';
import { useMember } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';
import { type Role, rolesOfferedTo } from './member-data.ts';

/** @param value null for permissions that are of no role. @param children another choice. */
export function RoleChoice({
  id,
  error,
  value,
  onChange,
  children,
}: {
  id: string;
  error: string | undefined;
  value: Role | null;
  onChange: (role: Role) => void;
  children?: ReactNode;
}) {
  const { members: text } = useConsoleAccess();
  return (
    <FieldGroup id={id} error={error} label={text.role}>
      {rolesOfferedTo(useMember()).map((role) => (
        <Choice key={role} type="radio" name="role" checked={value === role} onChange={() => onChange(role)}>
          {text.roles[role]}
          <br />
          <span className="muted small">{text.roleHints[role]}</span>
        </Choice>
      ))}
      {children}
    </FieldGroup>
  );
}
