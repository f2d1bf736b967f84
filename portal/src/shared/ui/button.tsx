// Buttons, and links that look like one.

import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { Link } from 'wouter';
import { Icon, type IconName } from './icons.tsx';

type Look = 'primary' | 'secondary' | 'quiet' | 'danger';
type Size = 'small' | 'medium' | 'large';

interface Appearance {
  look?: Look;
  size?: Size;
  icon?: IconName;
}

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement>, Appearance {
  /** Shows that the action runs. The button keeps the focus, and a second press does nothing. */
  busy?: boolean;
  /** Names a button that shows its icon alone. */
  label?: string;
}

export function Button({
  look = 'secondary',
  size = 'medium',
  icon,
  busy = false,
  label,
  children,
  className = '',
  onClick,
  type = 'button',
  ...rest
}: ButtonProps) {
  const isIconOnly = children === undefined && icon !== undefined;
  return (
    <button
      {...rest}
      type={type}
      className={`${classOf({ look, size })}${isIconOnly ? ' button-icon' : ''} ${className}`}
      aria-disabled={busy || undefined}
      aria-label={label}
      title={isIconOnly ? label : rest.title}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A link to another page of the app that looks like a button. */
export function ButtonLink({
  href,
  look = 'secondary',
  size = 'medium',
  icon,
  children,
}: Appearance & { href: string; children: ReactNode }) {
  return (
    <Link href={href} className={classOf({ look, size })}>
      {icon && <Icon name={icon} />}
      {children}
    </Link>
  );
}

function classOf({ look, size }: { look: Look; size: Size }): string {
  return `button button-${look}${size === 'medium' ? '' : ` button-${size}`}`;
}
