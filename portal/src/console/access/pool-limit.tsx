// For which pools a credential works: all, or those that are chosen.

import { useId } from 'react';
import { Choice, FieldGroup } from '../../shared/ui/field.tsx';
import { useMember } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';
import { PoolChoice } from '../pools/pool-choice.tsx';

/** The pools that a member may give to others; `["*"]` for all. */
export function useOwnPools(): string[] {
  return useMember().pools ?? ['*'];
}

/** @param value `["*"]` for all pools. */
export function PoolLimit({
  id,
  error,
  value,
  onChange,
}: {
  id: string;
  error: string | undefined;
  value: readonly string[];
  onChange: (pools: string[]) => void;
}) {
  const text = useConsoleAccess();
  const name = useId();
  const mayGiveAll = useOwnPools().includes('*');
  const isAll = value.includes('*');
  return (
    <>
      {mayGiveAll && (
        <FieldGroup label={text.poolsLabel}>
          <Choice type="radio" name={name} checked={isAll} onChange={() => onChange(['*'])}>
            {text.allPools}
          </Choice>
          <Choice type="radio" name={name} checked={!isAll} onChange={() => onChange([])}>
            {text.somePools}
          </Choice>
        </FieldGroup>
      )}
      {!isAll && (
        <PoolChoice id={id} error={error} label={text.whichPools} value={value} onChange={onChange} />
      )}
    </>
  );
}
