// Shows a new secret, once.

import type { ReactNode } from 'react';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { Secret } from '../../shared/ui/secret.tsx';
import { useConsoleAccess } from '../messages.ts';

/** @param children shown before the secret. */
export function NewSecret({
  title,
  label,
  value,
  hint,
  onClose,
  children,
}: {
  title: string;
  label: string;
  value: string;
  hint: string;
  onClose: () => void;
  children?: ReactNode;
}) {
  const { done } = useConsoleAccess().keys;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <Button look="primary" onClick={onClose}>
          {done}
        </Button>
      }
    >
      {children}
      <Secret label={label} value={value} hint={hint} />
    </Dialog>
  );
}
