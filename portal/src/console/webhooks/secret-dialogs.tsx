// Signing secrets: shown once when they are made, and replaced.

import type { WebhookEndpoint, WebhookEndpointWithSecret } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { SelectField } from '../../shared/ui/field.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { Secret } from '../../shared/ui/secret.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { renewWebhooks } from './endpoint-data.ts';

/** Shows the secret, or for v1a the public key, of an endpoint that was just made or has a new secret. */
export function NewSecret({
  title,
  endpoint,
  onClose,
}: {
  title: string;
  endpoint: WebhookEndpointWithSecret;
  onClose: () => void;
}) {
  const text = useConsoleWebhooks();
  const { secret, public_key } = endpoint;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <Button look="primary" onClick={onClose}>
          {text.done}
        </Button>
      }
    >
      <p className="url">{endpoint.url}</p>
      {secret !== null && <Secret label={text.secret} value={secret} hint={text.secretHint} />}
      {public_key !== null && <Secret label={text.publicKey} value={public_key} hint="" />}
    </Dialog>
  );
}

const OVERLAPS = ['86400', '3600', '604800', '0'] as const;

/** Replaces the secret of an endpoint, and shows the new one. */
export function RotateSecret({ endpoint, onClose }: { endpoint: WebhookEndpoint; onClose: () => void }) {
  const text = useConsoleWebhooks();
  const [overlap, setOverlap] = useState<string>(OVERLAPS[0]);
  const [made, setMade] = useState<WebhookEndpointWithSecret | null>(null);
  const form = useForm({
    labels: { overlap_seconds: text.overlap },
    check: () => [],
    save: async () => {
      const { endpoint_id } = endpoint;
      setMade(await api.webhookEndpoints.rotateSecret(endpoint_id, { overlap_seconds: Number(overlap) }));
      await renewWebhooks();
    },
  });
  if (made !== null) return <NewSecret title={text.secret} endpoint={made} onClose={onClose} />;
  return (
    <FormDialog title={text.rotateTitle} form={form} action={text.rotate} onClose={onClose}>
      <p>{text.rotateText}</p>
      <SelectField
        {...form.field('overlap_seconds')}
        label={text.overlap}
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
