// A channel in the list: what it is, whether it works, and what can be done with it.

import type { NotificationChannel } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { LANGUAGES } from '../../shared/i18n/languages.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { useNotices } from '../../shared/notices/notice-list.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useWorkSettings } from '../messages.ts';
import { useAction } from '../use-action.ts';
import { type ChannelState, channelName, channelState, renewChannels, renewNotices } from './channel-data.ts';
import { ConfirmCode } from './confirm-code.tsx';
import { EditChannelDialog } from './edit-channel.tsx';
import { ownChannelId, removeChannel } from './web-push.ts';

const TONES: Readonly<Record<ChannelState, Tone>> = {
  on: 'green',
  off: 'grey',
  gone: 'red',
  unconfirmed: 'amber',
};

/** @param position from 1. @param count of all channels. */
export function ChannelRow({
  channel,
  position,
  count,
  workerId,
}: {
  channel: NotificationChannel;
  position: number;
  count: number;
  workerId: string;
}) {
  const text = useWorkSettings().channels;
  const { channels: kinds } = useNotices();
  const state = channelState(channel);
  const { kind, language, channel_id } = channel;
  return (
    <li className="channel">
      <div className="stack stack-tight grow">
        <strong className="channel-name">{channelName(channel)}</strong>
        <span className="row">
          <Badge tone={TONES[state]}>{text.states[state]}</Badge>
          {channel_id === ownChannelId(workerId) && <Badge tone="blue">{text.thisBrowser}</Badge>}
          <span className="small muted">
            {kinds[kind]} · {LANGUAGES[language]}
          </span>
        </span>
        <QuietHours channel={channel} />
      </div>
      <Actions channel={channel} state={state} position={position} count={count} workerId={workerId} />
      {state === 'unconfirmed' && <ConfirmCode channel={channel} />}
    </li>
  );
}

function QuietHours({ channel: { quiet_hours } }: { channel: NotificationChannel }) {
  const text = useWorkSettings().channels;
  if (quiet_hours === null) return null;
  const { start, end, time_zone, allow_critical } = quiet_hours;
  return (
    <span className="small muted">
      {text.quiet(start, end, time_zone)}
      {allow_critical && `, ${text.quietExceptCritical}`}
    </span>
  );
}

function Actions({
  channel,
  state,
  position,
  count,
  workerId,
}: {
  channel: NotificationChannel;
  state: ChannelState;
  position: number;
  count: number;
  workerId: string;
}) {
  const text = useWorkSettings().channels;
  const shared = useShared();
  const toast = useToast();
  const [dialog, setDialog] = useState<'edit' | 'remove' | null>(null);
  const { channel_id, enabled } = channel;
  const name = channelName(channel);
  const close = () => setDialog(null);
  const testing = useAction(async () => {
    await api.notificationChannels.test(channel_id, {});
    await renewNotices();
    toast(text.tested);
  });
  const switching = useAction(async () => {
    await api.notificationChannels.update(channel_id, { enabled: !enabled });
    await renewChannels();
  });
  const lifting = useAction(() => moveTo(channel_id, position - 1));
  const lowering = useAction(() => moveTo(channel_id, position + 1));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for the fields of a form.
    <div className="row" role="group" aria-label={text.actions(name)}>
      {state === 'on' && (
        <Button size="small" busy={testing.isBusy} onClick={testing.run}>
          {text.test}
        </Button>
      )}
      <Button size="small" busy={switching.isBusy} onClick={switching.run}>
        {enabled ? text.turnOff : text.turnOn}
      </Button>
      <Button size="small" onClick={() => setDialog('edit')}>
        {text.edit}
      </Button>
      <Button size="small" look="quiet" onClick={() => setDialog('remove')}>
        {shared.remove}
      </Button>
      {position > 1 && (
        <Button size="small" look="quiet" icon="up" label={text.up(name)} onClick={lifting.run} />
      )}
      {position < count && (
        <Button size="small" look="quiet" icon="down" label={text.down(name)} onClick={lowering.run} />
      )}
      {dialog === 'edit' && <EditChannelDialog channel={channel} onClose={close} />}
      {dialog === 'remove' && (
        <Confirm
          title={text.removeTitle}
          action={shared.remove}
          run={() => removeChannel(workerId, channel)}
          onClose={close}
          onDone={() => void renewChannels()}
        >
          <p>{text.removeText(name)}</p>
        </Confirm>
      )}
    </div>
  );
}

async function moveTo(channelId: string, position: number): Promise<void> {
  await api.notificationChannels.update(channelId, { position });
  await renewChannels();
}
