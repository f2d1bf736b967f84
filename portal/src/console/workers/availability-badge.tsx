// Whether a worker takes offers.

import type { Worker } from '@biolayer/sdk';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { useConsoleWorkers } from '../messages.ts';

const TONES: Readonly<Record<Worker['availability'], Tone>> = {
  available: 'green',
  away: 'amber',
  offline: 'grey',
};

export function AvailabilityBadge({ worker }: { worker: Pick<Worker, 'availability' | 'draining'> }) {
  const { availability } = useShared();
  const { draining } = useConsoleWorkers();
  if (worker.draining) return <Badge tone="violet">{draining}</Badge>;
  return (
    <Badge tone={TONES[worker.availability]}>
      <span className="dot" aria-hidden="true" />
      {availability[worker.availability]}
    </Badge>
  );
}
