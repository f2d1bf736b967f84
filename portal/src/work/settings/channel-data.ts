// The worker's notification channels, as the settings read and name them.

import type { NotificationChannel } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';

/** Most channels of a worker. */
export const MAX_CHANNELS = 10;

const CHANNELS = ['notification-channels'];
export const NOTICES = ['own-notices'];

export function useChannels() {
  return useQuery({
    queryKey: CHANNELS,
    queryFn: async () => (await api.notificationChannels.list()).data,
  });
}

export function renewChannels(): Promise<void> {
  return queries.invalidateQueries({ queryKey: CHANNELS });
}

export function renewNotices(): Promise<void> {
  return queries.invalidateQueries({ queryKey: NOTICES });
}

/** What a channel is called: its name with what it reaches. */
export function channelName({ name, target }: NotificationChannel): string {
  return name === '' ? target : `${name} (${target})`;
}

export type ChannelState = 'on' | 'off' | 'gone' | 'unconfirmed';

export function channelState({ confirmed, enabled, disabled }: NotificationChannel): ChannelState {
  if (!enabled) return disabled?.reason === 'gone' ? 'gone' : 'off';
  return confirmed ? 'on' : 'unconfirmed';
}
