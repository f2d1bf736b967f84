// A form in a dialog: errors first, then the fields, then the buttons.

import { type ReactNode, useId } from 'react';
import type { Form } from '../forms/use-form.ts';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { ErrorSummary } from './error-summary.tsx';

/** @param action what the button says. */
export function FormDialog<Field extends string>({
  title,
  form,
  action,
  onClose,
  wide = false,
  children,
}: {
  title: string;
  form: Form<Field>;
  action: string;
  onClose: () => void;
  wide?: boolean;
  children: ReactNode;
}) {
  const { cancel } = useShared();
  const id = useId();
  return (
    <Dialog
      title={title}
      onClose={onClose}
      wide={wide}
      actions={
        <>
          <Button onClick={onClose}>{cancel}</Button>
          <Button look="primary" type="submit" form={id} busy={form.isBusy}>
            {action}
          </Button>
        </>
      }
    >
      <form id={id} className="stack" noValidate onSubmit={form.onSubmit}>
        <ErrorSummary {...form.summary} />
        {children}
      </form>
    </Dialog>
  );
}
