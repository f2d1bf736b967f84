// Asks before something that cannot be undone, and does it.

import { type ReactNode, useState } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Problem } from './problem.tsx';

/**
 * @param action names what is done, on the button. @param run does it; its error is shown, and the dialog stays.
 * @param onDone called when it is done; default: `onClose`.
 */
export function Confirm({
  title,
  action,
  run,
  onClose,
  onDone = onClose,
  danger = true,
  children,
}: {
  title: string;
  action: string;
  run: () => Promise<unknown>;
  onClose: () => void;
  onDone?: () => void;
  danger?: boolean;
  children: ReactNode;
}) {
  const { cancel } = useShared();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await run();
      onDone();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{cancel}</Button>
          <Button look={danger ? 'danger' : 'primary'} busy={isBusy} onClick={() => void confirm()}>
            {action}
          </Button>
        </>
      }
    >
      {children}
      {error !== null && <Problem error={error} />}
    </Dialog>
  );
}
