// The time that is left until a moment, second by second. Screen readers hear it when they reach it, not each second.

import { useFormat } from '../i18n/messages.tsx';
import { useNow } from '../time/now.ts';
import type { Tone } from './badge.tsx';
import { Icon } from './icons.tsx';

/** @param until RFC 3339. @param from start of the period, for the bar; without it none is shown. */
export function Countdown({ until, from, label }: { until: string; from?: string; label?: string }) {
  const format = useFormat();
  const now = useNow(1000);
  const left = Math.max(0, Date.parse(until) - now);
  const tone: Tone = left < 15_000 ? 'red' : left < 45_000 ? 'amber' : 'grey';
  const whole = from === undefined ? 0 : Date.parse(until) - Date.parse(from);
  return (
    <span className={`tone-${tone}`}>
      <span className="countdown" role="timer">
        <Icon name="clock" />
        {label !== undefined && <span className="visually-hidden">{label} </span>}
        {format.countdown(left)}
      </span>
      {whole > 0 && <progress className="progress" max={whole} value={left} aria-hidden="true" />}
    </span>
  );
}
