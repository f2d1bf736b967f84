// Whether the worker takes offers.

import { useState } from 'react';
import { api } from '../shared/api/client.ts';
import { useShared } from '../shared/i18n/messages.tsx';
import { Segmented } from '../shared/ui/field.tsx';
import { useShortcuts } from '../shared/ui/shortcuts.tsx';
import { setWorker, useWorker } from './data.ts';
import { useWork } from './messages.ts';
import { useAction } from './use-action.ts';

const AVAILABILITIES = ['available', 'away', 'offline'] as const;
type Availability = (typeof AVAILABILITIES)[number];

export function AvailabilitySwitch() {
  const shared = useShared();
  const work = useWork();
  const worker = useWorker();
  // What the person has chosen is shown at once, until the server has answered.
  const [wanted, setWanted] = useState<Availability | null>(null);
  const { isBusy, run } = useAction(async () => {
    if (wanted === null) return;
    try {
      setWorker(await api.worker.update({ availability: wanted }));
    } finally {
      setWanted(null);
    }
  });
  const current = wanted ?? worker.data?.availability;
  const choose = (availability: Availability) => {
    setWanted(availability);
    setTimeout(run);
  };
  useShortcuts([
    {
      key: 'v',
      label: work.shortcuts.available,
      run: () => choose(current === 'available' ? 'away' : 'available'),
    },
  ]);
  return (
    <Segmented
      label={work.availability.label}
      value={current}
      disabled={worker.data === undefined || isBusy}
      onChange={choose}
      options={AVAILABILITIES.map((value) => ({
        value,
        label: (
          <>
            <span className={`dot availability-${value}`} aria-hidden="true" />
            {shared.availability[value]}
          </>
        ),
      }))}
    />
  );
}
