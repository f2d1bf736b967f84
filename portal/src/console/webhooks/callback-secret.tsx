// The secret that signs the deliveries to callback URLs of tasks. It can be read again, so it is shown when asked for.

import type { WebhookSecret } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { Secret } from '../../shared/ui/secret.tsx';
import { useConsoleWebhooks } from '../messages.ts';

export function CallbackSecret() {
  const text = useConsoleWebhooks();
  const format = useFormat();
  const [shown, setShown] = useState<WebhookSecret | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isRotating, setRotating] = useState(false);
  const show = () => api.webhookSecret.get().then(setShown, setError);
  const previous = shown?.previous_expires_at ?? null;
  return (
    <Card title={text.callbackSecret}>
      <p className="muted">{text.callbackSecretHint}</p>
      {shown !== null && <Secret label={text.secret} value={shown.secret} hint={text.currentSecretHint} />}
      {previous !== null && <p className="small">{text.previousUntil(format.dateTime(previous))}</p>}
      {error !== null && <Problem error={error} />}
      <div className="row">
        {shown === null && <Button onClick={() => void show()}>{text.showSecret}</Button>}
        <Button icon="key" onClick={() => setRotating(true)}>
          {text.rotate}
        </Button>
      </div>
      {isRotating && (
        <Confirm
          title={text.rotateTitle}
          action={text.rotate}
          danger={false}
          onClose={() => setRotating(false)}
          run={async () => setShown(await api.webhookSecret.rotate({}))}
        >
          <p>{text.rotateCallbackText}</p>
        </Confirm>
      )}
    </Card>
  );
}
