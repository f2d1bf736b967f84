// Changes a member: name, role, pools, whether they may sign in, a new password.

import { ApiError, type Member } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { ifMatch, type Versioned } from '../../shared/api/versioned.ts';
import { type FieldFault, useForm } from '../../shared/forms/use-form.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { Choice, FieldGroup, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolLimit } from '../access/pool-limit.tsx';
import { useMember } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';
import { isEmail } from './invite-form.tsx';
import { newPassword, type Role, readMember, renewMembers } from './member-data.ts';
import { RoleChoice } from './role-choice.tsx';

type Field = 'name' | 'email' | 'role' | 'pools' | 'disabled' | 'password';

export function MemberForm({ member, onClose }: { member: Versioned<Member>; onClose: () => void }) {
  const text = useConsoleAccess();
  const { members } = text;
  const shared = useShared();
  const showToast = useToast();
  const isOwn = useMember().member_id === member.value.member_id;
  const [seen, setSeen] = useState(member);
  const [isStale, setStale] = useState(false);
  const [name, setName] = useState(member.value.name);
  const [email, setEmail] = useState(member.value.email);
  const [role, setRole] = useState<Role | null>(member.value.role);
  const [pools, setPools] = useState<string[]>(member.value.pools);
  const [disabled, setDisabled] = useState(member.value.disabled);
  const [wantsPassword, setWantsPassword] = useState(false);
  const [password, setPassword] = useState<string | null>(null);
  const id = member.value.member_id;

  async function save(): Promise<void> {
    const made = wantsPassword ? newPassword() : null;
    const before = seen.value;
    try {
      await api.members.update(
        id,
        {
          name: name.trim(),
          email: email.trim(),
          ...(role !== null && role !== before.role && { role }),
          ...(pools.join() !== before.pools.join() && { pools }),
          ...(disabled !== before.disabled && { disabled }),
          ...(made !== null && { password: made }),
        },
        ifMatch(seen.etag),
      );
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412)) throw error;
      setSeen(await readMember(id));
      setStale(true);
      return;
    }
    await renewMembers();
    if (made !== null) return setPassword(made);
    showToast(shared.saved);
    onClose();
  }

  const form = useForm<Field>({
    labels: {
      name: members.name,
      email: members.email,
      role: members.role,
      pools: text.whichPools,
      disabled: members.state,
      password: members.password,
    },
    check: () => {
      const faults: FieldFault<Field>[] = [];
      if (name.trim() === '') faults.push({ field: 'name', message: text.faults.name });
      if (!isEmail(email.trim())) faults.push({ field: 'email', message: text.faults.email });
      if (pools.length === 0) faults.push({ field: 'pools', message: text.faults.pools });
      return faults;
    },
    save,
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
    <FormDialog
      title={members.editTitle(member.value.name)}
      form={form}
      action={shared.save}
      onClose={onClose}
      wide
    >
      {isStale && <Banner tone="amber" live title={members.stale} />}
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
        type="email"
        maxLength={254}
        autoComplete="off"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <RoleChoice {...form.field('role')} value={role} onChange={setRole}>
        {member.value.role === null && (
          <Choice type="radio" name="role" checked={role === null} onChange={() => setRole(null)}>
            {members.keepScopes}
            <br />
            <span className="muted small">{member.value.scopes.join(', ')}</span>
          </Choice>
        )}
      </RoleChoice>
      <PoolLimit {...form.field('pools')} value={pools} onChange={setPools} />
      {!isOwn && (
        <FieldGroup {...form.field('disabled')} label={members.state}>
          <Choice type="checkbox" checked={disabled} onChange={(event) => setDisabled(event.target.checked)}>
            {members.mayNotSignIn}
          </Choice>
        </FieldGroup>
      )}
      <FieldGroup {...form.field('password')} label={members.password} hint={members.newPasswordHint}>
        <Choice
          type="checkbox"
          checked={wantsPassword}
          onChange={(event) => setWantsPassword(event.target.checked)}
        >
          {members.newPassword}
        </Choice>
      </FieldGroup>
    </FormDialog>
  );
}
