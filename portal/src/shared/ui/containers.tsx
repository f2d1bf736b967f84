// What holds content: cards, banners, tables, tabs, empty states, skeletons, lists of facts.

import { type KeyboardEvent, type ReactNode, useId, useRef } from 'react';
import { useShared } from '../i18n/messages.tsx';
import type { Tone } from './badge.tsx';
import { Icon, type IconName } from './icons.tsx';

export function Card({
  title,
  actions,
  children,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="card stack" aria-labelledby={title === undefined ? undefined : id}>
      {title !== undefined && (
        <div className="row row-between">
          <h2 id={id}>{title}</h2>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}

/** A message that stays on the page. With `live`, screen readers announce it. */
export function Banner({
  tone = 'blue',
  title,
  actions,
  live = false,
  children,
}: {
  tone?: Tone;
  title?: ReactNode;
  actions?: ReactNode;
  live?: boolean;
  children?: ReactNode;
}) {
  return (
    <div className={`banner tone-${tone}`} role={live ? 'alert' : undefined}>
      <div className="grow">
        {title !== undefined && <p className="banner-title">{title}</p>}
        {children}
      </div>
      {actions}
    </div>
  );
}

/** A list without items: what it is for, and what to do. */
export function EmptyState({
  icon,
  title,
  children,
  actions,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      {children !== undefined && <p>{children}</p>}
      {actions}
    </div>
  );
}

/** Stands for content that is being loaded. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div className="skeleton-stack" aria-busy="true">
      <span className="visually-hidden">{useShared().loading}</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are alike.
        <span key={line} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

/** A table in a frame that scrolls sideways on small screens. @param label what the table lists, for screen readers. */
export function Table({ label, children }: { label: string; children: ReactNode }) {
  // Its name differs from that of a card around it, so that both are found in a list of landmarks.
  const name = useShared().tableOf(label);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard.
    <section className="table-frame" aria-label={name} tabIndex={0}>
      <table className="table">{children}</table>
    </section>
  );
}

/** Names with their values. Entries whose value is null or undefined are left out. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ReactNode])[] }) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return (
    <dl className="facts">
      {known.map(([name, value]) => [
        <dt key={`${name} name`}>{name}</dt>,
        <dd key={`${name} value`}>{value}</dd>,
      ])}
    </dl>
  );
}

export interface Tab<Id extends string> {
  id: Id;
  label: ReactNode;
}

/** Tabs with their panel (WAI-ARIA pattern: arrow keys move between tabs). */
export function Tabs<Id extends string>({
  label,
  tabs,
  current,
  onChange,
  children,
}: {
  label: string;
  tabs: readonly Tab<Id>[];
  current: Id;
  onChange: (id: Id) => void;
  children: ReactNode;
}) {
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1 };
    const step = steps[event.key];
    if (step === undefined) return;
    const isRtl = document.documentElement.dir === 'rtl';
    const at = tabs.findIndex((tab) => tab.id === current) + (isRtl ? -step : step);
    const next = tabs.at(at % tabs.length);
    if (next === undefined) return;
    event.preventDefault();
    onChange(next.id);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div className="stack">
      <div ref={list} className="tabs" role="tablist" aria-label={label} onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            className="tab"
            id={`${base}-${tab.id}`}
            data-tab={tab.id}
            aria-selected={tab.id === current}
            aria-controls={`${base}-panel`}
            tabIndex={tab.id === current ? 0 : -1}
            onClick={() => onChange(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${base}-panel`} aria-labelledby={`${base}-${current}`}>
        {children}
      </div>
    </div>
  );
}
