// Badges: a word and a colour. The word alone says everything; the colour is for those who scan a list.

import type { TaskStatus, Urgency } from '@biolayer/sdk';
import type { ReactNode } from 'react';
import { useShared } from '../i18n/messages.tsx';

export type Tone = 'grey' | 'green' | 'amber' | 'red' | 'blue' | 'violet';

export function Badge({ tone = 'grey', children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge tone-${tone}`}>{children}</span>;
}

const STATUS_TONES: Readonly<Record<TaskStatus, Tone>> = {
  created: 'grey',
  queued: 'grey',
  matched: 'blue',
  offered: 'blue',
  accepted: 'violet',
  started: 'violet',
  submitted: 'amber',
  verified: 'green',
  completed: 'green',
  failed: 'red',
  cancelled: 'grey',
};

export function StatusBadge({ status }: { status: TaskStatus }) {
  return (
    <Badge tone={STATUS_TONES[status]}>
      <span className="dot" aria-hidden="true" />
      {useShared().status[status]}
    </Badge>
  );
}

const URGENCY_TONES: Readonly<Record<Urgency, Tone>> = {
  low: 'grey',
  normal: 'blue',
  high: 'amber',
  critical: 'red',
};

export function UrgencyBadge({ urgency }: { urgency: Urgency }) {
  return <Badge tone={URGENCY_TONES[urgency]}>{useShared().urgency[urgency]}</Badge>;
}
