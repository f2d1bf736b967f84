// A modal dialog on the native element: the browser traps the focus, closes it with Escape and gives the focus back.

import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';

/** Shown as long as it is rendered. @param onClose removes it. */
export function Dialog({
  title,
  onClose,
  children,
  actions,
  wide = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  actions?: ReactNode;
  wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const messages = useShared();
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      className={wide ? 'dialog dialog-wide' : 'dialog'}
      aria-labelledby={id}
      onCancel={(event) => {
        // Of the dialog, not of a file chooser within it.
        if (event.target !== element.current) return;
        event.preventDefault();
        onClose();
      }}
    >
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button look="quiet" size="small" icon="close" label={messages.close} onClick={onClose} />
      </div>
      <div className="dialog-body stack">{children}</div>
      {actions !== undefined && <div className="dialog-foot">{actions}</div>}
    </dialog>
  );
}
