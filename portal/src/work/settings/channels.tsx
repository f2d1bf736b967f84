// How the worker hears of offers while they do not look at the page: their channels, in the order in which they are tried.

import type { NotificationChannel } from '@biolayer/sdk';
import { useState } from 'react';
import { Loaded } from '../../shared/api/loaded.tsx';
import { useFormat, useLanguage } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner, Card } from '../../shared/ui/containers.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useWorkSettings } from '../messages.ts';
import { useAction } from '../use-action.ts';
import { AddChannelDialog, type AddedKind } from './add-channel.tsx';
import { MAX_CHANNELS, renewChannels, useChannels } from './channel-data.ts';
import { ChannelRow } from './channel-row.tsx';
import { ownChannelId, PushRefused, turnOnPush } from './web-push.ts';
import './settings.css';

export function Channels({ workerId }: { workerId: string }) {
  const text = useWorkSettings();
  const channels = useChannels();
  return (
    <Card title={text.channels.title}>
      <p className="muted">{text.channels.about}</p>
      <Loaded query={channels}>
        {(all) => (
          <>
            {all.length === 0 ? (
              <p>{text.channels.none}</p>
            ) : (
              <ol className="channels" aria-label={text.channels.list}>
                {all.map((channel, at) => (
                  <ChannelRow
                    key={channel.channel_id}
                    channel={channel}
                    position={at + 1}
                    count={all.length}
                    workerId={workerId}
                  />
                ))}
              </ol>
            )}
            <AddChannel workerId={workerId} channels={all} />
          </>
        )}
      </Loaded>
    </Card>
  );
}

function AddChannel({ workerId, channels }: { workerId: string; channels: NotificationChannel[] }) {
  const text = useWorkSettings();
  const format = useFormat();
  const { language } = useLanguage();
  const toast = useToast();
  const [adding, setAdding] = useState<AddedKind | null>(null);
  const [refused, setRefused] = useState<PushRefused['reason'] | null>(null);
  const push = useAction(
    async () => {
      setRefused(null);
      await turnOnPush(workerId, language);
      await renewChannels();
      toast(text.add.browserOn);
    },
    (error) => {
      if (!(error instanceof PushRefused)) return false;
      setRefused(error.reason);
      return true;
    },
  );
  if (channels.length >= MAX_CHANNELS)
    return <p className="muted">{text.channels.full(format.number(MAX_CHANNELS))}</p>;
  const own = ownChannelId(workerId);
  const isOwnOn = channels.some((one) => one.channel_id === own && one.disabled?.reason !== 'gone');
  return (
    <>
      {refused !== null && <Banner tone="amber" live title={text.add[refused]} />}
      <div className="row">
        {!isOwnOn && (
          <Button icon="bell" look="primary" busy={push.isBusy} onClick={push.run}>
            {text.add.browser}
          </Button>
        )}
        <Button icon="plus" onClick={() => setAdding('email')}>
          {text.add.email}
        </Button>
        <Button icon="plus" onClick={() => setAdding('slack')}>
          {text.add.slack}
        </Button>
      </div>
      {adding !== null && <AddChannelDialog kind={adding} onClose={() => setAdding(null)} />}
    </>
  );
}
