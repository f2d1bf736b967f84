// One action of a person: it runs once at a time, and its error is shown.

import { useCallback, useRef, useState } from 'react';
import { problemText } from '../shared/api/problem-text.ts';
import { useShared } from '../shared/i18n/messages.tsx';
import { useToast } from '../shared/ui/toast.tsx';

/** @returns whether the action runs, and a function that starts it; its error is shown unless `onError` returns true. */
export function useAction(
  action: () => Promise<void>,
  onError: (error: unknown) => boolean = () => false,
): { isBusy: boolean; run: () => void } {
  const messages = useShared();
  const toast = useToast();
  const [isBusy, setBusy] = useState(false);
  const current = useRef({ action, onError, isBusy: false });
  current.current.action = action;
  current.current.onError = onError;
  const run = useCallback(() => {
    if (current.current.isBusy) return;
    current.current.isBusy = true;
    setBusy(true);
    current.current
      .action()
      .catch((error: unknown) => {
        if (!current.current.onError(error)) toast(problemText(error, messages), 'red');
      })
      .finally(() => {
        current.current.isBusy = false;
        setBusy(false);
      });
  }, [messages, toast]);
  return { isBusy, run };
}
