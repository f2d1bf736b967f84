// Asks why a person does something, before they do it.

import { type ReactNode, useState } from 'react';
import { useShared } from '../shared/i18n/messages.tsx';
import { Button } from '../shared/ui/button.tsx';
import { Dialog } from '../shared/ui/dialog.tsx';
import { TextAreaField } from '../shared/ui/field.tsx';
import { useAction } from './use-action.ts';

/** @param action what happens with the reason; undefined when none was given. The dialog closes when it has succeeded. */
export function ReasonDialog({
  title,
  text,
  label,
  hint,
  button,
  look = 'primary',
  isRequired = false,
  isReady = true,
  action,
  onClose,
  children,
}: {
  title: string;
  text?: string;
  label: string;
  hint?: string;
  button: string;
  look?: 'primary' | 'danger';
  isRequired?: boolean;
  isReady?: boolean;
  action: (reason: string | undefined) => Promise<void>;
  onClose: () => void;
  children?: ReactNode;
}) {
  const messages = useShared();
  const [reason, setReason] = useState('');
  const given = reason.trim();
  const { isBusy, run } = useAction(async () => {
    await action(given === '' ? undefined : given);
    onClose();
  });
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{messages.cancel}</Button>
          <Button look={look} busy={isBusy} disabled={!isReady || (isRequired && given === '')} onClick={run}>
            {button}
          </Button>
        </>
      }
    >
      {text !== undefined && <p>{text}</p>}
      {children}
      <TextAreaField
        label={label}
        hint={hint}
        optional={!isRequired}
        maxLength={2000}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
    </Dialog>
  );
}
