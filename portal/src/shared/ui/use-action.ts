// An action of a button: one at a time, with a message when it is done and when it fails.

import { useState } from 'react';
import { problemText } from '../api/problem-text.ts';
import { useShared } from '../i18n/messages.tsx';
import { useToast } from './toast.tsx';

/** @returns a function that does it, with the message for when it has worked, and whether it is under way */
export function useAction(): {
  isBusy: boolean;
  run: (action: () => PromiseLike<unknown>, done?: string) => void;
} {
  const shared = useShared();
  const showToast = useToast();
  const [isBusy, setBusy] = useState(false);
  return {
    isBusy,
    run: (action, done) => {
      if (isBusy) return;
      setBusy(true);
      action()
        .then(
          () => done !== undefined && showToast(done),
          (error: unknown) => showToast(problemText(error, shared), 'red'),
        )
        .then(() => setBusy(false));
    },
  };
}
