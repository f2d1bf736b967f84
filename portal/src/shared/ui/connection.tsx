// Whether this page hears of changes as they happen.

import type { Connection } from '../api/stream.ts';
import { useShared } from '../i18n/messages.tsx';
import { Badge } from './badge.tsx';
import { Banner } from './containers.tsx';
import { Icon } from './icons.tsx';

export function ConnectionBadge({ connection }: { connection: Connection }) {
  const messages = useShared();
  if (connection !== 'live') return null;
  return (
    <Badge tone="green">
      <span className="dot" aria-hidden="true" />
      {messages.connection.live}
    </Badge>
  );
}

/** Says that the connection is lost, as long as it is. */
export function ConnectionBanner({ connection }: { connection: Connection }) {
  const messages = useShared();
  if (connection !== 'offline') return null;
  return (
    <Banner
      tone="amber"
      live
      title={
        <span className="row">
          <Icon name="offline" />
          {messages.connection.offline}
        </span>
      }
    />
  );
}
