// One endpoint: its state, what was delivered and what was not, replays, its secret.

import type { Delivery, Replay, WebhookEndpoint } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import type { Versioned } from '../../shared/api/versioned.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { Banner, Card, EmptyState, Facts } from '../../shared/ui/containers.tsx';
import { Segmented } from '../../shared/ui/field.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { useMay } from '../member.tsx';
import { useConsole, useConsoleWebhooks } from '../messages.ts';
import { DeliveryList } from './delivery-list.tsx';
import { EndpointBadge, reasonOf } from './endpoint-badge.tsx';
import { renewWebhooks, useEndpoint } from './endpoint-data.ts';
import { EndpointForm } from './endpoint-form.tsx';
import { ReplayForm } from './replay-form.tsx';
import { paceOf, RunItem } from './runs.tsx';
import { RotateSecret } from './secret-dialogs.tsx';
import './webhooks.css';

export function EndpointPage({ id }: { id: string }) {
  const { nav } = useConsole();
  const query = useEndpoint(id);
  if (query.data !== undefined) return <Shown endpoint={query.data} />;
  return (
    <Page title={nav.webhooks}>
      <Loaded query={query} lines={8}>
        {() => null}
      </Loaded>
    </Page>
  );
}

type OpenDialog = 'edit' | 'remove' | 'rotate' | 'replay' | null;

function Shown({ endpoint: versioned }: { endpoint: Versioned<WebhookEndpoint> }) {
  const endpoint = versioned.value;
  const text = useConsoleWebhooks();
  const mayWrite = useMay('webhooks:write');
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  return (
    <Page
      title={endpoint.description || endpoint.url}
      heading={
        <div className="row">
          <h1 className="url">{endpoint.description || endpoint.url}</h1>
          <EndpointBadge endpoint={endpoint} />
        </div>
      }
      actions={mayWrite && <Actions endpoint={endpoint} open={setDialog} />}
    >
      {!endpoint.enabled && <Banner tone="amber" title={text.disabledHint[reasonOf(endpoint)]} />}
      {endpoint.enabled && endpoint.failing_since !== null && <Banner tone="amber" title={text.failing} />}
      <div className="page-columns">
        <Deliveries endpoint={endpoint} />
        <div className="stack">
          <Settings endpoint={endpoint} onRotate={mayWrite ? () => setDialog('rotate') : null} />
          <Replays endpoint={endpoint} onStart={() => setDialog('replay')} />
        </div>
      </div>
      {dialog === 'edit' && <EndpointForm endpoint={versioned} onClose={close} />}
      {dialog === 'rotate' && <RotateSecret endpoint={endpoint} onClose={close} />}
      {dialog === 'replay' && <ReplayForm endpointId={endpoint.endpoint_id} onClose={close} />}
      {dialog === 'remove' && <RemoveDialog endpoint={endpoint} onClose={close} />}
    </Page>
  );
}

function Actions({
  endpoint,
  open,
}: {
  endpoint: WebhookEndpoint;
  open: (dialog: 'edit' | 'remove') => void;
}) {
  const text = useConsoleWebhooks();
  const { isBusy, run } = useAction();
  const { endpoint_id, enabled } = endpoint;
  const switchIt = async () => {
    if (enabled) await api.webhookEndpoints.disable(endpoint_id, {});
    else await api.webhookEndpoints.enable(endpoint_id, {});
    await renewWebhooks();
  };
  const test = async () => {
    await api.webhookEndpoints.test(endpoint_id, {});
    await renewWebhooks();
  };
  return (
    <>
      {enabled && (
        <Button look="primary" busy={isBusy} onClick={() => run(test, text.testSent)}>
          {text.test}
        </Button>
      )}
      <Button
        look={enabled ? 'secondary' : 'primary'}
        busy={isBusy}
        onClick={() => run(switchIt, enabled ? text.disabledNow : text.enabledNow)}
      >
        {enabled ? text.disable : text.enable}
      </Button>
      <Button onClick={() => open('edit')}>{text.edit}</Button>
      <Button icon="trash" onClick={() => open('remove')}>
        {text.remove}
      </Button>
    </>
  );
}

const STATUSES = ['any', 'pending', 'succeeded', 'exhausted', 'stopped'] as const;
const REFRESH = 4000;

function Deliveries({ endpoint: { endpoint_id } }: { endpoint: WebhookEndpoint }) {
  const text = useConsoleWebhooks();
  const [status, setStatus] = useState<(typeof STATUSES)[number]>('any');
  const list = usePaged<Delivery>(
    ['webhooks', 'deliveries', endpoint_id, status],
    (page) =>
      api.webhookEndpoints.listDeliveries(endpoint_id, {
        ...page,
        ...(status !== 'any' && { status: [status] }),
      }),
    { limit: 25, refreshEvery: REFRESH },
  );
  const empty =
    status === 'any' ? (
      <EmptyState icon="inbox" title={text.noDeliveries}>
        {text.noDeliveriesHint}
      </EmptyState>
    ) : (
      <p className="muted">{text.noDeliveriesWith}</p>
    );
  return (
    <Card title={text.deliveries}>
      <div className="scroll-x">
        <Segmented
          label={text.state}
          value={status}
          options={STATUSES.map((one) => ({
            value: one,
            label: one === 'any' ? text.anyStatus : text.deliveryStatus[one],
          }))}
          onChange={setStatus}
        />
      </div>
      <PagedList list={list} empty={empty}>
        {(deliveries) => <DeliveryList deliveries={deliveries} />}
      </PagedList>
    </Card>
  );
}

function Settings({ endpoint, onRotate }: { endpoint: WebhookEndpoint; onRotate: (() => void) | null }) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  const { max_retries, backoff_seconds } = endpoint.retry_policy;
  const previous = endpoint.previous_secret_expires_at;
  return (
    <Card title={text.settings}>
      <Facts
        facts={[
          [
            text.url,
            <span key="url" className="url">
              {endpoint.url}
            </span>,
          ],
          [text.events, endpoint.events.map((one) => one.replace('task.', '')).join(', ')],
          [
            text.fields.max_retries,
            text.retries(format.number(max_retries), format.duration(backoff_seconds * 1000)),
          ],
          [text.fields.ordering, text.orders[endpoint.ordering]],
          [text.headerNames, endpoint.header_names.join(', ')],
          [text.fields.signature, text.hints[endpoint.signature]],
          [
            text.publicKey,
            endpoint.public_key && (
              <code key="key" className="url">
                {endpoint.public_key}
              </code>
            ),
          ],
          [text.created, format.dateTime(endpoint.created_at)],
        ]}
      />
      {previous !== null && <p className="small">{text.previousUntil(format.dateTime(previous))}</p>}
      {onRotate !== null && (
        <div>
          <Button icon="key" onClick={onRotate}>
            {text.rotate}
          </Button>
        </div>
      )}
    </Card>
  );
}

function Replays({ endpoint, onStart }: { endpoint: WebhookEndpoint; onStart: () => void }) {
  const text = useConsoleWebhooks();
  const mayWrite = useMay('webhooks:write');
  const { endpoint_id, enabled } = endpoint;
  const query = useQuery({
    queryKey: ['webhooks', 'replays', endpoint_id],
    queryFn: async () => (await api.webhookEndpoints.listReplays(endpoint_id, { limit: 10 })).data,
    refetchInterval: ({ state }) => paceOf(state.data),
  });
  return (
    <Card
      title={text.replays}
      actions={
        mayWrite &&
        enabled && (
          <Button icon="refresh" onClick={onStart}>
            {text.replay}
          </Button>
        )
      }
    >
      {mayWrite && !enabled && <p className="muted small">{text.needsEnabled}</p>}
      <Loaded query={query} lines={2}>
        {(replays: Replay[]) =>
          replays.length === 0 ? (
            <p className="muted">{text.noReplays}</p>
          ) : (
            replays.map((replay) => (
              <RunItem
                key={replay.replay_id}
                run={replay}
                what={<span className="small">{text.choices[replay.deliveries]}</span>}
                onCancel={() => api.webhookEndpoints.cancelReplay(endpoint_id, replay.replay_id, {})}
              />
            ))
          )
        }
      </Loaded>
    </Card>
  );
}

function RemoveDialog({ endpoint, onClose }: { endpoint: WebhookEndpoint; onClose: () => void }) {
  const text = useConsoleWebhooks();
  const showToast = useToast();
  const [, navigate] = useLocation();
  return (
    <Confirm
      title={text.removeTitle}
      action={text.remove}
      onClose={onClose}
      run={async () => {
        await api.webhookEndpoints.delete(endpoint.endpoint_id);
        showToast(text.removed);
        navigate('/console/webhooks');
        await renewWebhooks();
      }}
    >
      <p className="url">{endpoint.url}</p>
      <p>{text.removeText}</p>
    </Confirm>
  );
}
