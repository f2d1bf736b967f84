// The members of the org: who they are, what they may do, and how they are invited and removed.

import type { Member } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { PagedList } from '../../shared/api/pages.tsx';
import type { Versioned } from '../../shared/api/versioned.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { ActionsHeader } from '../access/actions-header.tsx';
import { PoolsText, ScopesText } from '../access/permission-cells.tsx';
import { useMay, useMember } from '../member.tsx';
import { useConsole, useConsoleAccess } from '../messages.ts';
import { InviteForm } from './invite-form.tsx';
import { readMember, renewMembers, useMembers } from './member-data.ts';
import { MemberForm } from './member-form.tsx';
import '../console.css';

export default function MembersRoom() {
  const { members: text } = useConsoleAccess();
  const { nav } = useConsole();
  const mayWrite = useMay('members:write');
  const list = useMembers();
  const [isInviting, setInviting] = useState(false);
  return (
    <Page
      title={nav.members}
      actions={
        mayWrite && (
          <Button look="primary" icon="plus" onClick={() => setInviting(true)}>
            {text.invite}
          </Button>
        )
      }
    >
      <PagedList
        list={list}
        empty={
          <EmptyState icon="people" title={text.none}>
            {text.noneHint}
          </EmptyState>
        }
      >
        {(members) => <MemberTable members={members} />}
      </PagedList>
      {isInviting && <InviteForm onClose={() => setInviting(false)} />}
    </Page>
  );
}

type OpenDialog =
  | { kind: 'edit'; member: Versioned<Member> }
  | { kind: 'signOut' | 'remove'; member: Member }
  | null;

function MemberTable({ members }: { members: readonly Member[] }) {
  const all = useConsoleAccess();
  const { members: text, keys } = all;
  const { nav } = useConsole();
  const mayWrite = useMay('members:write');
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  return (
    <>
      <Table label={nav.members}>
        <thead>
          <tr>
            <th scope="col">{text.name}</th>
            <th scope="col">{text.role}</th>
            <th scope="col" className="wide-only">
              {all.whichPools}
            </th>
            <th scope="col" className="wide-only">
              {text.state}
            </th>
            <th scope="col" className="wide-only">
              {keys.created}
            </th>
            {mayWrite && <ActionsHeader />}
          </tr>
        </thead>
        <tbody>
          {members.map((member) => (
            <Row key={member.member_id} member={member} open={mayWrite ? setDialog : null} />
          ))}
        </tbody>
      </Table>
      {dialog?.kind === 'edit' && <MemberForm member={dialog.member} onClose={close} />}
      {dialog?.kind === 'signOut' && <SignOutDialog member={dialog.member} onClose={close} />}
      {dialog?.kind === 'remove' && <RemoveDialog member={dialog.member} onClose={close} />}
    </>
  );
}

function Row({ member, open }: { member: Member; open: ((dialog: OpenDialog) => void) | null }) {
  const { members: text } = useConsoleAccess();
  const format = useFormat();
  return (
    <tr>
      <th scope="row">
        <span className="cell-name">
          <span className="row">
            <span className="strong">{member.name}</span>
            {useMember().member_id === member.member_id && <Badge tone="blue">{text.you}</Badge>}
          </span>
          <span className="small muted url">{member.email}</span>
        </span>
      </th>
      <td>
        {member.role === null ? (
          <>
            {text.ownScopes} (<ScopesText scopes={member.scopes} />)
          </>
        ) : (
          text.roles[member.role]
        )}
      </td>
      <td className="wide-only">
        <PoolsText pools={member.pools} />
      </td>
      <td className="wide-only">
        <Badge tone={member.disabled ? 'red' : 'green'}>
          {member.disabled ? text.disabled : text.active}
        </Badge>
      </td>
      <td className="wide-only">{format.date(member.created_at)}</td>
      {open !== null && (
        <td className="cell-end">
          <RowActions member={member} open={open} />
        </td>
      )}
    </tr>
  );
}

function RowActions({ member, open }: { member: Member; open: (dialog: OpenDialog) => void }) {
  const { members: text } = useConsoleAccess();
  const { signOut } = useShared();
  const isOwn = useMember().member_id === member.member_id;
  const { isBusy, run } = useAction();
  const edit = async () => open({ kind: 'edit', member: await readMember(member.member_id) });
  return (
    <span className="row cell-actions">
      <Button size="small" label={`${text.edit}: ${member.name}`} busy={isBusy} onClick={() => run(edit)}>
        {text.edit}
      </Button>
      <Button
        size="small"
        label={`${text.signOut}: ${member.name}`}
        onClick={() => open({ kind: 'signOut', member })}
      >
        {signOut}
      </Button>
      {!isOwn && (
        <Button
          size="small"
          label={`${text.remove}: ${member.name}`}
          onClick={() => open({ kind: 'remove', member })}
        >
          {text.remove}
        </Button>
      )}
    </span>
  );
}

function SignOutDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const { members: text } = useConsoleAccess();
  const showToast = useToast();
  return (
    <Confirm
      title={text.signOutTitle(member.name)}
      action={text.signOut}
      onClose={onClose}
      run={async () => {
        await api.members.endSessions(member.member_id);
        showToast(text.signedOut);
      }}
    >
      <p>{text.signOutText}</p>
    </Confirm>
  );
}

function RemoveDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const { members: text } = useConsoleAccess();
  const showToast = useToast();
  return (
    <Confirm
      title={text.removeTitle(member.name)}
      action={text.remove}
      onClose={onClose}
      run={async () => {
        await api.members.delete(member.member_id);
        showToast(text.removed(member.name));
        await renewMembers();
      }}
    >
      <p>{text.removeText}</p>
    </Confirm>
  );
}
