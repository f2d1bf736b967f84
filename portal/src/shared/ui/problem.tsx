// An error of a request, shown in the place of what could not be loaded or done.

import { ApiError } from '@biolayer/sdk';
import { problemText } from '../api/problem-text.ts';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';
import { Banner } from './containers.tsx';

/** @param onRetry repeats what failed. */
export function Problem({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const messages = useShared();
  const requestId = error instanceof ApiError ? error.requestId : null;
  return (
    <Banner
      tone="red"
      live
      title={problemText(error, messages)}
      actions={onRetry && <Button onClick={onRetry}>{messages.retry}</Button>}
    >
      {requestId !== null && <p className="small muted">{messages.problems.reference(requestId)}</p>}
    </Banner>
  );
}
