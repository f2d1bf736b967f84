// Makes a link with which a worker signs in, and shows it once.

import { useEffect, useRef, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { Secret } from '../../shared/ui/secret.tsx';
import { useConsoleWorkers } from '../messages.ts';

/** @param startsNow makes the link at once instead of on a press of the button. */
export function SignInLink({ workerId, startsNow = false }: { workerId: string; startsNow?: boolean }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  const [link, setLink] = useState<{ url: string; expires_at: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const hasStarted = useRef(false);
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      setLink(await api.workers.createSignInLink(workerId));
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, also when React mounts twice.
  useEffect(() => {
    if (!startsNow || hasStarted.current) return;
    hasStarted.current = true;
    void make();
  }, []);
  return (
    <>
      {link !== null && (
        <Secret label={text.link} value={link.url} hint={text.linkHint(format.dateTime(link.expires_at))} />
      )}
      {error !== null && <Problem error={error} onRetry={() => void make()} />}
      {(link !== null || !startsNow) && (
        <div>
          <Button icon="link" busy={isBusy} onClick={() => void make()}>
            {link === null ? text.newLink : text.anotherLink}
          </Button>
        </div>
      )}
    </>
  );
}
