// Short messages about what has happened, which screen readers announce. Errors stay until they are dismissed; of the others only
// the last one is shown.

import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from 'react';
import { useShared } from '../i18n/messages.tsx';
import type { Tone } from './badge.tsx';
import { Button } from './button.tsx';

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

type ShowToast = (text: string, tone?: Tone) => void;

const Context = createContext<ShowToast>(() => undefined);
/** How long a message is shown, ms. */
const SHOWN_FOR = 6000;
const MOST = 4;

/** @returns a function that shows a message; `red` for errors. */
export function useToast(): ShowToast {
  return useContext(Context);
}

let lastId = 0;

export function ToastProvider({ children }: { children: ReactNode }) {
  const messages = useShared();
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const remove = useCallback((id: number) => setToasts((all) => all.filter((one) => one.id !== id)), []);
  const show = useCallback<ShowToast>(
    (text, tone = 'green') => {
      lastId += 1;
      const id = lastId;
      setToasts((all) => [...all.filter((one) => one.tone === 'red'), { id, tone, text }].slice(-MOST));
      if (tone !== 'red') setTimeout(() => remove(id), SHOWN_FOR);
    },
    [remove],
  );
  const list = useMemo(
    () =>
      toasts.map(({ id, tone, text }) => (
        <div key={id} className={`toast tone-${tone}`}>
          <span className="grow">{text}</span>
          <Button
            look="quiet"
            size="small"
            icon="close"
            label={messages.dismiss}
            onClick={() => remove(id)}
          />
        </div>
      )),
    [toasts, messages, remove],
  );
  return (
    <Context value={show}>
      {children}
      <div className="toasts" role="status">
        {list}
      </div>
    </Context>
  );
}
