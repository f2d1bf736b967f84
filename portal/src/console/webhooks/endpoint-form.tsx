// The form of an endpoint, for a new one and for a change.

import {
  ApiError,
  type EventType,
  type WebhookEndpoint,
  type WebhookEndpointWithSecret,
} from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { ifMatch, type Versioned } from '../../shared/api/versioned.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { Choice, FieldGroup, TextAreaField, TextField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { EVENTS, readEndpoint, renewWebhooks } from './endpoint-data.ts';
import { draftFaults, draftOf, EMPTY_ENDPOINT, type EndpointDraft, fieldsOf } from './endpoint-draft.ts';

/** @param endpoint the one to change; null for a new one. @param onMade called with a new one and its secret. */
export function EndpointForm({
  endpoint,
  onMade,
  onClose,
}: {
  endpoint: Versioned<WebhookEndpoint> | null;
  onMade?: (made: WebhookEndpointWithSecret) => void;
  onClose: () => void;
}) {
  const text = useConsoleWebhooks();
  const shared = useShared();
  const showToast = useToast();
  const [seen, setSeen] = useState(endpoint);
  const [isStale, setStale] = useState(false);
  const [draft, setDraft] = useState(endpoint === null ? EMPTY_ENDPOINT : draftOf(endpoint.value));
  const set = (change: Partial<EndpointDraft>) => setDraft({ ...draft, ...change });

  async function save(): Promise<void> {
    const fields = fieldsOf(draft);
    if (seen === null) {
      const made = await api.webhookEndpoints.create({ ...fields, signature: draft.signature });
      onMade?.(made);
    } else {
      const id = seen.value.endpoint_id;
      try {
        await api.webhookEndpoints.update(id, fields, ifMatch(seen.etag));
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 412)) throw error;
        setSeen(await readEndpoint(id));
        setStale(true);
        return;
      }
      showToast(shared.saved);
    }
    await renewWebhooks();
    onClose();
  }

  const form = useForm({ labels: text.fields, check: () => draftFaults(draft, text), save });
  const names = endpoint?.value.header_names ?? [];
  return (
    <FormDialog
      title={endpoint === null ? text.create : text.editTitle}
      form={form}
      action={endpoint === null ? text.create : shared.save}
      onClose={onClose}
      wide
    >
      {isStale && <Banner tone="amber" live title={text.stale} />}
      <TextField
        {...form.field('url')}
        label={text.fields.url}
        hint={text.hints.url}
        type="url"
        inputMode="url"
        autoComplete="off"
        maxLength={2048}
        value={draft.url}
        onChange={(event) => set({ url: event.target.value })}
      />
      <TextField
        {...form.field('description')}
        label={text.fields.description}
        hint={text.hints.description}
        optional
        maxLength={500}
        value={draft.description}
        onChange={(event) => set({ description: event.target.value })}
      />
      <Events {...form.field('events')} value={draft.events} onChange={(events) => set({ events })} />
      {endpoint === null && (
        <FieldGroup {...form.field('signature')} label={text.fields.signature}>
          {(['v1', 'v1a'] as const).map((signature) => (
            <Choice
              key={signature}
              type="radio"
              name="signature"
              checked={draft.signature === signature}
              onChange={() => set({ signature })}
            >
              {text.hints[signature]}
            </Choice>
          ))}
        </FieldGroup>
      )}
      <div className="field-columns">
        <TextField
          {...form.field('max_retries')}
          label={text.fields.max_retries}
          hint={text.hints.max_retries}
          inputMode="numeric"
          value={draft.max_retries}
          onChange={(event) => set({ max_retries: event.target.value })}
        />
        <TextField
          {...form.field('backoff_seconds')}
          label={text.fields.backoff_seconds}
          hint={text.hints.backoff_seconds}
          inputMode="numeric"
          value={draft.backoff_seconds}
          onChange={(event) => set({ backoff_seconds: event.target.value })}
        />
      </div>
      <FieldGroup {...form.field('ordering')} label={text.fields.ordering}>
        <Choice
          type="checkbox"
          checked={draft.ordered}
          onChange={(event) => set({ ordered: event.target.checked })}
        >
          {text.hints.ordered}
        </Choice>
      </FieldGroup>
      <TextAreaField
        {...form.field('headers')}
        label={text.fields.headers}
        hint={
          names.length === 0
            ? text.hints.headers
            : `${text.hints.headers} ${text.hints.keepHeaders(names.join(', '))}`
        }
        optional
        rows={2}
        spellCheck={false}
        value={draft.headers}
        onChange={(event) => set({ headers: event.target.value })}
      />
    </FormDialog>
  );
}

function Events({
  id,
  error,
  value,
  onChange,
}: {
  id: string;
  error: string | undefined;
  value: readonly EventType[];
  onChange: (events: readonly EventType[]) => void;
}) {
  const text = useConsoleWebhooks();
  return (
    <FieldGroup id={id} error={error} label={text.fields.events}>
      <div className="row">
        <Button size="small" onClick={() => onChange(EVENTS.all)}>
          {text.selectAll}
        </Button>
        <Button size="small" onClick={() => onChange([])}>
          {text.selectNone}
        </Button>
      </div>
      <div className="choices">
        {EVENTS.all.map((event) => (
          <Choice
            key={event}
            type="checkbox"
            checked={value.includes(event)}
            onChange={({ target }) =>
              onChange(EVENTS.all.filter((one) => (one === event ? target.checked : value.includes(one))))
            }
          >
            <code>{event.replace('task.', '')}</code>
          </Choice>
        ))}
      </div>
    </FieldGroup>
  );
}
