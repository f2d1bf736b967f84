// The code that was sent to an e-mail address: entered here, it confirms the address.

import { ApiError, type NotificationChannel } from '@biolayer/sdk';
import { type FormEvent, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { Button } from '../../shared/ui/button.tsx';
import { TextField } from '../../shared/ui/field.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useWorkSettings } from '../messages.ts';
import { useAction } from '../use-action.ts';
import { renewChannels, renewNotices } from './channel-data.ts';

export function ConfirmCode({ channel: { channel_id, target } }: { channel: NotificationChannel }) {
  const { code: text } = useWorkSettings();
  const toast = useToast();
  const [code, setCode] = useState('');
  const [fault, setFault] = useState<string>();
  const confirming = useAction(
    async () => {
      await api.notificationChannels.confirm(channel_id, { code });
      await renewChannels();
      toast(text.confirmed);
    },
    (error) => {
      if (!(error instanceof ApiError && error.status === 422)) return false;
      setFault(text.wrong);
      return true;
    },
  );
  const sending = useAction(async () => {
    await api.notificationChannels.sendCode(channel_id, {});
    setCode('');
    setFault(undefined);
    await renewNotices();
    toast(text.sent);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const isComplete = /^\d{6}$/.test(code);
    setFault(isComplete ? undefined : text.fault);
    if (isComplete) confirming.run();
  };
  return (
    <form className="channel-code stack" noValidate onSubmit={submit}>
      <TextField
        label={text.label(target)}
        hint={text.hint}
        error={fault}
        inputMode="numeric"
        autoComplete="one-time-code"
        maxLength={6}
        value={code}
        onChange={(event) => setCode(event.target.value.replaceAll(/\D/g, ''))}
      />
      <div className="row">
        <Button type="submit" look="primary" size="small" busy={confirming.isBusy}>
          {text.confirm}
        </Button>
        <Button size="small" busy={sending.isBusy} onClick={sending.run}>
          {text.again}
        </Button>
      </div>
    </form>
  );
}
