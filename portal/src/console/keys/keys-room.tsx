// How programs call the API: keys, OAuth clients, and issuers whose tokens are trusted.

import { useState } from 'react';
import { Button } from '../../shared/ui/button.tsx';
import { Tabs } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useUrlFilters } from '../filter-bar.tsx';
import { useMay } from '../member.tsx';
import { useConsole, useConsoleAccess } from '../messages.ts';
import { ClientForm } from './client-form.tsx';
import { Clients } from './clients.tsx';
import { IssuerForm } from './issuer-form.tsx';
import { Issuers } from './issuers.tsx';
import { KeyForm } from './key-form.tsx';
import { Keys } from './keys.tsx';
import '../console.css';

const TABS = ['keys', 'clients', 'issuers'] as const;
type TabId = (typeof TABS)[number];

export default function KeysRoom() {
  const text = useConsoleAccess();
  const { nav } = useConsole();
  const mayReadClients = useMay('oauth:read');
  const mayWriteKeys = useMay('keys:write');
  const mayWriteClients = useMay('oauth:write');
  const [params, set] = useUrlFilters();
  const [isCreating, setCreating] = useState(false);
  const tabs = mayReadClients ? TABS : TABS.slice(0, 1);
  const tab = tabs.find((one) => one === params.get('tab')) ?? 'keys';
  const mayCreate = tab === 'keys' ? mayWriteKeys : mayWriteClients;
  const close = () => setCreating(false);
  return (
    <Page
      title={nav.keys}
      actions={
        mayCreate && (
          <Button look="primary" icon="plus" onClick={() => setCreating(true)}>
            {text[tab].create}
          </Button>
        )
      }
    >
      <Tabs<TabId>
        label={text.keys.sections}
        current={tab}
        tabs={tabs.map((id) => ({ id, label: text.keys.tabs[id] }))}
        onChange={(id) => set('tab', id === 'keys' ? '' : id)}
      >
        {tab === 'keys' && <Keys />}
        {tab === 'clients' && <Clients />}
        {tab === 'issuers' && <Issuers />}
      </Tabs>
      {isCreating && tab === 'keys' && <KeyForm onClose={close} />}
      {isCreating && tab === 'clients' && <ClientForm onClose={close} />}
      {isCreating && tab === 'issuers' && <IssuerForm onClose={close} />}
    </Page>
  );
}
