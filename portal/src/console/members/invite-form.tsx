// Invites a member: they get a password, which is shown once.

import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { type FieldFault, useForm } from '../../shared/forms/use-form.ts';
import { TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolLimit, useOwnPools } from '../access/pool-limit.tsx';
import { useConsoleAccess } from '../messages.ts';
import { type Role, renewMembers } from './member-data.ts';
import { RoleChoice } from './role-choice.tsx';

type Field = 'name' | 'email' | 'role' | 'pools';

/** As the API checks it. */
export function isEmail(text: string): boolean {
  return /^[^\s@<>"]{1,64}@[^\s@<>"]{1,189}$/.test(text);
}

export function InviteForm({ onClose }: { onClose: () => void }) {
  const text = useConsoleAccess();
  const { members } = text;
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [pools, setPools] = useState<string[]>(useOwnPools());
  const [password, setPassword] = useState<string | null>(null);
  const form = useForm<Field>({
    labels: { name: members.name, email: members.email, role: members.role, pools: text.whichPools },
    check: () => {
      const faults: FieldFault<Field>[] = [];
      if (name.trim() === '') faults.push({ field: 'name', message: text.faults.name });
      if (!isEmail(email.trim())) faults.push({ field: 'email', message: text.faults.email });
      if (pools.length === 0) faults.push({ field: 'pools', message: text.faults.pools });
      return faults;
    },
    save: async () => {
      const made = await api.members.create({ name: name.trim(), email: email.trim(), role, pools });
      setPassword(made.password ?? '');
      await renewMembers();
    },
  });
  if (password !== null)
    return (
      <NewSecret
        title={members.made(name.trim())}
        label={members.password}
        value={password}
        hint={members.madeHint(email.trim())}
        onClose={onClose}
      />
    );
  return (
    <FormDialog title={members.invite} form={form} action={members.invite} onClose={onClose} wide>
      <TextField
        {...form.field('name')}
        label={members.name}
        maxLength={200}
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <TextField
        {...form.field('email')}
        label={members.email}
        hint={members.emailHint}
        type="email"
        maxLength={254}
        autoComplete="off"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <RoleChoice {...form.field('role')} value={role} onChange={setRole} />
      <PoolLimit {...form.field('pools')} value={pools} onChange={setPools} />
    </FormDialog>
  );
}
