// Starts a replay: past events are sent to an endpoint again.

import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { serverNow } from '../../shared/time/now.ts';
import { Choice, FieldGroup, TimeField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { renewWebhooks } from './endpoint-data.ts';
import { localOf, momentOf } from './time-range.ts';

const DAY = 24 * 3600 * 1000;
const CHOICES = ['failed', 'undelivered', 'all'] as const;

export function ReplayForm({ endpointId, onClose }: { endpointId: string; onClose: () => void }) {
  const text = useConsoleWebhooks();
  const showToast = useToast();
  const [since, setSince] = useState(() => localOf(serverNow() - DAY));
  const [until, setUntil] = useState('');
  const [deliveries, setDeliveries] = useState<(typeof CHOICES)[number]>('failed');
  const from = momentOf(since);
  const to = momentOf(until);
  const form = useForm<'since' | 'until' | 'deliveries'>({
    labels: { since: text.since, until: text.until, deliveries: text.which },
    check: () => {
      if (from === null) return [{ field: 'since', message: text.faults.since }];
      if (Date.parse(from) > serverNow()) return [{ field: 'since', message: text.faults.past }];
      if (to !== null && to <= from) return [{ field: 'until', message: text.faults.until }];
      return [];
    },
    save: async () => {
      if (from === null) return;
      await api.webhookEndpoints.startReplay(endpointId, {
        since: from,
        deliveries,
        ...(to !== null && { until: to }),
      });
      showToast(text.started);
      await renewWebhooks();
      onClose();
    },
  });
  return (
    <FormDialog title={text.replayTitle} form={form} action={text.replay} onClose={onClose}>
      <p className="muted">{text.replayHint}</p>
      <div className="field-columns">
        <TimeField {...form.field('since')} label={text.since} value={since} onChange={setSince} />
        <TimeField
          {...form.field('until')}
          label={text.until}
          hint={text.untilHint}
          optional
          value={until}
          onChange={setUntil}
        />
      </div>
      <FieldGroup {...form.field('deliveries')} label={text.which}>
        {CHOICES.map((choice) => (
          <Choice
            key={choice}
            type="radio"
            name="deliveries"
            checked={deliveries === choice}
            onChange={() => setDeliveries(choice)}
          >
            {text.choices[choice]}
          </Choice>
        ))}
      </FieldGroup>
    </FormDialog>
  );
}
