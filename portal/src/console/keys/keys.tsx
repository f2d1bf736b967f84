// The API keys, what each may do, and when it was last used.

import type { ApiKey } from '@biolayer/sdk';
import { type ReactNode, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { useForm } from '../../shared/forms/use-form.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { serverNow } from '../../shared/time/now.ts';
import { Badge } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { SelectField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { ActionsHeader } from '../access/actions-header.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolsText, ScopesText } from '../access/permission-cells.tsx';
import { useMay } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';

const renewKeys = () => queries.invalidateQueries({ queryKey: ['keys'] });

export function Keys() {
  const { keys: text } = useConsoleAccess();
  const list = usePaged<ApiKey>(['keys'], (page) => api.apiKeys.list(page));
  return (
    <PagedList
      list={list}
      empty={
        <EmptyState icon="key" title={text.none}>
          {text.noneHint}
        </EmptyState>
      }
    >
      {(keys) => <KeyTable keys={keys} />}
    </PagedList>
  );
}

function KeyTable({ keys }: { keys: readonly ApiKey[] }) {
  const all = useConsoleAccess();
  const { keys: text } = all;
  const mayWrite = useMay('keys:write');
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const [rotating, setRotating] = useState<ApiKey | null>(null);
  return (
    <>
      <Table label={text.tabs.keys}>
        <thead>
          <tr>
            <th scope="col">{text.name}</th>
            <th scope="col" className="wide-only">
              {text.mode}
            </th>
            <th scope="col" className="wide-only">
              {all.permissions}
            </th>
            <th scope="col" className="wide-only">
              {all.whichPools}
            </th>
            <th scope="col">{text.lastUsed}</th>
            <th scope="col" className="wide-only">
              {text.expires}
            </th>
            {mayWrite && <ActionsHeader />}
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <Row
              key={key.key_id}
              apiKey={key}
              actions={
                mayWrite && (
                  <span className="row cell-actions">
                    {key.replaced_by === null && (
                      <Button
                        size="small"
                        label={`${text.rotate}: ${key.name}`}
                        onClick={() => setRotating(key)}
                      >
                        {text.rotate}
                      </Button>
                    )}
                    <Button
                      size="small"
                      label={`${text.revoke}: ${key.name}`}
                      onClick={() => setRevoking(key)}
                    >
                      {text.revoke}
                    </Button>
                  </span>
                )
              }
            />
          ))}
        </tbody>
      </Table>
      {revoking !== null && <RevokeDialog apiKey={revoking} onClose={() => setRevoking(null)} />}
      {rotating !== null && <RotateDialog apiKey={rotating} onClose={() => setRotating(null)} />}
    </>
  );
}

function Row({ apiKey: key, actions }: { apiKey: ApiKey; actions: ReactNode }) {
  const { keys: text } = useConsoleAccess();
  const format = useFormat();
  const isExpired = key.expires_at !== null && Date.parse(key.expires_at) <= serverNow();
  return (
    <tr>
      <th scope="row">
        <span className="cell-name">
          <span className="strong">{key.name}</span>
          <code className="muted">{key.hint}…</code>
          {key.replaced_by !== null && <span className="small muted">{text.replaced}</span>}
        </span>
      </th>
      <td className="wide-only">
        <Badge tone={key.mode === 'live' ? 'green' : 'amber'}>{text.modes[key.mode]}</Badge>
      </td>
      <td className="wide-only">
        <ScopesText scopes={key.scopes} />
      </td>
      <td className="wide-only">
        <PoolsText pools={key.pools} />
      </td>
      <td>{key.last_used_at === null ? text.never : format.relative(key.last_used_at)}</td>
      <td className="wide-only">
        {key.expires_at === null ? (
          text.neverExpires
        ) : isExpired ? (
          <Badge tone="red">{text.expired}</Badge>
        ) : (
          format.date(key.expires_at)
        )}
      </td>
      {actions !== false && <td className="cell-end">{actions}</td>}
    </tr>
  );
}

function RevokeDialog({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const { keys: text } = useConsoleAccess();
  const showToast = useToast();
  return (
    <Confirm
      title={text.revokeTitle(apiKey.name)}
      action={text.revoke}
      onClose={onClose}
      run={async () => {
        await api.apiKeys.revoke(apiKey.key_id);
        showToast(text.revoked);
        await renewKeys();
      }}
    >
      <p>{text.revokeText}</p>
    </Confirm>
  );
}

const OVERLAPS = ['86400', '3600', '604800', '0'] as const;

function RotateDialog({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const { keys: text } = useConsoleAccess();
  const [overlap, setOverlap] = useState<string>(OVERLAPS[0]);
  const [made, setMade] = useState<string | null>(null);
  const form = useForm({
    labels: { expires_in_seconds: text.rotateOverlap },
    check: () => [],
    save: async () => {
      const { key } = await api.apiKeys.rotate(apiKey.key_id, { expires_in_seconds: Number(overlap) });
      setMade(key);
      await renewKeys();
    },
  });
  if (made !== null)
    return (
      <NewSecret title={text.made} label={text.key} value={made} hint={text.secretHint} onClose={onClose} />
    );
  return (
    <FormDialog title={text.rotateTitle(apiKey.name)} form={form} action={text.rotate} onClose={onClose}>
      <p>{text.rotateText}</p>
      <SelectField
        {...form.field('expires_in_seconds')}
        label={text.rotateOverlap}
        value={overlap}
        onChange={(event) => setOverlap(event.target.value)}
      >
        {OVERLAPS.map((seconds) => (
          <option key={seconds} value={seconds}>
            {text.overlaps[seconds]}
          </option>
        ))}
      </SelectField>
    </FormDialog>
  );
}
