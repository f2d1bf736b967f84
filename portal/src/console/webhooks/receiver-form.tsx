// Starts work on many deliveries: those to one receiver, or to any, of a period.

import type { WebhookEndpoint } from '@biolayer/sdk';
import { useState } from 'react';
import { useForm } from '../../shared/forms/use-form.ts';
import { serverNow } from '../../shared/time/now.ts';
import { Choice, FieldGroup, SelectField, TextField, TimeField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { renewWebhooks } from './endpoint-data.ts';
import { momentOf } from './time-range.ts';

const TARGETS = ['any', 'endpoint', 'callback_url'] as const;

/** Which deliveries are meant. */
export interface Chosen {
  endpoint_id?: string;
  callback_url?: string;
  since?: string;
  until?: string;
}

/** @param mayBeAny whether the deliveries to all receivers may be meant. @param start throws when the server refuses it. */
export function ReceiverForm({
  title,
  action,
  hint,
  mayBeAny = false,
  endpoints,
  start,
  onClose,
}: {
  title: string;
  action: string;
  hint: string;
  mayBeAny?: boolean;
  endpoints: readonly WebhookEndpoint[];
  start: (chosen: Chosen) => PromiseLike<unknown>;
  onClose: () => void;
}) {
  const text = useConsoleWebhooks();
  const showToast = useToast();
  const choices = TARGETS.filter((one) =>
    one === 'any' ? mayBeAny : one !== 'endpoint' || endpoints.length > 0,
  );
  const [target, setTarget] = useState(choices[0]);
  const [chosen, setChosen] = useState('');
  const [callbackUrl, setCallbackUrl] = useState('');
  const [since, setSince] = useState('');
  const [until, setUntil] = useState('');
  const from = momentOf(since);
  const to = momentOf(until);
  const endpointId = chosen === '' ? endpoints[0]?.endpoint_id : chosen;
  const form = useForm<'target' | 'endpoint_id' | 'callback_url' | 'since' | 'until'>({
    labels: {
      target: text.target,
      endpoint_id: text.endpoint,
      callback_url: text.callbackUrl,
      since: text.since,
      until: text.until,
    },
    check: () => {
      if (target === 'callback_url' && !/^https?:\/\//.test(callbackUrl.trim()))
        return [{ field: 'callback_url', message: text.faults.callback_url }];
      if (from !== null && Date.parse(from) > serverNow())
        return [{ field: 'since', message: text.faults.past }];
      if (from !== null && to !== null && to <= from) return [{ field: 'until', message: text.faults.until }];
      return [];
    },
    save: async () => {
      await start({
        ...(target === 'endpoint' && endpointId !== undefined && { endpoint_id: endpointId }),
        ...(target === 'callback_url' && { callback_url: callbackUrl.trim() }),
        ...(from !== null && { since: from }),
        ...(to !== null && { until: to }),
      });
      showToast(text.started);
      await renewWebhooks();
      onClose();
    },
  });
  return (
    <FormDialog title={title} form={form} action={action} onClose={onClose}>
      <p className="muted">{hint}</p>
      <FieldGroup {...form.field('target')} label={text.target}>
        {choices.map((one) => (
          <Choice
            key={one}
            type="radio"
            name="target"
            checked={target === one}
            onChange={() => setTarget(one)}
          >
            {text.targets[one]}
          </Choice>
        ))}
      </FieldGroup>
      {target === 'endpoint' && (
        <SelectField
          {...form.field('endpoint_id')}
          label={text.endpoint}
          value={endpointId}
          onChange={(event) => setChosen(event.target.value)}
        >
          {endpoints.map((one) => (
            <option key={one.endpoint_id} value={one.endpoint_id}>
              {one.description || one.url}
            </option>
          ))}
        </SelectField>
      )}
      {target === 'callback_url' && (
        <TextField
          {...form.field('callback_url')}
          label={text.callbackUrl}
          type="url"
          value={callbackUrl}
          onChange={(event) => setCallbackUrl(event.target.value)}
        />
      )}
      <div className="field-columns">
        <TimeField
          {...form.field('since')}
          label={text.since}
          hint={text.sinceOptional}
          optional
          value={since}
          onChange={setSince}
        />
        <TimeField
          {...form.field('until')}
          label={text.until}
          hint={text.untilHint}
          optional
          value={until}
          onChange={setUntil}
        />
      </div>
    </FormDialog>
  );
}
