// Registers an outside issuer whose tokens the API accepts: tokens with one scope of theirs get permissions here.

import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { type FieldFault, useForm } from '../../shared/forms/use-form.ts';
import { TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { PoolLimit, useOwnPools } from '../access/pool-limit.tsx';
import { ScopeChoice, type Scopes } from '../access/scope-choice.tsx';
import type { Scope } from '../access/scopes.ts';
import { useConsoleAccess } from '../messages.ts';

const TEXTS = ['name', 'issuer', 'audience', 'jwks_uri', 'claim'] as const;
type Field = (typeof TEXTS)[number] | 'scope_map' | 'pools';

export function IssuerForm({ onClose }: { onClose: () => void }) {
  const text = useConsoleAccess();
  const { issuers, faults: wrong } = text;
  const showToast = useToast();
  const [draft, setDraft] = useState({ name: '', issuer: '', audience: '', jwks_uri: '', claim: '' });
  const [scopes, setScopes] = useState<Scopes>([]);
  const [pools, setPools] = useState<string[]>(useOwnPools());
  const given = (name: (typeof TEXTS)[number]) => draft[name].trim();
  const form = useForm<Field>({
    labels: {
      name: issuers.name,
      issuer: issuers.issuer,
      audience: issuers.audience,
      jwks_uri: issuers.jwks,
      claim: issuers.claim,
      scope_map: text.permissions,
      pools: text.whichPools,
    },
    check: () => {
      const faults: FieldFault<Field>[] = [];
      if (given('name') === '') faults.push({ field: 'name', message: wrong.name });
      if (given('issuer') === '') faults.push({ field: 'issuer', message: wrong.issuer });
      if (!/^https:\/\/[^\s/]/.test(given('jwks_uri')))
        faults.push({ field: 'jwks_uri', message: wrong.jwks });
      if (!/^\S{1,200}$/.test(given('claim'))) faults.push({ field: 'claim', message: wrong.claim });
      if (scopes.length === 0) faults.push({ field: 'scope_map', message: wrong.scopes });
      if (pools.length === 0) faults.push({ field: 'pools', message: wrong.pools });
      return faults;
    },
    save: async () => {
      await api.issuers.create({
        name: given('name'),
        issuer: given('issuer'),
        jwks_uri: given('jwks_uri'),
        ...(given('audience') !== '' && { audience: given('audience') }),
        scope_map: { [given('claim')]: scopes.filter((one): one is Scope => one !== '*') },
        pools,
      });
      showToast(issuers.made);
      await queries.invalidateQueries({ queryKey: ['issuers'] });
      onClose();
    },
  });
  const field = (name: (typeof TEXTS)[number]) => ({
    ...form.field(name),
    autoComplete: 'off',
    value: draft[name],
    onChange: ({ target }: { target: { value: string } }) => setDraft({ ...draft, [name]: target.value }),
  });
  return (
    <FormDialog title={issuers.create} form={form} action={issuers.create} onClose={onClose} wide>
      <TextField {...field('name')} label={issuers.name} maxLength={200} />
      <TextField {...field('issuer')} label={issuers.issuer} hint={issuers.issuerHint} maxLength={500} />
      <TextField
        {...field('audience')}
        label={issuers.audience}
        hint={issuers.audienceHint}
        optional
        maxLength={500}
      />
      <TextField
        {...field('jwks_uri')}
        label={issuers.jwks}
        hint={issuers.jwksHint}
        type="url"
        maxLength={2048}
      />
      <TextField {...field('claim')} label={issuers.claim} hint={issuers.claimHint} spellCheck={false} />
      <ScopeChoice {...form.field('scope_map')} value={scopes} withEverything={false} onChange={setScopes} />
      <PoolLimit {...form.field('pools')} value={pools} onChange={setPools} />
    </FormDialog>
  );
}
