// Creates an API key and shows it once.

import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { type FieldFault, useForm } from '../../shared/forms/use-form.ts';
import { serverNow } from '../../shared/time/now.ts';
import { Choice, FieldGroup, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolLimit, useOwnPools } from '../access/pool-limit.tsx';
import { ScopeChoice, type Scopes } from '../access/scope-choice.tsx';
import { useConsoleAccess } from '../messages.ts';

type Field = 'name' | 'mode' | 'scopes' | 'pools' | 'expires_at';

export function KeyForm({ onClose }: { onClose: () => void }) {
  const text = useConsoleAccess();
  const { keys } = text;
  const [name, setName] = useState('');
  const [mode, setMode] = useState<'live' | 'test'>('live');
  const [scopes, setScopes] = useState<Scopes>([]);
  const [pools, setPools] = useState<string[]>(useOwnPools());
  const [lastDay, setLastDay] = useState('');
  const [made, setMade] = useState<string | null>(null);
  const end = lastDay === '' ? null : new Date(`${lastDay}T23:59:59.999`);
  const form = useForm<Field>({
    labels: {
      name: keys.name,
      mode: keys.mode,
      scopes: text.permissions,
      pools: text.whichPools,
      expires_at: keys.expires,
    },
    check: () => {
      const faults: FieldFault<Field>[] = [];
      if (name.trim() === '') faults.push({ field: 'name', message: text.faults.name });
      if (scopes.length === 0) faults.push({ field: 'scopes', message: text.faults.scopes });
      if (pools.length === 0) faults.push({ field: 'pools', message: text.faults.pools });
      if (end !== null && !(end.getTime() > serverNow()))
        faults.push({ field: 'expires_at', message: text.faults.future });
      return faults;
    },
    save: async () => {
      const { key } = await api.apiKeys.create({
        name: name.trim(),
        scopes: [...scopes],
        // A sandbox has pools of its own.
        ...(mode === 'live' && { pools }),
        ...(end !== null && { expires_at: end.toISOString() }),
        mode,
      });
      setMade(key);
      await queries.invalidateQueries({ queryKey: ['keys'] });
    },
  });
  if (made !== null)
    return (
      <NewSecret title={keys.made} label={keys.key} value={made} hint={keys.secretHint} onClose={onClose} />
    );
  return (
    <FormDialog title={keys.create} form={form} action={keys.create} onClose={onClose} wide>
      <TextField
        {...form.field('name')}
        label={keys.name}
        hint={keys.nameHint}
        maxLength={200}
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <FieldGroup {...form.field('mode')} label={keys.mode}>
        {(['live', 'test'] as const).map((one) => (
          <Choice key={one} type="radio" name="mode" checked={mode === one} onChange={() => setMode(one)}>
            {keys.modes[one]} <span className="muted small">{keys.modeHints[one]}</span>
          </Choice>
        ))}
      </FieldGroup>
      <ScopeChoice {...form.field('scopes')} value={scopes} onChange={setScopes} />
      {mode === 'live' && <PoolLimit {...form.field('pools')} value={pools} onChange={setPools} />}
      <TextField
        {...form.field('expires_at')}
        label={keys.expires}
        hint={keys.expiresHint}
        optional
        type="date"
        value={lastDay}
        onChange={(event) => setLastDay(event.target.value)}
      />
    </FormDialog>
  );
}
