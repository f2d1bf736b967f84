// The OAuth clients of the org.

import type { OAuthClient } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { ActionsHeader } from '../access/actions-header.tsx';
import { NewSecret } from '../access/new-secret.tsx';
import { PoolsText, ScopesText } from '../access/permission-cells.tsx';
import { useMay } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';

type Action = { client: OAuthClient; kind: 'remove' | 'rotate' };
const renewClients = () => queries.invalidateQueries({ queryKey: ['oauth-clients'] });

export function Clients() {
  const { clients: text } = useConsoleAccess();
  const list = usePaged<OAuthClient>(['oauth-clients'], (page) => api.oauthClients.list(page));
  return (
    <PagedList
      list={list}
      empty={
        <EmptyState icon="key" title={text.none}>
          {text.noneHint}
        </EmptyState>
      }
    >
      {(clients) => <ClientTable clients={clients} />}
    </PagedList>
  );
}

function ClientTable({ clients }: { clients: readonly OAuthClient[] }) {
  const all = useConsoleAccess();
  const { clients: text, keys } = all;
  const format = useFormat();
  const mayWrite = useMay('oauth:write');
  const [action, setAction] = useState<Action | null>(null);
  return (
    <>
      <Table label={keys.tabs.clients}>
        <thead>
          <tr>
            <th scope="col">{text.name}</th>
            <th scope="col" className="wide-only">
              {text.kind}
            </th>
            <th scope="col" className="wide-only">
              {all.permissions}
            </th>
            <th scope="col" className="wide-only">
              {all.whichPools}
            </th>
            <th scope="col" className="wide-only">
              {keys.created}
            </th>
            {mayWrite && <ActionsHeader />}
          </tr>
        </thead>
        <tbody>
          {clients.map((client) => (
            <tr key={client.client_id}>
              <th scope="row">
                <span className="cell-name">
                  <span className="strong">{client.name}</span>
                  <code className="muted url">{client.client_id}</code>
                </span>
              </th>
              <td className="wide-only">{client.grant_types.map((one) => text.grants[one]).join(', ')}</td>
              <td className="wide-only">
                <ScopesText scopes={client.scopes} />
              </td>
              <td className="wide-only">
                <PoolsText pools={client.pools} />
              </td>
              <td className="wide-only">{format.date(client.created_at)}</td>
              {mayWrite && (
                <td className="cell-end">
                  <span className="row cell-actions">
                    {!client.public && (
                      <Button
                        size="small"
                        label={`${text.rotate}: ${client.name}`}
                        onClick={() => setAction({ client, kind: 'rotate' })}
                      >
                        {text.rotate}
                      </Button>
                    )}
                    <Button
                      size="small"
                      label={`${text.remove}: ${client.name}`}
                      onClick={() => setAction({ client, kind: 'remove' })}
                    >
                      {text.remove}
                    </Button>
                  </span>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </Table>
      {action?.kind === 'remove' && <RemoveDialog client={action.client} onClose={() => setAction(null)} />}
      {action?.kind === 'rotate' && <RotateDialog client={action.client} onClose={() => setAction(null)} />}
    </>
  );
}

function RemoveDialog({ client, onClose }: { client: OAuthClient; onClose: () => void }) {
  const { clients: text } = useConsoleAccess();
  const showToast = useToast();
  return (
    <Confirm
      title={text.removeTitle(client.name)}
      action={text.remove}
      onClose={onClose}
      run={async () => {
        await api.oauthClients.delete(client.client_id);
        showToast(text.removed);
        await renewClients();
      }}
    >
      <p>{text.removeText}</p>
    </Confirm>
  );
}

function RotateDialog({ client, onClose }: { client: OAuthClient; onClose: () => void }) {
  const { clients: text } = useConsoleAccess();
  const [secret, setSecret] = useState<string | null>(null);
  if (secret !== null)
    return (
      <NewSecret
        title={client.name}
        label={text.secret}
        value={secret}
        hint={text.secretHint}
        onClose={onClose}
      />
    );
  return (
    <Confirm
      title={text.rotateTitle(client.name)}
      action={text.rotate}
      onClose={onClose}
      // The secret takes the place of the question.
      onDone={() => undefined}
      run={async () => {
        const { client_secret = '' } = await api.oauthClients.rotateSecret(client.client_id, {});
        setSecret(client_secret);
      }}
    >
      <p>{text.rotateText}</p>
    </Confirm>
  );
}
