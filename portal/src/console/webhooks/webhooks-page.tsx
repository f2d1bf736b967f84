// Webhooks: the endpoints of the org, the deliveries that failed or are stopped, and the secret of callback URLs.

import type { WebhookEndpoint, WebhookEndpointWithSecret } from '@biolayer/sdk';
import { useState } from 'react';
import { Link } from 'wouter';
import { PagedList } from '../../shared/api/pages.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { EmptyState, Table, Tabs } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useUrlFilters } from '../filter-bar.tsx';
import { useMay, useMember } from '../member.tsx';
import { useConsole, useConsoleWebhooks } from '../messages.ts';
import { CallbackSecret } from './callback-secret.tsx';
import { EndpointBadge } from './endpoint-badge.tsx';
import { useEndpoints } from './endpoint-data.ts';
import { EndpointForm } from './endpoint-form.tsx';
import { Failures } from './failures.tsx';
import { NewSecret } from './secret-dialogs.tsx';
import { Stops } from './stops.tsx';
import './webhooks.css';

type TabId = 'endpoints' | 'failures' | 'stops';

export function WebhooksPage() {
  const text = useConsoleWebhooks();
  const { nav } = useConsole();
  const { pools = ['*'] } = useMember();
  const mayWrite = useMay('webhooks:write');
  const [params, set] = useUrlFilters();
  const wanted = params.get('tab');
  const tab: TabId = wanted === 'failures' || wanted === 'stops' ? wanted : 'endpoints';
  const [isCreating, setCreating] = useState(false);
  const [made, setMade] = useState<WebhookEndpointWithSecret | null>(null);
  return (
    <Page
      title={nav.webhooks}
      actions={
        mayWrite && (
          <Button look="primary" icon="plus" onClick={() => setCreating(true)}>
            {text.create}
          </Button>
        )
      }
    >
      <Tabs<TabId>
        label={text.sections}
        current={tab}
        tabs={[
          { id: 'endpoints', label: text.endpoints },
          { id: 'failures', label: text.failures },
          { id: 'stops', label: text.stops },
        ]}
        onChange={(id) => set('tab', id === 'endpoints' ? '' : id)}
      >
        {tab === 'failures' ? (
          <Failures />
        ) : tab === 'stops' ? (
          <Stops />
        ) : (
          <div className="stack">
            <Endpoints />
            {mayWrite && pools.includes('*') && <CallbackSecret />}
          </div>
        )}
      </Tabs>
      {isCreating && <EndpointForm endpoint={null} onMade={setMade} onClose={() => setCreating(false)} />}
      {made !== null && <NewSecret title={text.made} endpoint={made} onClose={() => setMade(null)} />}
    </Page>
  );
}

function Endpoints() {
  const text = useConsoleWebhooks();
  const list = useEndpoints();
  return (
    <PagedList
      list={list}
      empty={
        <EmptyState icon="link" title={text.none}>
          {text.noneHint}
        </EmptyState>
      }
    >
      {(endpoints) => (
        <Table label={text.endpoints}>
          <thead>
            <tr>
              <th scope="col">{text.url}</th>
              <th scope="col">{text.state}</th>
              <th scope="col" className="wide-only">
                {text.events}
              </th>
              <th scope="col" className="wide-only">
                {text.created}
              </th>
            </tr>
          </thead>
          <tbody>
            {endpoints.map((endpoint) => (
              <Row key={endpoint.endpoint_id} endpoint={endpoint} />
            ))}
          </tbody>
        </Table>
      )}
    </PagedList>
  );
}

function Row({ endpoint }: { endpoint: WebhookEndpoint }) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  return (
    <tr>
      <th scope="row">
        <span className="cell-name">
          <Link href={`/console/webhooks/${endpoint.endpoint_id}`}>
            {endpoint.description || endpoint.url}
          </Link>
          {endpoint.description !== '' && <span className="small muted url">{endpoint.url}</span>}
        </span>
      </th>
      <td>
        <EndpointBadge endpoint={endpoint} />
      </td>
      <td className="wide-only">{text.eventCount(endpoint.events.length)}</td>
      <td className="wide-only">{format.date(endpoint.created_at)}</td>
    </tr>
  );
}
