// Which permissions a credential gets: everything, or those that are chosen. Only permissions of one's own are offered.

import { useId } from 'react';
import { Choice, FieldGroup } from '../../shared/ui/field.tsx';
import { useMember } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';
import { grantableBy, SCOPES, type Scope } from './scopes.ts';
import '../console.css';

export type Scopes = readonly (Scope | '*')[];

export function ScopeChoice({
  id,
  error,
  value,
  withEverything = true,
  onChange,
}: {
  id: string;
  error: string | undefined;
  value: Scopes;
  /** Whether `*` is a choice, for members who have it. */
  withEverything?: boolean;
  onChange: (scopes: Scopes) => void;
}) {
  const text = useConsoleAccess();
  const member = useMember();
  const name = useId();
  const offered = grantableBy(member);
  const isAll = value.includes('*');
  const mayGiveAll = withEverything && member.scopes.includes('*');
  return (
    <FieldGroup
      id={id}
      error={error}
      label={text.permissions}
      hint={offered.length < SCOPES.length ? text.notYours : undefined}
    >
      {mayGiveAll && (
        <>
          <Choice type="radio" name={name} checked={!isAll} onChange={() => onChange([])}>
            {text.chosen}
          </Choice>
          <Choice type="radio" name={name} checked={isAll} onChange={() => onChange(['*'])}>
            {text.everything}
          </Choice>
        </>
      )}
      {!isAll && (
        <div className="choices choices-boxed">
          {offered.map((scope) => (
            <Choice
              key={scope}
              type="checkbox"
              checked={value.includes(scope)}
              onChange={({ target }) =>
                onChange(SCOPES.filter((one) => (one === scope ? target.checked : value.includes(one))))
              }
            >
              {text.scopes[scope]}
              <br />
              <code className="muted">{scope}</code>
            </Choice>
          ))}
        </div>
      )}
    </FieldGroup>
  );
}
