// How much of a capacity is in use.

import { useFormat } from '../../shared/i18n/messages.tsx';
import { useConsoleWorkers } from '../messages.ts';
import './workers.css';

export function Load({ active, capacity }: { active: number; capacity: number }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  return (
    <span className={`load ${active >= capacity && capacity > 0 ? 'tone-amber' : 'tone-blue'}`}>
      <span className="numeric">{text.loadOf(format.number(active), format.number(capacity))}</span>
      <progress className="progress" max={Math.max(1, capacity)} value={active} aria-hidden="true" />
    </span>
  );
}
