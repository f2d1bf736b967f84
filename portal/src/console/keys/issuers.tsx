// Outside issuers of access tokens that the org trusts.

import type { Issuer } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { EmptyState, Table } from '../../shared/ui/containers.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { ActionsHeader } from '../access/actions-header.tsx';
import { PoolsText } from '../access/permission-cells.tsx';
import { useMay } from '../member.tsx';
import { useConsoleAccess } from '../messages.ts';

export function Issuers() {
  const { issuers: text } = useConsoleAccess();
  const list = usePaged<Issuer>(['issuers'], (page) => api.issuers.list(page));
  return (
    <PagedList
      list={list}
      empty={
        <EmptyState icon="key" title={text.none}>
          {text.noneHint}
        </EmptyState>
      }
    >
      {(issuers) => <IssuerTable issuers={issuers} />}
    </PagedList>
  );
}

function IssuerTable({ issuers }: { issuers: readonly Issuer[] }) {
  const all = useConsoleAccess();
  const { issuers: text, keys } = all;
  const showToast = useToast();
  const mayWrite = useMay('oauth:write');
  const [removing, setRemoving] = useState<Issuer | null>(null);
  return (
    <>
      <Table label={keys.tabs.issuers}>
        <thead>
          <tr>
            <th scope="col">{text.name}</th>
            <th scope="col" className="wide-only">
              {text.audience}
            </th>
            <th scope="col">{all.permissions}</th>
            <th scope="col" className="wide-only">
              {all.whichPools}
            </th>
            {mayWrite && <ActionsHeader />}
          </tr>
        </thead>
        <tbody>
          {issuers.map((issuer) => (
            <tr key={issuer.issuer_id}>
              <th scope="row">
                <span className="cell-name">
                  <span className="strong">{issuer.name}</span>
                  <span className="small muted url">{issuer.issuer}</span>
                </span>
              </th>
              <td className="wide-only url">{issuer.audience}</td>
              <td>
                {Object.entries(issuer.scope_map).map(([claim, scopes]) => (
                  <div key={claim} className="small">
                    <code>{claim}</code> → {scopes.join(', ')}
                  </div>
                ))}
              </td>
              <td className="wide-only">
                <PoolsText pools={issuer.pools} />
              </td>
              {mayWrite && (
                <td className="cell-end">
                  <Button
                    size="small"
                    label={`${text.remove}: ${issuer.name}`}
                    onClick={() => setRemoving(issuer)}
                  >
                    {text.remove}
                  </Button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </Table>
      {removing !== null && (
        <Confirm
          title={text.removeTitle(removing.name)}
          action={text.remove}
          onClose={() => setRemoving(null)}
          run={async () => {
            await api.issuers.delete(removing.issuer_id);
            showToast(text.removed);
            await queries.invalidateQueries({ queryKey: ['issuers'] });
          }}
        >
          <p>{text.removeText}</p>
        </Confirm>
      )}
    </>
  );
}
