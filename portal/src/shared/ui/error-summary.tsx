// The errors of a form in one place, as links to their fields (GOV.UK Design System). It takes the focus when it appears.

import { useEffect, useRef } from 'react';
import { useShared } from '../i18n/messages.tsx';

export interface FormError {
  /** Id of the field; without one the error concerns the whole form. */
  fieldId?: string | undefined;
  message: string;
}

/** @param attempt changes with each attempt to submit, so that the same errors take the focus again. */
export function ErrorSummary({
  title,
  errors,
  attempt,
}: {
  title?: string;
  errors: readonly FormError[];
  attempt?: unknown;
}) {
  const messages = useShared();
  const element = useRef<HTMLDivElement>(null);
  const isShown = errors.length > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt takes the focus again.
  useEffect(() => {
    if (isShown) element.current?.focus();
  }, [isShown, attempt]);
  if (!isShown) return null;
  return (
    <div ref={element} className="error-summary" role="alert" tabIndex={-1}>
      <h2>{title ?? messages.errorSummary}</h2>
      <ul>
        {errors.map(({ fieldId, message }) => (
          <li key={`${fieldId} ${message}`}>
            {fieldId === undefined ? (
              message
            ) : (
              <a
                href={`#${fieldId}`}
                onClick={(event) => {
                  event.preventDefault();
                  focusField(fieldId);
                }}
              >
                {message}
              </a>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

function focusField(id: string): void {
  const field = document.getElementById(id);
  field?.scrollIntoView({ block: 'center' });
  field?.focus({ preventScroll: true });
}
