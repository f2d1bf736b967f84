// Creates an OAuth client and shows its secret once.

import type { CreateOAuthClientResponse } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { type FieldFault, itemsOf, useForm } from '../../shared/forms/use-form.ts';
import { Choice, FieldGroup, TextAreaField, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolLimit, useOwnPools } from '../access/pool-limit.tsx';
import { ScopeChoice, type Scopes } from '../access/scope-choice.tsx';
import type { Scope } from '../access/scopes.ts';
import { useConsoleAccess } from '../messages.ts';

const GRANTS = ['client_credentials', 'authorization_code'] as const;
type Field = 'name' | 'grant_types' | 'redirect_uris' | 'scopes' | 'pools';

export function ClientForm({ onClose }: { onClose: () => void }) {
  const text = useConsoleAccess();
  const { clients } = text;
  const [name, setName] = useState('');
  const [grant, setGrant] = useState<(typeof GRANTS)[number]>('client_credentials');
  const [isPublic, setPublic] = useState(false);
  const [redirects, setRedirects] = useState('');
  const [scopes, setScopes] = useState<Scopes>([]);
  const [pools, setPools] = useState<string[]>(useOwnPools());
  const [made, setMade] = useState<CreateOAuthClientResponse | null>(null);
  const isInteractive = grant === 'authorization_code';
  const form = useForm<Field>({
    labels: {
      name: clients.name,
      grant_types: clients.kind,
      redirect_uris: clients.redirects,
      scopes: text.permissions,
      pools: text.whichPools,
    },
    check: () => {
      const faults: FieldFault<Field>[] = [];
      if (name.trim() === '') faults.push({ field: 'name', message: text.faults.name });
      if (isInteractive && itemsOf(redirects).length === 0)
        faults.push({ field: 'redirect_uris', message: text.faults.redirect });
      if (scopes.length === 0) faults.push({ field: 'scopes', message: text.faults.scopes });
      if (pools.length === 0) faults.push({ field: 'pools', message: text.faults.pools });
      return faults;
    },
    save: async () => {
      const client = await api.oauthClients.create({
        name: name.trim(),
        grant_types: [grant],
        ...(isInteractive && { public: isPublic, redirect_uris: itemsOf(redirects) }),
        scopes: scopes.filter((one): one is Scope => one !== '*'),
        pools,
      });
      setMade(client);
      await queries.invalidateQueries({ queryKey: ['oauth-clients'] });
    },
  });
  if (made !== null) {
    const { client_secret } = made;
    return client_secret === undefined ? (
      <NewSecret
        title={clients.made}
        label={clients.id}
        value={made.client_id}
        hint={clients.publicMade}
        onClose={onClose}
      />
    ) : (
      <NewSecret
        title={clients.made}
        label={clients.secret}
        value={client_secret}
        hint={clients.secretHint}
        onClose={onClose}
      >
        <p>
          {clients.id}: <code>{made.client_id}</code>
        </p>
      </NewSecret>
    );
  }
  return (
    <FormDialog title={clients.create} form={form} action={clients.create} onClose={onClose} wide>
      <TextField
        {...form.field('name')}
        label={clients.name}
        hint={clients.nameHint}
        maxLength={200}
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <FieldGroup {...form.field('grant_types')} label={clients.kind}>
        {GRANTS.map((one) => (
          <Choice key={one} type="radio" name="grant" checked={grant === one} onChange={() => setGrant(one)}>
            {clients.grants[one]}
          </Choice>
        ))}
        {isInteractive && (
          <Choice type="checkbox" checked={isPublic} onChange={(event) => setPublic(event.target.checked)}>
            {clients.public}
          </Choice>
        )}
      </FieldGroup>
      {isInteractive && (
        <TextAreaField
          {...form.field('redirect_uris')}
          label={clients.redirects}
          hint={clients.redirectsHint}
          rows={2}
          spellCheck={false}
          value={redirects}
          onChange={(event) => setRedirects(event.target.value)}
        />
      )}
      <ScopeChoice {...form.field('scopes')} value={scopes} withEverything={false} onChange={setScopes} />
      <PoolLimit {...form.field('pools')} value={pools} onChange={setPools} />
    </FormDialog>
  );
}
